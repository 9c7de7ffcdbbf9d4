import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'

import { concatBytes, crc32c, encodeUtf8 } from '#base'

import {
  Codec,
  RecordBatchBuilder,
  RecordBatchView,
  RecordErrorCode,
  checkProducedRecords,
  codecName,
  compress,
  endTransactionBatch,
  validateBatch,
  type BatchOptions,
  type NewRecord,
  type ValidationRules,
} from './index.ts'
import { describeRecords, rules, sequence } from './testing.ts'

const NOW = 1_700_000_000_000
const { INVALID_RECORD, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, UNSUPPORTED_COMPRESSION_TYPE } =
  RecordErrorCode

const three: NewRecord[] = [
  { timestamp: NOW, key: encodeUtf8('a'), value: encodeUtf8('1') },
  { timestamp: NOW + 5, key: encodeUtf8('b'), value: encodeUtf8('2'), headers: [{ key: 'h', value: encodeUtf8('x') }] },
  { timestamp: NOW - 5, key: encodeUtf8('c'), value: null },
]

function build(records: readonly NewRecord[], options: BatchOptions = {}): Uint8Array {
  const builder = new RecordBatchBuilder(options)
  for (const record of records) builder.append(record)
  return builder.build()
}

/** Changes the header's bytes and makes the checksum fit again. */
function patched(bytes: Uint8Array, patch: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(bytes)
  patch(new DataView(copy.buffer), copy)
  new DataView(copy.buffer).setUint32(17, crc32c(copy, 21))
  return copy
}

function refusalOf(bytes: Uint8Array, changes: Partial<ValidationRules> = {}): RecordErrorCode | 'valid' {
  const validation = validateBatch(bytes, rules(changes))
  return validation.kind === 'valid' ? 'valid' : validation.errorCode
}

const good = build(three)
const HOSTILE: [string, () => Uint8Array, RecordErrorCode][] = [
  ['nothing at all', () => new Uint8Array(0), INVALID_RECORD],
  ['a batch cut short', () => good.subarray(0, good.length - 1), INVALID_RECORD],
  ['a length below the header', () => patchedLength(20), CORRUPT_MESSAGE],
  ['a negative length', () => patchedLength(-5), CORRUPT_MESSAGE],
  ['a length beyond the bytes', () => patchedLength(2 ** 31 - 1), INVALID_RECORD],
  ['two batches', () => concatBytes([good, good]), INVALID_RECORD],
  ['magic 3', () => withByte(16, 3), INVALID_RECORD],
  ['magic 127', () => withByte(16, 127), INVALID_RECORD],
  ['a negative magic', () => withByte(16, 0x80), INVALID_RECORD],
  ['a wrong checksum', () => withByte(good.length - 1, 0x55), CORRUPT_MESSAGE],
  ['a base offset that is not 0', () => build(three, { baseOffset: 1 }), INVALID_RECORD],
  ['a last offset delta that is not count - 1', () => patched(good, (view) => view.setInt32(23, 5)), INVALID_RECORD],
  ['a negative last offset delta', () => patched(good, (view) => view.setInt32(23, -1)), INVALID_RECORD],
  ['no records', () => patched(good, (view) => (view.setInt32(57, 0), view.setInt32(23, -1))), INVALID_RECORD],
  ['a count below what is there', () => counted(2), INVALID_RECORD],
  ['a count above what is there', () => counted(4), INVALID_RECORD],
  ['a count of 2^31 - 1', () => counted(2 ** 31 - 1), INVALID_RECORD],
  ['a negative count', () => counted(-1), INVALID_RECORD],
  ['codec 5', () => patched(good, (_, bytes) => (bytes[22] = 5)), INVALID_RECORD],
  ['codec 7', () => patched(good, (_, bytes) => (bytes[22] = 7)), INVALID_RECORD],
  ['gzip that is not gzip', () => patched(good, (_, bytes) => (bytes[22] = 1)), INVALID_RECORD],
  ['snappy that is not snappy', () => patched(good, (_, bytes) => (bytes[22] = 2)), INVALID_RECORD],
  ['lz4 that is not lz4', () => patched(good, (_, bytes) => (bytes[22] = 3)), INVALID_RECORD],
  ['zstd that is not zstd', () => patched(good, (_, bytes) => (bytes[22] = 4)), INVALID_RECORD],
  ['a control batch', () => build(three, { isControl: true }), INVALID_RECORD],
  ['a producer without sequence', () => build(three, { producerId: 5, producerEpoch: 0 }), INVALID_RECORD],
  ['a producer without epoch', () => build(three, { producerId: 5, baseSequence: 0 }), INVALID_RECORD],
  ['a negative producer id', () => build(three, { producerId: -2, producerEpoch: 0, baseSequence: 0 }), INVALID_RECORD],
  ['a transaction without producer', () => build(three, { isTransactional: true }), INVALID_RECORD],
  ['a record length that is negative', () => rawRecords(3, [0x01]), INVALID_RECORD],
  ['a record length beyond the batch', () => rawRecords(1, [0x7e, 0, 0, 0, 1, 1, 0]), INVALID_RECORD],
  ['a record length that is too small', () => rawRecords(1, [0x08, 0, 0, 0, 1, 1, 0]), INVALID_RECORD],
  ['a record length that is too large', () => rawRecords(1, [0x0e, 0, 0, 0, 1, 1, 0, 0]), INVALID_RECORD],
  ['a key length of -2', () => rawRecords(1, [0x0c, 0, 0, 0, 3, 1, 0]), INVALID_RECORD],
  ['a key length beyond the record', () => rawRecords(1, [0x0c, 0, 0, 0, 0x40, 1, 0]), INVALID_RECORD],
  ['a value length of -2', () => rawRecords(1, [0x0c, 0, 0, 0, 1, 3, 0]), INVALID_RECORD],
  ['a value length beyond the record', () => rawRecords(1, [0x0c, 0, 0, 0, 1, 0x40, 0]), INVALID_RECORD],
  ['a negative header count', () => rawRecords(1, [0x0c, 0, 0, 0, 1, 1, 1]), INVALID_RECORD],
  ['more headers than there are', () => rawRecords(1, [0x0e, 0, 0, 0, 1, 1, 4, 0]), INVALID_RECORD],
  ['fewer headers than there are', () => rawRecords(1, [0x10, 0, 0, 0, 1, 1, 0, 0, 1]), INVALID_RECORD],
  ['a million headers', () => rawRecords(1, [0x12, 0, 0, 0, 1, 1, 0x80, 0x89, 0x7a]), INVALID_RECORD],
  ['a null header key', () => rawRecords(1, [0x10, 0, 0, 0, 1, 1, 2, 1, 1]), INVALID_RECORD],
  ['a varint without end', () => rawRecords(1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), INVALID_RECORD],
  ['a varlong without end', () => rawRecords(1, [0x20, 0, ...Array.from({ length: 15 }, () => 0xff)]), INVALID_RECORD],
  [
    'offsets that are not 0, 1, 2',
    () => rawRecords(2, [0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 4, 1, 1, 0]),
    INVALID_RECORD,
  ],
  ['bytes behind the last record', () => rawRecords(1, [0x0c, 0, 0, 0, 1, 1, 0, 0]), INVALID_RECORD],
]

function withByte(at: number, value: number): Uint8Array {
  const bytes = Uint8Array.from(good)
  bytes[at] = value
  return bytes
}
function patchedLength(length: number): Uint8Array {
  return patched(good, (view) => view.setInt32(8, length))
}
function counted(count: number): Uint8Array {
  return patched(good, (view) => (view.setInt32(57, count), view.setInt32(23, count - 1)))
}
function rawRecords(count: number, records: readonly number[], codec: Codec = Codec.none): Uint8Array {
  const packed = compress(codec, Uint8Array.from(records))
  const header = build([{ timestamp: NOW, value: null }]).subarray(0, 61)
  return patched(concatBytes([header, packed]), (view, bytes) => {
    view.setInt32(8, bytes.length - 12)
    view.setInt32(23, count - 1)
    view.setInt32(57, count)
    bytes[22] = codec
  })
}

for (const [what, make, errorCode] of HOSTILE)
  test(`refused: ${what}`, () => assert.equal(refusalOf(make()), errorCode))

for (const codec of Object.values(Codec))
  test(`${codecName(codec)}: a good batch passes unchanged`, () => {
    const bytes = build(three, { codec, producerId: 7, producerEpoch: 0, baseSequence: 0 })
    const validation = validateBatch(Uint8Array.from(bytes), rules({ isCompacted: true, timestampAfterMaxMs: 60_000 }))
    assert.ok(validation.kind === 'valid' && !validation.isRewritten)
    assert.deepEqual(validation.batch.bytes, bytes)
  })

test('what coordinators write may be control batches', () => {
  const marker = endTransactionBatch({
    type: 'commit',
    coordinatorEpoch: 1,
    producerId: 1,
    producerEpoch: 0,
    timestamp: NOW,
  })
  assert.equal(refusalOf(marker), INVALID_RECORD)
  assert.equal(refusalOf(marker, { origin: 'coordinator' }), 'valid')
})

test('the maximum size is allowed, and one byte more is not', () => {
  assert.equal(refusalOf(good, { batchBytesMax: good.length }), 'valid')
  assert.equal(refusalOf(good, { batchBytesMax: good.length - 1 }), MESSAGE_TOO_LARGE)
})

test('a compacted topic names the records without key', () => {
  const bytes = build([three[0]!, { timestamp: NOW, value: null }, three[1]!, { timestamp: NOW, value: null }])
  const validation = validateBatch(bytes, rules({ isCompacted: true }))
  assert.ok(validation.kind === 'refused')
  assert.equal(validation.errorCode, INVALID_RECORD)
  assert.deepEqual(
    validation.recordErrors.map(({ batchIndex }) => batchIndex),
    [1, 3],
  )
  assert.equal(refusalOf(bytes), 'valid')
})

test('the list of records at fault is bounded', () => {
  const bytes = build(Array.from({ length: 5000 }, () => ({ timestamp: NOW, value: null })))
  const validation = validateBatch(bytes, rules({ isCompacted: true }))
  assert.ok(validation.kind === 'refused' && validation.recordErrors.length === 1000)
})

test('timestamps outside the bounds are named; -1 is none', () => {
  const at = (timestamp: number): Uint8Array => build([{ timestamp, value: null }])
  const bounds = { timestampBeforeMaxMs: 1000, timestampAfterMaxMs: 10, nowMs: NOW }
  assert.equal(refusalOf(at(NOW - 1000), bounds), 'valid')
  assert.equal(refusalOf(at(NOW - 1001), bounds), INVALID_TIMESTAMP)
  assert.equal(refusalOf(at(NOW + 10), bounds), 'valid')
  assert.equal(refusalOf(at(NOW + 11), bounds), INVALID_TIMESTAMP)
  assert.equal(refusalOf(at(-1), bounds), 'valid')
  assert.equal(refusalOf(at(NOW + 11), { ...bounds, timestampType: 'LogAppendTime' }), 'valid')
  const validation = validateBatch(
    build([
      { timestamp: NOW, value: null },
      { timestamp: 5, value: null },
    ]),
    rules(bounds),
  )
  assert.ok(validation.kind === 'refused' && validation.recordErrors[0]!.batchIndex === 1)
})

test('a producer may not set log append time where the leader does', () => {
  const bytes = build(three, { timestampType: 'LogAppendTime', logAppendTimeMs: NOW })
  assert.equal(refusalOf(bytes, { timestampType: 'LogAppendTime' }), INVALID_TIMESTAMP)
})

test('log append time is written by the leader', () => {
  const validation = validateBatch(Uint8Array.from(good), rules({ timestampType: 'LogAppendTime', nowMs: NOW + 777 }))
  assert.ok(validation.kind === 'valid' && !validation.isRewritten && validation.batch.hasValidCrc())
  assert.ok(validation.batch.records().every(({ timestamp }) => timestamp === NOW + 777))
})

test('a maximum timestamp that lies is corrected, to the nanosecond', () => {
  for (const codec of [Codec.none, Codec.lz4])
    for (const stamps of [
      [NOW, NOW + 1],
      [1_700_000_000_123_456_789n, 1_700_000_000_123_456_790n],
      [0n, 2n ** 62n + 1n],
    ] as const) {
      const bytes = build(
        stamps.map((timestamp) => ({ timestamp, value: null })),
        { codec },
      )
      const lying = patched(bytes, (view) => view.setBigInt64(35, 99n))
      const validation = validateBatch(lying, rules())
      assert.ok(validation.kind === 'valid' && validation.batch.hasValidCrc())
      assert.deepEqual(validation.batch.bytes, bytes)
    }
})

test('a topic with a codec of its own has batches encoded anew', () => {
  for (const from of Object.values(Codec))
    for (const to of Object.values(Codec)) {
      const bytes = build(three, {
        codec: from,
        producerId: 7,
        producerEpoch: 2,
        baseSequence: 40,
        isTransactional: true,
      })
      const validation = validateBatch(bytes, rules({ compression: to }))
      assert.ok(validation.kind === 'valid')
      assert.equal(validation.isRewritten, from !== to)
      const { batch } = validation
      assert.equal(batch.codec, to)
      assert.ok(batch.hasValidCrc() && batch.isTransactional)
      assert.deepEqual([batch.producerId, batch.producerEpoch, batch.baseSequence], [7, 2, 40])
      assert.deepEqual(describeRecords(batch.records()), describeRecords(new RecordBatchView(bytes).records()))
    }
})

test('a batch that grows beyond the maximum when it is encoded anew is refused', () => {
  const bytes = build([{ timestamp: NOW, value: new Uint8Array(5000) }], { codec: Codec.zstd })
  assert.equal(refusalOf(bytes, { batchBytesMax: 2000 }), 'valid')
  assert.equal(refusalOf(bytes, { batchBytesMax: 2000, compression: Codec.none }), MESSAGE_TOO_LARGE)
})

test('a compressed batch with wrong offsets inside is encoded anew instead of refused', () => {
  const bytes = rawRecords(2, [0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 4, 1, 1, 0], Codec.gzip)
  const validation = validateBatch(bytes, rules())
  assert.ok(validation.kind === 'valid' && validation.isRewritten)
  assert.deepEqual(
    validation.batch.records().map(({ offset }) => offset),
    [0, 1],
  )
})

test('a compressed batch is checked inside', () => {
  for (const [, make] of HOSTILE.filter(([what]) =>
    /record length|key length|value length|headers|header key|varint/.test(what),
  )) {
    const plain = make()
    const count = new RecordBatchView(plain).recordCount
    for (const codec of [Codec.gzip, Codec.snappy, Codec.lz4, Codec.zstd])
      assert.equal(refusalOf(rawRecords(count, [...plain.subarray(61)], codec)), INVALID_RECORD)
  }
})

test('a bomb is refused as too large', () => {
  for (const codec of [Codec.gzip, Codec.zstd, Codec.lz4]) {
    const bomb = build([{ timestamp: NOW, value: new Uint8Array(40 * 1024 * 1024) }], { codec })
    assert.ok(bomb.length < 200_000)
    assert.equal(refusalOf(bomb), MESSAGE_TOO_LARGE)
  }
})

test('versions of Produce', () => {
  const v2 = (codec: Codec): Uint8Array => build(three, { codec })
  const code = (bytes: Uint8Array | null, version: number): number =>
    checkProducedRecords(bytes, version)?.errorCode ?? 0
  assert.equal(code(null, 9), INVALID_RECORD)
  assert.equal(code(new Uint8Array(0), 9), INVALID_RECORD)
  assert.equal(code(null, 2), 0)
  assert.equal(code(v2(Codec.none), 3), 0)
  assert.equal(code(concatBytes([good, good]), 3), INVALID_RECORD)
  assert.equal(code(v2(Codec.zstd), 6), UNSUPPORTED_COMPRESSION_TYPE)
  assert.equal(code(v2(Codec.zstd), 7), 0)
  assert.equal(code(messageSet(1, three), 3), INVALID_RECORD)
  assert.equal(code(messageSet(1, three), 2), 0)
})

/** A message set of an old format, as its producers wrote it. */
function messageSet(magic: 0 | 1, records: readonly NewRecord[], codec: Codec = Codec.none): Uint8Array {
  const plain = concatBytes(records.map((record, index) => message(magic, record, index, Codec.none)))
  if (codec === Codec.none) return plain
  const timestamp = records.map((record) => Number(record.timestamp)).reduce((a, b) => Math.max(a, b))
  return message(magic, { timestamp, value: compress(codec, plain) }, records.length - 1, codec)
}

function message(
  magic: number,
  { timestamp, key = null, value }: NewRecord,
  offset: number,
  attributes: number,
): Uint8Array {
  const field = (bytes: Uint8Array | null): Uint8Array[] => {
    const length = new DataView(new ArrayBuffer(4))
    length.setInt32(0, bytes?.length ?? -1)
    return [new Uint8Array(length.buffer), bytes ?? new Uint8Array(0)]
  }
  const stamp = new DataView(new ArrayBuffer(8))
  stamp.setBigInt64(0, BigInt(timestamp))
  const content = concatBytes([
    Uint8Array.of(magic, attributes),
    magic === 1 ? new Uint8Array(stamp.buffer) : new Uint8Array(0),
    ...field(key),
    ...field(value),
  ])
  const prefix = new DataView(new ArrayBuffer(16))
  prefix.setBigInt64(0, BigInt(offset))
  prefix.setInt32(8, content.length + 4)
  prefix.setUint32(12, crc32(content))
  return concatBytes([new Uint8Array(prefix.buffer), content])
}

for (const magic of [0, 1] as const)
  for (const codec of [Codec.none, Codec.gzip, Codec.snappy, Codec.lz4])
    test(`magic ${magic}, ${codecName(codec)}: a message set becomes one batch`, () => {
      const validation = validateBatch(messageSet(magic, three, codec), rules({ isCompacted: true }))
      assert.ok(validation.kind === 'valid' && validation.isRewritten)
      assert.equal(validation.batch.codec, codec)
      assert.deepEqual(
        validation.batch.records().map(({ offset, timestamp, key, value }) => [offset, timestamp, key, value]),
        three.map(({ timestamp, key, value }, index) => [index, magic === 0 ? -1 : timestamp, key, value]),
      )
    })

const wrapped = messageSet(1, three, Codec.gzip)
const OLD_HOSTILE: [string, Uint8Array, RecordErrorCode][] = [
  ['a wrong checksum', brokenAt(messageSet(1, three), 34), CORRUPT_MESSAGE],
  [
    'a wrong checksum inside',
    message(1, { timestamp: 1, value: compress(Codec.gzip, brokenAt(messageSet(1, three), 34)) }, 2, 1),
    CORRUPT_MESSAGE,
  ],
  ['a size below the least', brokenSize(messageSet(1, three), 10), CORRUPT_MESSAGE],
  ['two wrappers', concatBytes([wrapped, wrapped]), INVALID_RECORD],
  ['a wrapper beside a message', concatBytes([messageSet(1, three), wrapped]), INVALID_RECORD],
  [
    'a wrapper inside a wrapper',
    message(1, { timestamp: 1, value: compress(Codec.gzip, wrapped) }, 0, 1),
    INVALID_RECORD,
  ],
  ['a wrapper without value', message(1, { timestamp: 1, value: null }, 0, 1), INVALID_RECORD],
  [
    'a wrapper without messages',
    message(1, { timestamp: 1, value: compress(Codec.gzip, new Uint8Array(0)) }, 0, 1),
    INVALID_RECORD,
  ],
  ['zstd', message(1, { timestamp: 1, value: compress(Codec.zstd, messageSet(1, three)) }, 0, 4), INVALID_RECORD],
  ['mixed magic', concatBytes([messageSet(1, three), messageSet(0, three)]), INVALID_RECORD],
  [
    'mixed magic inside',
    message(1, { timestamp: 1, value: compress(Codec.gzip, messageSet(0, three)) }, 0, 1),
    INVALID_RECORD,
  ],
  ['a batch behind messages', concatBytes([messageSet(1, three), good]), INVALID_RECORD],
]
function brokenAt(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at]! ^= 1
  return bytes
}
function brokenSize(bytes: Uint8Array, size: number): Uint8Array {
  new DataView(bytes.buffer).setInt32(8, size)
  return bytes
}

for (const [what, bytes, errorCode] of OLD_HOSTILE)
  test(`old format, refused: ${what}`, () => assert.equal(refusalOf(bytes), errorCode))

test('bytes changed at random are refused, or are one sound batch', () => {
  const next = sequence(0xbad)
  const seeds = [
    good,
    build(three, { codec: Codec.lz4 }),
    build(three, { codec: Codec.snappy }),
    messageSet(1, three),
    messageSet(0, three, Codec.gzip),
  ]
  let valid = 0
  for (let round = 0; round < 6000; round++) {
    const bytes = Uint8Array.from(seeds[round % seeds.length]!)
    for (let change = next(4); change >= 0; change--) bytes[next(bytes.length)] = next(256)
    // With a checksum that fits, the change reaches the checks behind it.
    if (round % 3 && bytes[16] === 2) new DataView(bytes.buffer).setUint32(17, crc32c(bytes, 21))
    const validation = validateBatch(bytes, rules({ isCompacted: next(2) === 0 }))
    if (validation.kind === 'refused') continue
    valid += 1
    assert.ok(validation.batch.hasValidCrc())
    const records = validation.batch.records()
    assert.deepEqual(
      records.map(({ offset }) => offset),
      Array.from(records, (_, index) => index),
    )
    for (const record of records) void [record.key, record.value, record.headers, record.timestampExact]
  }
  assert.ok(valid > 0)
})
