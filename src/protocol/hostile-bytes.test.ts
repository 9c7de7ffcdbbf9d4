/** Nothing that comes from the wire is trusted: each lie is refused with words, by the compiled code and the interpreter alike. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, MalformedBytesError } from '#base'

import {
  array,
  bytes,
  int16,
  int32,
  interpretDecode,
  message,
  records,
  string,
  struct,
  uuid,
  type Fields,
  type Message,
} from '#protocol'

const INT32_MAX = '7fffffff'
/** A varint that claims 2^32 - 1, which as a length says 2^32 - 2. */
const VARINT_MAX = 'ffffffff0f'

interface Lie {
  readonly what: string
  readonly fields: Fields
  readonly frame: string
  readonly says: RegExp
}

const PLAIN: Lie[] = [
  { what: 'an empty frame', fields: { id: int32 }, frame: '', says: /Lie v0, id: 4 bytes wanted, but only 0 remain/ },
  { what: 'a frame cut short', fields: { id: int16, other: int32 }, frame: '0001 0000', says: /other: 4 bytes wanted/ },
  { what: 'a text beyond the end', fields: { name: string }, frame: '0005 61', says: /name: 5 bytes wanted/ },
  { what: 'a text of length -1', fields: { name: string }, frame: 'ffff', says: /name: null where none may be/ },
  { what: 'a text of length -2', fields: { name: string.nullable() }, frame: 'fffe', says: /name: length -2/ },
  { what: 'bytes beyond the end', fields: { blob: bytes }, frame: `${INT32_MAX} 00`, says: /blob: 2147483647 bytes/ },
  { what: 'bytes of length -1', fields: { blob: bytes }, frame: 'ffffffff', says: /null where none may be/ },
  { what: 'bytes of length -2', fields: { blob: bytes.nullable() }, frame: 'fffffffe', says: /length -2/ },
  { what: 'records beyond the end', fields: { records }, frame: '00000002 00', says: /records: 2 bytes wanted/ },
  { what: 'an array of count -1', fields: { ids: array(int32) }, frame: 'ffffffff', says: /null where none may be/ },
  { what: 'an array of count -2', fields: { ids: array(int32).nullable() }, frame: 'fffffffe', says: /-2 elements/ },
  {
    what: 'an array of 2^31 - 1 numbers',
    fields: { ids: array(int32) },
    frame: `${INT32_MAX} 00000000`,
    says: /ids: 2147483647 elements are claimed, but only 4 bytes remain/,
  },
  {
    what: 'more structs than fit',
    fields: { items: array({ name: string, id: uuid }) },
    frame: `00000002 ${'00'.repeat(35)}`,
    says: /items: 2 elements are claimed, but only 35 bytes remain/,
  },
  { what: 'a null inside an array', fields: { names: array(string) }, frame: '00000001 ffff', says: /names: null/ },
  {
    what: 'a fault deep inside',
    fields: { topics: array({ partitions: array({ index: int32, name: string }) }) },
    frame: '00000001 00000001 00000000 0009',
    says: /topics\.partitions\.name: 9 bytes wanted/,
  },
  {
    what: 'a struct where the frame ends',
    fields: { one: struct({ id: int32 }).nullable() },
    frame: '',
    says: /one: 1 /,
  },
  {
    what: 'a struct cut short',
    fields: { one: struct({ id: int32 }).nullable() },
    frame: '01 00',
    says: /one\.id: 4 /,
  },
]

const FLEXIBLE: Lie[] = [
  { what: 'no tag section', fields: { id: int32 }, frame: '00000001', says: /tags: 1 bytes wanted/ },
  { what: 'a text of compact length 0', fields: { name: string }, frame: '00 00', says: /null where none may be/ },
  {
    what: 'a text of compact length 2^32 - 2',
    fields: { name: string },
    frame: `${VARINT_MAX} 00`,
    says: /a text of 4294967294 bytes/,
  },
  {
    what: 'a text of 32,768 bytes',
    fields: { name: string },
    frame: `818002 ${'61'.repeat(32_768)} 00`,
    says: /a text of 32768 bytes/,
  },
  {
    what: 'bytes of compact length 2^32 - 2',
    fields: { blob: bytes },
    frame: `${VARINT_MAX} 00`,
    says: /4294967294 bytes wanted/,
  },
  { what: 'a varint of six bytes', fields: { name: string }, frame: 'ffffffffff0f 00', says: /longer than five bytes/ },
  { what: 'a varint cut short', fields: { name: string }, frame: 'ff', says: /name: 1 bytes wanted/ },
  {
    what: 'an array of 10^9 structs that are nothing but a tag section',
    fields: { items: array({ note: int32.tagged(0, 0) }) },
    frame: '8194ebdc03 00 00',
    says: /items: 1000000000 elements are claimed, but only 2 bytes remain/,
  },
  {
    what: 'an array of compact count 0',
    fields: { ids: array(int32) },
    frame: '00 00',
    says: /null where none may be/,
  },
  { what: '2^32 - 1 tags', fields: {}, frame: `${VARINT_MAX} 00 00`, says: /tags: 1 bytes wanted/ },
  { what: 'a tag larger than the rest', fields: {}, frame: '01 05 09 00', says: /tags: 9 bytes wanted/ },
  { what: 'a tag of size 2^32 - 1', fields: {}, frame: `01 05 ${VARINT_MAX}`, says: /tags: 4294967295 bytes wanted/ },
  { what: 'a tag told twice', fields: {}, frame: '02 05 00 05 00', says: /tags: tag 5 comes after tag 5/ },
  { what: 'tags out of order', fields: {}, frame: '02 05 00 04 00', says: /tags: tag 4 comes after tag 5/ },
  {
    what: 'a known tag of another size than its content',
    fields: { id: int32.tagged(1, 0) },
    frame: '01 01 05 00000001 00',
    says: /id: tag 1 does not take its 5 bytes/,
  },
  {
    what: 'a known tag that ends before its content',
    fields: { name: string.tagged(1, 0) },
    frame: '01 01 02 03 61 62',
    says: /name: tag 1 does not take its 2 bytes/,
  },
  {
    what: 'a known tag told twice',
    fields: { id: int16.tagged(1, 0) },
    frame: '02 01 02 0001 01 02 0002',
    says: /tag 1 comes/,
  },
]

for (const [kind, lies, flexibleSince] of [
  ['plain', PLAIN, 9],
  ['flexible', FLEXIBLE, 0],
] as const)
  for (const { what, fields, frame, says } of lies)
    test(`${kind}: ${what} is refused`, () => {
      const lie = message({ name: 'Lie', versions: [0, 9], flexibleSince, fields }) as Message<unknown, unknown>
      const raw = Uint8Array.from(Buffer.from(frame.replaceAll(' ', ''), 'hex'))
      for (const decode of [
        () => lie.decode(new ByteReader(raw), 0),
        () => interpretDecode(lie.schema, new ByteReader(raw), 0),
        // Bytes of the next frame lie behind the end: they must not be taken for ours.
        () => lie.decode(new ByteReader(Uint8Array.of(...raw, ...new Uint8Array(64)), 0, raw.length), 0),
      ])
        assert.throws(decode, (error: unknown) => {
          assert.ok(error instanceof MalformedBytesError)
          assert.match(error.message, says)
          assert.match(error.message, /^Lie v0, /)
          return true
        })
    })

test('an unknown tag is passed over, and so are tags between known ones', () => {
  const Tagged = message({
    name: 'Tagged',
    versions: [0, 0],
    flexibleSince: 0,
    fields: { first: int16.tagged(1, 0), second: string.tagged(3, 0) },
  })
  const frame = Buffer.from('05 00 01 aa 01 02 0007 02 00 03 02 0278 09 00'.replaceAll(' ', ''), 'hex')
  assert.deepEqual(Tagged.decodeWhole(Uint8Array.from(frame), 0), { first: 7, second: 'x' })
})

test('bytes that are left over are refused', () => {
  const One = message({ name: 'One', versions: [0, 0], fields: { id: int16 } })
  assert.deepEqual(One.decodeWhole(Uint8Array.of(0, 1), 0), { id: 1 })
  assert.throws(() => One.decodeWhole(Uint8Array.of(0, 1, 0), 0), { message: 'One v0: 1 bytes too many' })
})

test('a claim does not cost memory', () => {
  const Claims = message({ name: 'Claims', versions: [0, 0], flexibleSince: 0, fields: { a: array(int32), b: bytes } })
  const frames = ['ffffffff07 00', `01 ${VARINT_MAX}`].map((frame) => Buffer.from(frame.replaceAll(' ', ''), 'hex'))
  const before = process.memoryUsage().rss
  for (let round = 0; round < 1000; round++)
    for (const frame of frames) assert.throws(() => Claims.decodeWhole(Uint8Array.from(frame), 0), MalformedBytesError)
  assert.ok(process.memoryUsage().rss - before < 64 * 2 ** 20)
})
