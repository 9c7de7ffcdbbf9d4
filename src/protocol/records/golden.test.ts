/** Bytes that Apache Kafka 3.9.1's own classes wrote (`MemoryRecordsBuilder`), with what its reader says is in them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Codec, RecordBatchBuilder, RecordBatchView, batchesOf, readControlRecord, validateBatch } from './index.ts'
import { describeRecords, rules } from './testing.ts'

interface Golden {
  name: string
  bytes: string
  records: ReturnType<typeof describeRecords>
}

const goldens = JSON.parse(
  readFileSync(join(import.meta.dirname, 'testdata', 'batches-of-java.json'), 'utf8'),
) as Golden[]

for (const golden of goldens.filter(({ name }) => !/^magic [01]/.test(name))) {
  const bytes = Uint8Array.from(Buffer.from(golden.bytes, 'base64'))

  test(`${golden.name}: reads as in Java`, () => {
    const batches = [...batchesOf(bytes)]
    assert.equal(batches.length, 1)
    assert.ok(batches[0]!.hasValidCrc())
    assert.equal(batches[0]!.sizeInBytes, bytes.length)
    assert.deepEqual(describeRecords(batches[0]!.records()), golden.records)
  })

  test(`${golden.name}: is written with the same bytes, as far as the codec allows`, () => {
    const batch = new RecordBatchView(bytes)
    const isLogAppendTime = batch.timestampType === 'LogAppendTime'
    const builder = new RecordBatchBuilder({
      codec: batch.codec,
      baseOffset: batch.baseOffset,
      partitionLeaderEpoch: batch.partitionLeaderEpoch,
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      isTransactional: batch.isTransactional,
      isControl: batch.isControl,
      timestampType: batch.timestampType,
      logAppendTimeMs: batch.maxTimestamp,
    })
    const cursor = batch.cursor()
    for (const { key, value, headers } of batch.records()) {
      cursor.next()
      builder.append({ timestamp: batch.baseTimestampExact + cursor.timestampDeltaExact(), key, value, headers })
    }
    const rebuilt = builder.build()
    const isExact = batch.codec === Codec.none && !(isLogAppendTime && batch.maxTimestamp > Number.MAX_SAFE_INTEGER)
    if (isExact) assert.deepEqual(rebuilt, bytes)
    else assert.deepEqual(plainRecords(new RecordBatchView(rebuilt)), plainRecords(batch))
  })
}

function plainRecords(batch: RecordBatchView): Uint8Array {
  const cursor = batch.cursor()
  return Uint8Array.from(cursor.bytes.subarray(cursor.position, cursor.end))
}

for (const golden of goldens.filter(({ name }) => /^magic [01]/.test(name)))
  test(`${golden.name}: becomes one batch with the same records`, () => {
    const bytes = Uint8Array.from(Buffer.from(golden.bytes, 'base64'))
    const validation = validateBatch(bytes, rules({ timestampType: 'CreateTime', nowMs: 0 }))
    assert.equal(validation.kind, 'valid', JSON.stringify(validation))
    if (validation.kind !== 'valid') return
    assert.equal(validation.batch.magic, 2)
    assert.ok(validation.batch.hasValidCrc())
    assert.equal(validation.isRewritten, true)
    assert.deepEqual(describeRecords(validation.batch.records()), golden.records)
  })

test('a marker says what Java says it says', () => {
  const golden = goldens.find(({ name }) => name === 'commit marker')!
  const batch = new RecordBatchView(Uint8Array.from(Buffer.from(golden.bytes, 'base64')))
  assert.equal(batch.isControl, true)
  assert.equal(batch.isTransactional, true)
  assert.deepEqual(batch.records().map(readControlRecord), [{ type: 'commit', coordinatorEpoch: 12 }])
})
