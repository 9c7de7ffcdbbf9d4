import assert from 'node:assert/strict'
import { test } from 'node:test'

import { concatBytes } from '#base'
import { RecordBatchBuilder, endTransactionBatch, type BatchOptions } from '#protocol/records'

import { FetchedData, RecordCorruptedError, type AbortedTransaction } from './fetched-data.ts'
import { Lease } from './lease.ts'
import { PartitionState } from './partition-state.ts'

const PLACE = { topic: 't', partition: 0 }

function batch(baseOffset: number, count: number, options: Partial<BatchOptions> = {}): Uint8Array {
  const builder = new RecordBatchBuilder({ baseOffset, partitionLeaderEpoch: 4, ...options })
  for (let index = 0; index < count; index++)
    builder.append({ timestamp: 1000 + index, key: null, value: Uint8Array.of(baseOffset + index) })
  return builder.build()
}

function data(
  batches: readonly Uint8Array[],
  options: { fetchOffset?: number; aborted?: readonly AbortedTransaction[] | null; checkCrcs?: boolean } = {},
): FetchedData {
  return new FetchedData({
    ...PLACE,
    bytes: concatBytes(batches),
    fetchOffset: options.fetchOffset ?? 0,
    abortedTransactions: options.aborted ?? null,
    checkCrcs: options.checkCrcs ?? true,
  })
}

function offsetsOf(fetched: FetchedData): number[] {
  return fetched.take(Infinity).map(({ offset }) => offset)
}

test('records come in pieces, across batches, from the offset that was asked for', () => {
  const fetched = data([batch(0, 3), batch(3, 3)], { fetchOffset: 1 })
  assert.equal(fetched.endOffset, 6)
  const first = fetched.take(3)
  assert.deepEqual(
    first.map(({ offset, value }) => [offset, value![0]]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  )
  assert.equal(fetched.nextOffset, 4)
  assert.equal(fetched.isExhausted, false)
  assert.deepEqual(offsetsOf(fetched), [4, 5])
  assert.equal(fetched.isExhausted, true)
  assert.equal(first[0]!.leaderEpoch, 4)
  assert.equal(first[0]!.timestamp, 1001)
})

test('a cut last batch is left for the next fetch', () => {
  const fetched = data([batch(0, 2), batch(2, 2).subarray(0, 30)])
  assert.deepEqual(offsetsOf(fetched), [0, 1])
  assert.equal(fetched.endOffset, 2)
})

test('markers are for nobody, and aborted records are not for those who read what is committed', () => {
  const producer = { producerId: 9, producerEpoch: 0, isTransactional: true }
  const marker = (type: 'abort' | 'commit', baseOffset: number): Uint8Array =>
    endTransactionBatch({ type, coordinatorEpoch: 0, producerId: 9, producerEpoch: 0, timestamp: 0, baseOffset })
  const log = [
    batch(0, 2, { ...producer, baseSequence: 0 }),
    batch(2, 1),
    marker('abort', 3),
    batch(4, 1, { ...producer, baseSequence: 2 }),
    marker('commit', 5),
  ]
  assert.deepEqual(offsetsOf(data(log)), [0, 1, 2, 4])
  const committed = data(log, { aborted: [{ producerId: 9, firstOffset: 0 }] })
  assert.deepEqual(offsetsOf(committed), [2, 4])
  assert.equal(committed.nextOffset, 6)
  assert.equal(committed.isExhausted, true)
})

test('a wrong checksum stops before its batch, as often as one tries, and after what lies before', () => {
  const broken = batch(2, 2)
  // The last record's value; behind it stands only its count of headers.
  broken[broken.length - 2]! ^= 1
  const fetched = data([batch(0, 2), broken])
  assert.deepEqual(offsetsOf(fetched), [0, 1])
  for (let attempt = 0; attempt < 2; attempt++)
    assert.throws(
      () => fetched.take(1),
      (error) => error instanceof RecordCorruptedError && error.offset === 2,
    )
  assert.deepEqual(offsetsOf(data([batch(0, 2), broken], { checkCrcs: false })), [0, 1, 2, 3])
})

test('a record that cannot be read takes none of those before it along', () => {
  const broken = batch(0, 3)
  broken[broken.length - 1] = 1
  const fetched = data([broken], { checkCrcs: false })
  assert.deepEqual(offsetsOf(fetched), [0, 1])
  assert.equal(fetched.nextOffset, 2)
  assert.throws(() => fetched.take(1), RecordCorruptedError)
})

test('position and what the user is done with move only by giving and finishing', () => {
  const state = new PartitionState(PLACE)
  state.seek({ offset: 0, leaderEpoch: -1 })
  state.addChunk(data([batch(0, 4)]))
  assert.deepEqual([state.position!.offset, state.fetchOffset], [0, 4])
  const lease = Lease.take(state, 3)!
  assert.equal(state.isReady, false, 'nobody else gets it meanwhile')
  lease.giveNext()
  lease.giveNext()
  assert.deepEqual([state.position!.offset, state.consumed!.offset], [2, 0])
  lease.finishGiven()
  assert.deepEqual([state.position!.offset, state.consumed!.offset, state.consumed!.leaderEpoch], [2, 2, 4])
  lease.release()
  assert.deepEqual([state.fetchOffset, state.firstChunk], [2, undefined], 'what was not given is fetched again')
})

test('what a handler did not finish is given again', () => {
  const state = new PartitionState(PLACE)
  state.seek({ offset: 0, leaderEpoch: -1 })
  state.addChunk(data([batch(0, 4)]))
  const lease = Lease.take(state, 10)!
  lease.giveAll()
  lease.finishThrough(1)
  lease.release({ rewind: true })
  assert.deepEqual([state.position!.offset, state.consumed!.offset, state.fetchOffset], [2, 2, 2])
})

test('after a seek a lease is worth nothing', () => {
  const state = new PartitionState(PLACE)
  state.seek({ offset: 0, leaderEpoch: -1 })
  state.addChunk(data([batch(0, 4)]))
  const lease = Lease.take(state, 10)!
  lease.giveNext()
  state.seek({ offset: 77, leaderEpoch: -1 })
  assert.equal(lease.hasNext, false)
  lease.finishGiven()
  lease.release()
  assert.deepEqual([state.position!.offset, state.consumed!.offset], [77, 77])
})

test('a position passes what is for nobody, and is done with it', () => {
  const state = new PartitionState(PLACE)
  state.seek({ offset: 0, leaderEpoch: -1 })
  const marker = { type: 'commit', coordinatorEpoch: 0, producerId: 9, producerEpoch: 0, timestamp: 0 } as const
  state.addChunk(data([endTransactionBatch({ ...marker, baseOffset: 0 })]))
  assert.equal(Lease.take(state, 10), null)
  assert.deepEqual([state.position!.offset, state.consumed!.offset], [1, 1])
})
