import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter, MalformedBytesError, concatBytes, encodeUtf8, utf8Length } from '#base'

test('every number comes back as it was written', () => {
  const writer = new ByteWriter(1)
  writer.int8(-5)
  writer.int16(-300)
  writer.int32(-70_000)
  writer.uint32(0xffff_fff0)
  writer.int64(-(2 ** 53) + 1)
  writer.int64(2 ** 53 - 1)
  writer.bigint64(-(2n ** 63n))
  writer.float64(0.1)
  for (const value of [0, 127, 128, 2 ** 31, 2 ** 32 - 1]) writer.unsignedVarint(value)
  for (const value of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31)]) writer.varint(value)
  for (const value of [0, -1, 1, 2 ** 53 - 1, -(2 ** 53) + 1]) writer.varlong(value)

  const reader = new ByteReader(writer.toBytes())
  assert.equal(reader.int8(), -5)
  assert.equal(reader.int16(), -300)
  assert.equal(reader.int32(), -70_000)
  assert.equal(reader.uint32(), 0xffff_fff0)
  assert.equal(reader.int64(), -(2 ** 53) + 1)
  assert.equal(reader.int64(), 2 ** 53 - 1)
  assert.equal(reader.bigint64(), -(2n ** 63n))
  assert.equal(reader.float64(), 0.1)
  for (const value of [0, 127, 128, 2 ** 31, 2 ** 32 - 1]) assert.equal(reader.unsignedVarint(), value)
  for (const value of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31)]) assert.equal(reader.varint(), value)
  for (const value of [0, -1, 1, 2 ** 53 - 1, -(2 ** 53) + 1]) assert.equal(reader.varlong(), value)
  assert.equal(reader.remaining, 0)
})

test('an int64 beyond 2^53 is read as the nearest double', () => {
  const writer = new ByteWriter()
  writer.bigint64(2n ** 63n - 1n)
  assert.equal(new ByteReader(writer.toBytes()).int64(), 2 ** 63)
})

test('large payloads are kept by reference and in order', () => {
  const payload = new Uint8Array(4096).fill(7)
  const writer = new ByteWriter(8)
  writer.int32(1)
  writer.bytes(payload)
  writer.utf8('end')
  assert.equal(writer.length, 4 + 4096 + 3)
  const chunks = writer.chunks()
  assert.equal(chunks[1], payload)
  assert.equal(chunks.length, 3)
})

test('pieces between large payloads share their buffers', () => {
  const payload = new Uint8Array(2000).fill(7)
  const writer = new ByteWriter(16)
  for (let round = 0; round < 1000; round++) {
    writer.int32(round)
    writer.bytes(payload)
  }
  assert.equal(writer.length, 1000 * 2004)
  const chunks = writer.chunks()
  assert.ok(new Set(chunks.map(({ buffer }) => buffer)).size < 12)
  const reader = new ByteReader(concatBytes(chunks))
  for (let round = 0; round < 1000; round++) {
    assert.equal(reader.int32(), round)
    assert.deepEqual(reader.slice(2000), payload)
  }
})

test('what has grown long is not copied again and again, and stays in order', () => {
  const writer = new ByteWriter(8)
  const count = 100_000
  for (let index = 0; index < count; index++) writer.int32(index)
  assert.equal(writer.length, 4 * count)
  const chunks = writer.chunks()
  assert.ok(chunks.length > 5 && chunks.length < 20)
  const reader = new ByteReader(concatBytes(chunks))
  for (let index = 0; index < count; index++) assert.equal(reader.int32(), index)
})

test('text of every width of UTF-8 comes back, and its length is known beforehand', () => {
  for (const text of ['', 'plain', 'Größe', '카프카', 'a😀b', 'x'.repeat(200) + 'é']) {
    assert.equal(utf8Length(text), encodeUtf8(text).length)
    const writer = new ByteWriter()
    writer.utf8(text)
    const bytes = writer.toBytes()
    assert.equal(new ByteReader(bytes).utf8(bytes.length), text)
  }
})

test('a read past the end and an endless varint are refused', () => {
  assert.throws(() => new ByteReader(new Uint8Array(3)).int32(), MalformedBytesError)
  assert.throws(() => new ByteReader(new Uint8Array(3)).slice(-1), MalformedBytesError)
  assert.throws(() => new ByteReader(new Uint8Array(11).fill(0xff)).unsignedVarint(), MalformedBytesError)
  assert.throws(() => new ByteReader(new Uint8Array(11).fill(0xff)).varlong(), MalformedBytesError)
})

test('writers that are used side by side do not touch each other', () => {
  const writers = Array.from({ length: 600 }, (_, index) => ({ index, writer: new ByteWriter(1 + (index % 300)) }))
  for (let round = 0; round < 40; round++) for (const { index, writer } of writers) writer.int32(index * 1000 + round)
  for (const { index, writer } of writers) {
    const bytes = index % 2 === 0 ? writer.toBytes() : concatBytes(writer.chunks())
    const next = new ByteWriter()
    next.bytes(new Uint8Array(200).fill(0xff))
    const reader = new ByteReader(bytes)
    for (let round = 0; round < 40; round++) assert.equal(reader.int32(), index * 1000 + round)
    assert.equal(reader.remaining, 0)
  }
})

test('an array that is kept does not keep a slab', () => {
  const writer = new ByteWriter()
  writer.int32(7)
  assert.equal(writer.toBytes().buffer.byteLength, 4)
})
