import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

import { ByteReader, ByteWriter, MalformedBytesError } from '#base'

import {
  EncodingError,
  ZERO_UUID,
  array,
  bool,
  bytes,
  float64,
  int16,
  int32,
  int64,
  int8,
  interpretDecode,
  interpretEncode,
  message,
  records,
  string,
  struct,
  uuid,
} from '#protocol'

const Sample = message({
  name: 'Sample',
  versions: [0, 3],
  flexibleSince: 2,
  fields: {
    name: string,
    nick: string.since(1).nullable().default(null).ignorable,
    old: int32.until(1).default(7),
    items: array({ id: int16, tags: array(string) }).nullable(1),
    place: struct({ x: int32.default(-1), y: int64.default(-1) }).tagged(0, 2),
    note: string.tagged(2, 3).ignorable,
    blob: bytes.since(1),
  },
})

test('a version says what it has, and the rest comes back at its default', () => {
  const said = { name: 'a', items: [{ id: 5, tags: ['x', 'y'] }] }
  assert.deepEqual(Sample.decodeWhole(Sample.encodeToBytes(said, 0), 0), {
    name: 'a',
    nick: null,
    old: 7,
    items: [{ id: 5, tags: ['x', 'y'] }],
    place: { x: -1, y: -1 },
    note: '',
    blob: new Uint8Array(0),
  })
})

test('the bytes are those of the protocol', () => {
  const said = { name: 'ab', nick: null, items: [{ id: 1, tags: ['c'] }], blob: Uint8Array.of(9) }
  assert.equal(
    hex(Sample.encodeToBytes(said, 1)),
    spaced('00026162 ffff 00000007 00000001 0001 00000001 000163 00000001 09'),
  )
  assert.equal(
    hex(Sample.encodeToBytes({ ...said, place: { x: 2 }, note: 'n' }, 3)),
    // The tag section: two tags; tag 0 of 13 bytes with a section of its own, tag 2 of 2 bytes.
    spaced('036162 00 02 0001 02 0263 00 02 09 02 00 0d 00000002 ffffffffffffffff 00 02 02 026e'),
  )
})

test('a field that the version lacks is dropped if it may be, and refused if it says something', () => {
  const said = { name: 'a', items: [], nick: 'dropped', note: 'dropped' }
  assert.equal(Sample.decodeWhole(Sample.encodeToBytes(said, 0), 0).nick, null)
  assert.throws(() => Sample.encodeToBytes({ ...said, blob: Uint8Array.of(1) }, 0), {
    name: 'EncodingError',
    message: 'Sample v0, blob: is set, but this version does not have it',
  })
  assert.throws(() => Sample.encodeToBytes({ ...said, place: { x: 1 } }, 1), EncodingError)
  assert.throws(() => Sample.encodeToBytes({ ...said, old: 8 }, 2), EncodingError)
  assert.doesNotThrow(() => Sample.encodeToBytes({ ...said, old: 7, place: { x: -1, y: -1 } }, 0))
})

test('null is refused where it may not stand, and a text that is too long', () => {
  assert.throws(() => Sample.encodeToBytes({ name: 'a', items: null }, 0), {
    message: 'Sample v0, items: null where none may be',
  })
  assert.equal(Sample.decodeWhole(Sample.encodeToBytes({ name: 'a', items: null }, 1), 1).items, null)
  const long = { name: 'ß'.repeat(0x4000), items: [] }
  for (const version of [0, 3])
    assert.throws(() => Sample.encodeToBytes(long, version), {
      message: `Sample v${version}, name: a text of 32768 bytes`,
    })
})

test('a version that does not exist is refused both ways', () => {
  assert.throws(() => Sample.encodeToBytes({ name: '', items: [] }, 4), EncodingError)
  assert.throws(() => Sample.decodeWhole(new Uint8Array(9), 4), MalformedBytesError)
  assert.throws(() => Sample.decodeWhole(new Uint8Array(9), -1), MalformedBytesError)
})

test('a decoded default belongs to the message alone', () => {
  const empty = Sample.encodeToBytes({ name: '', items: [] }, 2)
  const first = Sample.decodeWhole(empty, 2)
  first.place.x = 99
  assert.equal(Sample.decodeWhole(empty, 2).place.x, -1)
})

const Lump = message({
  name: 'Lump',
  versions: [0, 1],
  flexibleSince: 1,
  fields: { records: records.nullable(), own: bytes },
})

test('records go in and out by reference, other bytes are copied', () => {
  const batch = new Uint8Array(5000).fill(3)
  for (const version of [0, 1]) {
    const writer = new ByteWriter()
    Lump.encode(writer, { records: batch, own: Uint8Array.of(1, 2) }, version)
    assert.ok(writer.chunks().includes(batch))
    const frame = Lump.encodeToBytes({ records: batch, own: Uint8Array.of(1, 2) }, version)
    const decoded = Lump.decodeWhole(frame, version)
    assert.equal(decoded.records!.buffer, frame.buffer)
    assert.notEqual(decoded.own.buffer, frame.buffer)
    frame.fill(0)
    assert.deepEqual(decoded.own, Uint8Array.of(1, 2))
    assert.equal(decoded.records![0], 0)
  }
})

test('records may be given in pieces', () => {
  for (const version of [0, 1]) {
    const whole = { records: Uint8Array.of(1, 2, 3, 4), own: new Uint8Array(0) }
    const pieces = { records: [Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3, 4)], own: new Uint8Array(0) }
    assert.deepEqual(Lump.encodeToBytes(pieces, version), Lump.encodeToBytes(whole, version))
    const interpreted = new ByteWriter()
    interpretEncode(Lump.schema, interpreted, pieces, version)
    assert.deepEqual(interpreted.toBytes(), Lump.encodeToBytes(whole, version))
  }
})

const Values = message({
  name: 'Values',
  versions: [0, 0],
  fields: { flag: bool, small: int8, long: int64, real: float64, id: uuid },
})

test('an int64 outside 2^53 is read as the nearest double and never stops the codec', () => {
  for (const value of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -(2n ** 60n) - 7n]) {
    const frame = Values.encodeToBytes({ flag: true, small: 1, long: 0, real: 1, id: ZERO_UUID }, 0)
    new DataView(frame.buffer).setBigInt64(2, value)
    const decoded = Values.decodeWhole(frame, 0)
    assert.equal(decoded.long, Number(value))
    assert.deepEqual(interpretDecode(Values.schema, new ByteReader(frame), 0), decoded)
    const again = Values.decodeWhole(Values.encodeToBytes(decoded, 0), 0)
    assert.equal(again.long, decoded.long)
  }
})

test('every byte but 0 is true, and a double keeps its bits', () => {
  const frame = Values.encodeToBytes({ flag: true, small: -1, long: -1, real: -0, id: 'AAECAwQFBgcICQoLDA0ODw' }, 0)
  frame[0] = 2
  const decoded = Values.decodeWhole(frame, 0)
  assert.deepEqual(decoded, { flag: true, small: -1, long: -1, real: -0, id: 'AAECAwQFBgcICQoLDA0ODw' })
  assert.deepEqual(
    frame.subarray(18),
    Uint8Array.from({ length: 16 }, (_, index) => index),
  )
})

test('a text keeps its byte order mark, and broken UTF-8 becomes U+FFFD, as in Java', () => {
  const Text = message({ name: 'Text', versions: [0, 0], fields: { text: string } })
  assert.equal(Text.decodeWhole(Text.encodeToBytes({ text: '\u{feff}a' }, 0), 0).text, '\u{feff}a')
  assert.equal(Text.decodeWhole(Uint8Array.of(0, 3, 0x61, 0xff, 0x62), 0).text, 'a\u{fffd}b')
})

test('a text that falls into the same slot as another is not mistaken for it', () => {
  const Text = message({ name: 'Text', versions: [0, 0], fields: { text: string } })
  const frames = Array.from({ length: 20_000 }, (_, index) => Text.encodeToBytes({ text: `topic-${index}` }, 0))
  for (const [index, frame] of frames.entries()) assert.equal(Text.decodeWhole(frame, 0).text, `topic-${index}`)
})

test('where code from strings is forbidden the interpreter serves', () => {
  const program = `
    import { message, string, int32 } from '#protocol'
    const Plain = message({ name: 'Plain', versions: [0, 0], fields: { name: string, id: int32.default(3) } })
    const frame = Plain.encodeToBytes({ name: 'n' }, 0)
    console.log(JSON.stringify(Plain.decodeWhole(frame, 0)))
    try { Plain.decodeWhole(frame.subarray(1), 0) } catch (error) { console.log(error.message) }`
  const options = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', program]
  const printed = execFileSync(process.execPath, options, { cwd: `${import.meta.dirname}/../..`, encoding: 'utf8' })
  const [decoded, refusal] = printed.split('\n')
  assert.equal(decoded, '{"name":"n","id":3}')
  assert.match(refusal!, /^Plain v0, name: 366 bytes wanted/)
})

test('a faulty declaration stops at once', () => {
  const declare = (fields: Parameters<typeof message>[0]['fields']) =>
    message({ name: 'Faulty', versions: [0, 0], flexibleSince: 0, fields })
  assert.throws(() => declare({ a: int8.tagged(0, 0), b: int8.tagged(0, 0) }), { message: 'Faulty.b uses tag 0 again' })
  assert.throws(() => declare({ 'no name': int8 }), { name: 'AssertionError' })
  assert.throws(() => declare({ a: records.tagged(0, 0) }), { name: 'AssertionError' })
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function spaced(digits: string): string {
  return digits.replaceAll(' ', '')
}
