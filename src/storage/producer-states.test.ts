import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MalformedBytesError } from '#base'
import { RecordBatchBuilder, RecordBatchView, endTransactionBatch } from '#protocol/records'

import { AppendErrorCode } from './append-errors.ts'
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts'
import { ProducerStates } from './producer-states.ts'

const NOW = 1_900_000_000_000

interface Sent {
  id?: number
  epoch?: number
  sequence: number
  records?: number
  offset?: number
  isTransactional?: boolean
}

function batch({
  id = 1,
  epoch = 0,
  sequence,
  records = 1,
  offset = 0,
  isTransactional = false,
}: Sent): RecordBatchView {
  const options = { producerId: id, producerEpoch: epoch, baseSequence: sequence, baseOffset: offset, isTransactional }
  const builder = new RecordBatchBuilder(options)
  for (let index = 0; index < records; index++) builder.append({ timestamp: NOW, key: null, value: null })
  return new RecordBatchView(builder.build())
}

function marker(
  type: 'abort' | 'commit',
  offset: number,
  { id = 1, epoch = 0, coordinatorEpoch = 0 } = {},
): RecordBatchView {
  const bytes = endTransactionBatch({
    type,
    coordinatorEpoch,
    producerId: id,
    producerEpoch: epoch,
    timestamp: NOW,
    baseOffset: offset,
  })
  return new RecordBatchView(bytes)
}

/** `duplicate`, `accepted`, or the error's code. */
function verdict(states: ProducerStates, sent: Sent, origin: 'client' | 'coordinator' = 'client'): string | number {
  const result = states.check(batch(sent), origin)
  return result.kind === 'refused' ? result.errorCode : result.kind
}

const { INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE } = AppendErrorCode

test('the checks on a batch that a client sends', () => {
  const states = new ProducerStates()
  assert.equal(verdict(states, { sequence: 77 }), 'accepted', 'a producer that nobody knows may begin anywhere')
  for (let sequence = 0; sequence < 12; sequence += 2)
    states.apply(batch({ sequence, records: 2, offset: sequence, epoch: 3 }))
  const rows: [Sent, string | number][] = [
    [{ epoch: 3, sequence: 12 }, 'accepted'],
    [{ epoch: 3, sequence: 13 }, OUT_OF_ORDER_SEQUENCE_NUMBER],
    [{ epoch: 3, sequence: 10, records: 2 }, 'duplicate'],
    [{ epoch: 3, sequence: 2, records: 2 }, 'duplicate'],
    [{ epoch: 3, sequence: 0, records: 2 }, OUT_OF_ORDER_SEQUENCE_NUMBER],
    [{ epoch: 3, sequence: 10, records: 1 }, OUT_OF_ORDER_SEQUENCE_NUMBER],
    [{ epoch: 2, sequence: 12 }, INVALID_PRODUCER_EPOCH],
    [{ epoch: 4, sequence: 0 }, 'accepted'],
    [{ epoch: 4, sequence: 12 }, OUT_OF_ORDER_SEQUENCE_NUMBER],
  ]
  for (const [sent, expected] of rows) assert.equal(verdict(states, sent), expected, JSON.stringify(sent))
  assert.equal(verdict(states, { epoch: 3, sequence: 99 }, 'coordinator'), 'accepted')
  assert.equal(verdict(states, { epoch: 2, sequence: 99 }, 'coordinator'), INVALID_PRODUCER_EPOCH)
})

test('sequences wrap from 2^31 − 1 to 0 (KAFKA-5283)', () => {
  const states = new ProducerStates()
  const last = 2 ** 31 - 1
  states.apply(batch({ sequence: last - 1, records: 2 }))
  assert.equal(verdict(states, { sequence: 0 }), 'accepted')
  assert.equal(verdict(states, { sequence: 1 }), OUT_OF_ORDER_SEQUENCE_NUMBER)
  states.apply(batch({ sequence: 0, records: 3, offset: 2 }))
  states.apply(batch({ sequence: last, records: 4, offset: 5 }))
  const [restored] = decodeProducerSnapshot(encodeProducerSnapshot(states.producers()))
  assert.equal(restored!.batches[0]!.firstSequence, last)
  assert.equal(restored!.batches[0]!.lastSequence, 2)
})

test('transactions hold up the last stable offset until their marker is replicated (KAFKA-9807)', () => {
  const states = new ProducerStates()
  states.apply(batch({ id: 1, sequence: 0, offset: 10, isTransactional: true }))
  states.apply(batch({ id: 2, sequence: 0, offset: 11, isTransactional: true }))
  assert.equal(states.firstUnstableOffset, 10)
  assert.equal(verdict(states, { id: 1, sequence: 1 }), INVALID_TXN_STATE)
  const completed = states.apply(marker('abort', 12))!
  assert.deepEqual(completed, { producerId: 1, firstOffset: 10, lastOffset: 12, aborted: true })
  assert.equal(states.lastStableOffsetAfter(completed), 11)
  states.complete(completed)
  assert.equal(states.firstUnstableOffset, 10, 'the marker is not yet below the high watermark')
  states.forgetReplicatedBelow(12)
  assert.equal(states.firstUnstableOffset, 10)
  states.forgetReplicatedBelow(13)
  assert.equal(states.firstUnstableOffset, 11)
  assert.equal(states.apply(marker('commit', 14)), null, 'a marker without data completes nothing')
  assert.equal(verdict(states, { id: 1, sequence: 1, isTransactional: true }), 'accepted')
})

test('markers of an older coordinator or producer epoch are refused', () => {
  const states = new ProducerStates()
  states.apply(batch({ sequence: 0, epoch: 5, isTransactional: true }))
  const completed = states.apply(marker('commit', 1, { epoch: 5, coordinatorEpoch: 7 }))!
  states.complete(completed)
  const code = (change: object): unknown => {
    const result = states.check(marker('commit', 2, { epoch: 5, coordinatorEpoch: 7, ...change }), 'coordinator')
    return result.kind === 'refused' ? result.errorCode : result.kind
  }
  assert.equal(code({}), 'accepted')
  assert.equal(code({ coordinatorEpoch: 6 }), AppendErrorCode.TRANSACTION_COORDINATOR_FENCED)
  assert.equal(code({ epoch: 4 }), INVALID_PRODUCER_EPOCH)
})

test('silent producers are forgotten, those with an open transaction never', () => {
  const states = new ProducerStates()
  states.apply(batch({ id: 1, sequence: 0 }))
  states.apply(batch({ id: 2, sequence: 0, isTransactional: true }))
  states.expire(NOW + 999, 1000)
  assert.equal(states.size, 2)
  states.expire(NOW + 1000, 1000)
  assert.equal(states.producer(1), null)
  assert.notEqual(states.producer(2), null)
})

test('a snapshot comes back, byte for byte as Kafka writes it, and a damaged one is refused (KAFKA-9892)', () => {
  const states = new ProducerStates()
  states.apply(batch({ id: 0x0102, epoch: 3, sequence: 5, records: 4, offset: 100, isTransactional: true }))
  const bytes = encodeProducerSnapshot(states.producers())
  assert.equal(
    Buffer.from(bytes.subarray(6)).toString('hex'),
    '00000001' +
      '0000000000000102' +
      '0003' +
      '00000008' +
      '0000000000000067' +
      '00000003' +
      NOW.toString(16).padStart(16, '0') +
      'ffffffff' +
      '0000000000000064',
  )
  assert.equal(Buffer.from(bytes.subarray(0, 2)).toString('hex'), '0001')
  const again = new ProducerStates()
  again.restore(decodeProducerSnapshot(bytes), 104, NOW, 1000)
  assert.deepEqual([...again.producers()], [...states.producers()])
  assert.equal(again.firstUnstableOffset, 100)
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice()
    damaged[at]! ^= 0x10
    assert.throws(() => decodeProducerSnapshot(damaged), MalformedBytesError, `byte ${at}`)
  }
  assert.throws(() => decodeProducerSnapshot(bytes.subarray(0, 20)), MalformedBytesError)
})
