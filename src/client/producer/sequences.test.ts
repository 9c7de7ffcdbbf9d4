import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { Codec, RecordBatchView } from '#protocol/records'

import { ProducerBatch } from './batch.ts'
import { PartitionQueue } from './partition-queue.ts'
import { ProducerIdentity } from './sequences.ts'

function setUp() {
  const identity = new ProducerIdentity()
  identity.assign(7, 0)
  const queue = new PartitionQueue('t', 0)
  let ordinal = 0
  const drain = (recordCount = 1): ProducerBatch => {
    const at = { ordinal: ++ordinal, createdMs: 0, reservedBytes: 1000 }
    const batch = new ProducerBatch(queue, { codec: Codec.none, compressionLevel: undefined }, at)
    for (let index = 0; index < recordCount; index++)
      batch.tryAppend({ timestamp: 0, value: new Uint8Array(1) }, null, 1000)
    assert.ok(identity.mayDrain(batch))
    identity.stamp(batch)
    return batch
  }
  return { identity, queue, drain }
}

test('sequences follow each other and wrap around at 2^31', () => {
  const { identity, queue, drain } = setUp()
  identity.acknowledged(drain(), 0)
  queue.sequences.next = 0x7fff_fffe
  queue.sequences.lastAcked = 0x7fff_fffd
  const last = drain(3)
  assert.equal(last.stamp!.baseSequence, 0x7fff_fffe)
  assert.equal(drain().stamp!.baseSequence, 1)
  identity.acknowledged(last, 1)
  assert.ok(queue.sequences.isNext(1))
})

test('at the last epoch another id is needed, and what is under way begins at sequence 0 of it, in bytes of its own', () => {
  const { identity, drain } = setUp()
  identity.assign(7, 32_767)
  identity.acknowledged(drain(), 0)
  const lost = drain()
  const next = drain(2)
  const sentBytes = next.bytes()
  identity.failed(lost, true)
  identity.advance()
  assert.equal(identity.isKnown, false)
  identity.assign(8, 0)
  assert.deepEqual(next.stamp, { producerId: 8, producerEpoch: 0, baseSequence: 0 })
  const view = new RecordBatchView(next.bytes())
  assert.ok(view.hasValidCrc())
  assert.equal(view.producerId, 8)
  assert.equal(new RecordBatchView(sentBytes).producerId, 7)
})

test('a batch that is given up leaves doubt: settled by what comes after, or by a new epoch', () => {
  const settled = setUp()
  settled.identity.acknowledged(settled.drain(), 0)
  const expired = settled.drain()
  const after = settled.drain()
  settled.identity.failed(expired, false)
  settled.identity.advance()
  settled.identity.acknowledged(after, 2)
  settled.identity.advance()
  assert.equal(settled.identity.producerEpoch, 0)

  const unsettled = setUp()
  unsettled.identity.acknowledged(unsettled.drain(), 0)
  unsettled.identity.failed(unsettled.drain(), false)
  unsettled.identity.advance()
  assert.equal(unsettled.identity.producerEpoch, 1)
  assert.deepEqual(unsettled.drain().stamp, { producerId: 7, producerEpoch: 1, baseSequence: 0 })
})

test('an answer about a former stamp raises no second epoch', () => {
  const { identity, drain } = setUp()
  identity.acknowledged(drain(), 0)
  const refused = drain()
  const behind = drain()
  const sentAs = behind.stamp
  identity.failed(refused, true)
  identity.advance()
  const answer = { errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, logStartOffset: 0 }
  assert.ok(identity.mayRetry(behind, sentAs, answer))
  identity.advance()
  assert.equal(identity.producerEpoch, 1)
})

test('a gap is doubted where the batch may be stored already, and believed where it cannot be or does not close', () => {
  const answer = { errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, logStartOffset: 0 }
  const epochAfterGaps = (attempts: number, gaps: number): number => {
    const { identity, drain } = setUp()
    identity.acknowledged(drain(), 0)
    const batch = drain()
    batch.attempts = attempts
    for (let gap = 0; gap < gaps; gap++) assert.ok(identity.mayRetry(batch, batch.stamp, answer))
    identity.advance()
    return identity.producerEpoch
  }
  assert.equal(epochAfterGaps(1, 1), 1)
  assert.equal(epochAfterGaps(2, 1), 0)
  assert.equal(epochAfterGaps(2, 20), 0)
  assert.equal(epochAfterGaps(2, 21), 1)
})
