import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Arena, MalformedBytesError, concatBytes, encodeUtf8 } from '#base'

import {
  Codec,
  RecordBatchBuilder,
  RecordBatchView,
  batchesOf,
  codecName,
  endTransactionBatch,
  readControlRecord,
  sequenceAfter,
  type NewRecord,
} from './index.ts'
import { describeRecords, sequence } from './testing.ts'

function build(
  records: readonly NewRecord[],
  options: ConstructorParameters<typeof RecordBatchBuilder>[0] = {},
): Uint8Array {
  const builder = new RecordBatchBuilder(options)
  for (const record of records) builder.append(record)
  return builder.build()
}

function randomRecords(seed: number): NewRecord[] {
  const next = sequence(seed)
  const bytes = (lengthMax: number): Uint8Array => Uint8Array.from({ length: next(lengthMax) }, () => next(256))
  return Array.from({ length: 1 + next(30) }, () => ({
    timestamp: next(4) === 0 ? BigInt(next(2 ** 32)) * 2_000_000_000n : 1_700_000_000_000 + next(100_000),
    key: next(3) === 0 ? null : bytes(60),
    value: next(6) === 0 ? null : bytes(next(20) === 0 ? 5000 : 200),
    headers: Array.from({ length: next(3) }, (_, index) => ({
      key: `kopf-${index}-ä`,
      value: next(4) === 0 ? null : bytes(300),
    })),
  }))
}

for (const codec of Object.values(Codec))
  test(`${codecName(codec)}: records at random come back`, () => {
    for (let seed = 1; seed <= 40; seed++) {
      const records = randomRecords(seed * 31)
      const batch = new RecordBatchView(build(records, { codec, baseOffset: seed * 1e9 }))
      assert.ok(batch.hasValidCrc())
      assert.equal(batch.recordCount, records.length)
      const expected = records.map(({ timestamp, key = null, value, headers = [] }, index) => ({
        offset: seed * 1e9 + index,
        timestamp: String(timestamp),
        key: key && Buffer.from(key).toString('hex'),
        value: value && Buffer.from(value).toString('hex'),
        headers: headers.map((header) => [header.key, header.value && Buffer.from(header.value).toString('hex')]),
      }))
      assert.deepEqual(describeRecords(batch.records()), expected, `seed ${seed}`)
      const timestamps = records.map(({ timestamp }) => BigInt(timestamp))
      assert.equal(
        batch.maxTimestampExact,
        timestamps.reduce((a, b) => (a > b ? a : b)),
        `seed ${seed}`,
      )
    }
  })

test('every field of the header comes back', () => {
  const batch = new RecordBatchView(
    build([{ timestamp: 5, value: null }], {
      codec: Codec.zstd,
      baseOffset: 2 ** 52 + 1,
      partitionLeaderEpoch: 2 ** 31 - 1,
      producerId: 2 ** 53 - 1,
      producerEpoch: 32_767,
      baseSequence: 2 ** 31 - 1,
      isTransactional: true,
      isControl: true,
      timestampType: 'LogAppendTime',
      logAppendTimeMs: 99,
    }),
  )
  assert.equal(batch.baseOffset, 2 ** 52 + 1)
  assert.equal(batch.lastOffset, 2 ** 52 + 1)
  assert.equal(batch.nextOffset, 2 ** 52 + 2)
  assert.equal(batch.partitionLeaderEpoch, 2 ** 31 - 1)
  assert.equal(batch.magic, 2)
  assert.equal(batch.codec, Codec.zstd)
  assert.equal(batch.timestampType, 'LogAppendTime')
  assert.equal(batch.baseTimestamp, 5)
  assert.equal(batch.maxTimestamp, 99)
  assert.equal(batch.producerId, 2 ** 53 - 1)
  assert.equal(batch.producerEpoch, 32_767)
  assert.equal(batch.baseSequence, 2 ** 31 - 1)
  assert.equal(batch.lastSequence, 2 ** 31 - 1)
  assert.ok(batch.isTransactional && batch.isControl)
  assert.equal(batch.deleteHorizonMs, null)
  assert.deepEqual(
    batch.records().map(({ timestamp }) => timestamp),
    [99],
  )
})

test('the leader patches offset and epoch without touching the checksum', () => {
  const batch = new RecordBatchView(
    build([
      { timestamp: 1, value: encodeUtf8('v') },
      { timestamp: 2, value: null },
    ]),
  )
  batch.baseOffset = 1_000_000_000_000
  batch.partitionLeaderEpoch = 7
  assert.ok(batch.hasValidCrc())
  assert.deepEqual(
    batch.records().map(({ offset }) => offset),
    [1_000_000_000_000, 1_000_000_000_001],
  )
})

test('log append time stands for every record and has a valid checksum', () => {
  const batch = new RecordBatchView(
    build([
      { timestamp: 1, value: null },
      { timestamp: 2, value: null },
    ]),
  )
  batch.setLogAppendTime(1_700_000_000_000)
  assert.ok(batch.hasValidCrc())
  assert.deepEqual(
    batch.records().map(({ timestampExact }) => timestampExact),
    [1_700_000_000_000n, 1_700_000_000_000n],
  )
  batch.setMaxTimestamp(2)
  assert.equal(batch.timestampType, 'CreateTime')
  assert.deepEqual(
    batch.records().map(({ timestamp }) => timestamp),
    [1, 2],
  )
})

test('timestamps keep all 64 bits', () => {
  const stamps = [2n ** 63n - 1n, -(2n ** 63n), 0n, 1_700_000_000_123_456_789n, -1n]
  for (const base of stamps) {
    const batch = new RecordBatchView(build([base, ...stamps].map((timestamp) => ({ timestamp, value: null }))))
    assert.deepEqual(
      batch.records().map(({ timestampExact }) => timestampExact),
      [base, ...stamps],
    )
  }
})

test('a batch in the arena has the same checksum as elsewhere', () => {
  const bytes = build([{ timestamp: 1, value: new Uint8Array(20_000).fill(3) }])
  const chunk = Arena.allocate(bytes.length + 100)
  chunk.set(bytes, 100)
  const batch = new RecordBatchView(chunk, 100)
  assert.ok(batch.hasValidCrc())
  assert.deepEqual(batch.toBytes(), bytes)
  chunk[chunk.length - 1]! ^= 1
  assert.equal(batch.hasValidCrc(), false)
  Arena.release(chunk)
})

test('batches are walked in order, and a cut last one is left out', () => {
  const batches = [1, 2, 3].map((baseOffset) => build([{ timestamp: 1, value: null }], { baseOffset }))
  const bytes = concatBytes(batches)
  const offsets = (end: number): number[] => [...batchesOf(bytes.subarray(0, end))].map(({ baseOffset }) => baseOffset)
  assert.deepEqual(offsets(bytes.length), [1, 2, 3])
  assert.deepEqual(offsets(bytes.length - 1), [1, 2])
  assert.deepEqual(offsets(batches[0]!.length + 11), [1])
  assert.deepEqual(offsets(16), [])
})

test('a batch that states a size below its header is refused', () => {
  const bytes = build([{ timestamp: 1, value: null }])
  for (const length of [-1, 0, 48, -(2 ** 31)]) {
    new DataView(bytes.buffer, bytes.byteOffset).setInt32(8, length)
    assert.throws(() => [...batchesOf(bytes)], MalformedBytesError)
  }
})

test('offsets keep their gaps', () => {
  const builder = new RecordBatchBuilder({ baseOffset: 100 })
  builder.append({ timestamp: 1, value: null }, 3)
  builder.append({ timestamp: 1, value: null }, 90)
  const batch = new RecordBatchView(builder.build())
  assert.deepEqual(
    batch.records().map(({ offset }) => offset),
    [103, 190],
  )
  assert.equal(batch.lastOffset, 190)
})

test('sequences begin again at 0', () => {
  assert.equal(sequenceAfter(2 ** 31 - 1, 1), 0)
  assert.equal(sequenceAfter(2 ** 31 - 3, 5), 2)
  assert.equal(sequenceAfter(5, 5), 10)
  const records = Array.from({ length: 4 }, () => ({ timestamp: 1, value: null }))
  assert.equal(new RecordBatchView(build(records, { producerId: 1, baseSequence: 2 ** 31 - 2 })).lastSequence, 1)
})

test('a marker round trip', () => {
  const bytes = endTransactionBatch({
    type: 'abort',
    coordinatorEpoch: 3,
    producerId: 9,
    producerEpoch: 1,
    timestamp: 55,
  })
  const batch = new RecordBatchView(bytes)
  assert.ok(batch.isControl && batch.isTransactional && batch.hasValidCrc())
  assert.equal(batch.baseSequence, -1)
  assert.deepEqual(batch.records().map(readControlRecord), [{ type: 'abort', coordinatorEpoch: 3 }])
})

test('the builder tells what fits', () => {
  const record: NewRecord = {
    timestamp: 1,
    key: new Uint8Array(100),
    value: new Uint8Array(900),
    headers: [{ key: 'ä', value: null }],
  }
  const builder = new RecordBatchBuilder()
  while (builder.hasRoomFor(record, 16_384)) builder.append(record)
  const batch = builder.build()
  assert.ok(batch.length <= 16_384 && batch.length > 16_384 - 1100)
})

test('values that lie packed make the same bytes as records one by one', () => {
  const next = sequence(7)
  for (let seed = 0; seed < 60; seed++) {
    const values = Array.from({ length: 1 + next(200) }, () =>
      Uint8Array.from({ length: next(10) === 0 ? 150 + next(200) : next(40) }, () => next(256)),
    )
    const bytes = concatBytes([Uint8Array.of(1, 2, 3), ...values])
    const bounds = new Int32Array(values.length * 2)
    let at = 3
    values.forEach((value, index) => {
      bounds[2 * index] = at
      bounds[2 * index + 1] = at += value.length
    })
    const bytesMax = 61 + next(6000)
    const [single, packed] = [new RecordBatchBuilder(), new RecordBatchBuilder({ capacity: 61 })]
    // A later time than the first record's, and an earlier one.
    const timestamp = 1000 + next(3) * 100_000
    const first = { timestamp: 100_000, key: null, value: Uint8Array.of(9) }
    if (next(2) === 0) for (const builder of [single, packed]) builder.append(first)
    const from = next(values.length)
    let count = 0
    for (const value of values.slice(from)) {
      if (!single.hasRoomFor({ timestamp, value }, bytesMax)) break
      single.append({ timestamp, value })
      count += 1
    }
    assert.equal(packed.appendValues({ bytes, bounds, count: values.length }, from, timestamp, bytesMax), count)
    assert.deepEqual(packed.build(), single.build(), `seed ${seed}`)
  }
})
