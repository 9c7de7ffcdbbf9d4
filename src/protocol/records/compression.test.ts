import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'

import { MalformedBytesError, concatBytes, encodeUtf8 } from '#base'

import { Codec, DecompressedTooLargeError, codecName, compress, decompress } from './index.ts'
import { lz4BlockCompress, lz4BlockDecompress } from './lz4-block.ts'
import { snappyBlockCompress, snappyBlockDecompress } from './snappy-block.ts'
import { sequence } from './testing.ts'
import { xxhash32 } from './xxhash32.ts'

const codecs = Object.values(Codec)

/** Text with repetitions, bytes without any, and runs. */
function samples(): Uint8Array[] {
  const next = sequence(0xc0de)
  const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => next(256))
  const text = (length: number): Uint8Array =>
    encodeUtf8('{"id":17,"name":"abc"},'.repeat(length / 20 + 1)).subarray(0, length)
  return [0, 1, 12, 13, 100, 4096, 65_535, 65_536, 65_537, 200_000].flatMap((length) => [
    noise(length),
    text(length),
    new Uint8Array(length),
  ])
}

for (const codec of codecs) {
  test(`${codecName(codec)}: everything comes back`, () => {
    for (const bytes of samples()) assert.deepEqual(decompress(codec, compress(codec, bytes)), bytes)
  })

  if (codec === Codec.none) continue

  test(`${codecName(codec)}: a bomb is refused, and exactly the bound is not`, () => {
    const bytes = new Uint8Array(3 * 1024 * 1024)
    const bomb = compress(codec, bytes)
    assert.ok(bomb.length < bytes.length / 15)
    assert.throws(() => decompress(codec, bomb, bytes.length - 1), DecompressedTooLargeError)
    assert.equal(decompress(codec, bomb, bytes.length).length, bytes.length)
  })

  test(`${codecName(codec)}: cut and changed bytes are refused or give something bounded`, () => {
    const next = sequence(codec + 1)
    const bytes = encodeUtf8('a line that comes again and again\n'.repeat(300))
    const packed = compress(codec, bytes)
    for (let round = 0; round < 300; round++) {
      const broken = Uint8Array.from(packed.subarray(0, round % 2 ? packed.length : next(packed.length)))
      if (round % 2) broken[next(broken.length)]! ^= 1 + next(255)
      try {
        assert.ok(decompress(codec, broken, 100_000).length <= 100_000)
      } catch (error) {
        assert.ok(error instanceof MalformedBytesError, String(error))
      }
    }
  })

  test(`${codecName(codec)}: what is cut is malformed`, () => {
    const packed = compress(codec, encodeUtf8('0123456789'.repeat(20_000)))
    for (const length of [1, 5, packed.length >> 1, packed.length - 1])
      assert.throws(() => decompress(codec, packed.subarray(0, length), 1e6), MalformedBytesError, `${length}`)
  })
}

test('levels are obeyed', () => {
  const bytes = encodeUtf8(Array.from({ length: 5000 }, (_, index) => `line ${(index * 7919) % 1000}\n`).join(''))
  assert.ok(compress(Codec.gzip, bytes, { level: 9 }).length < compress(Codec.gzip, bytes, { level: 1 }).length)
  assert.ok(compress(Codec.zstd, bytes, { level: 15 }).length < compress(Codec.zstd, bytes, { level: -50 }).length)
})

test('joined gzip members and zstd frames are read as one', () => {
  const parts = ['one ', 'two ', 'three'].map(encodeUtf8)
  const expected = encodeUtf8('one two three')
  assert.deepEqual(decompress(Codec.gzip, concatBytes(parts.map((part) => gzipSync(part)))), expected)
  assert.deepEqual(decompress(Codec.zstd, concatBytes(parts.map((part) => zstdCompressSync(part)))), expected)
})

test('snappy: a raw block, joined streams and the framing of Java are read', () => {
  const bytes = encodeUtf8('abcabcabcabc'.repeat(5000))
  assert.deepEqual(decompress(Codec.snappy, snappyBlockCompress(bytes.subarray(0, 60_000))), bytes)
  const stream = compress(Codec.snappy, bytes)
  assert.deepEqual([...stream.subarray(0, 16)], [0x82, 83, 78, 65, 80, 80, 89, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  assert.equal(decompress(Codec.snappy, concatBytes([stream, stream])).length, 2 * bytes.length)
})

test('snappy: a header or a block that lies about its length is refused before memory is taken for it', () => {
  const claims2GiB = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07, 0, 1)
  assert.throws(() => decompress(Codec.snappy, claims2GiB, 1e6), DecompressedTooLargeError)
  assert.throws(() => decompress(Codec.snappy, claims2GiB), /states 2147483647 bytes in 7/)
  const stream = compress(Codec.snappy, encodeUtf8('hello'))
  stream[16] = 0x7f
  assert.throws(() => decompress(Codec.snappy, stream, 1e6), /a snappy block of/)
})

test('the codecs without addon make and read what the addons do', () => {
  for (const bytes of samples().filter(({ length }) => length <= 65_536)) {
    assert.deepEqual(snappyBlockDecompress(snappyBlockCompress(bytes)), bytes)
    const block = lz4BlockCompress(bytes)
    const out = new Uint8Array(bytes.length)
    assert.equal(lz4BlockDecompress(block, 0, block.length, out, 0), bytes.length)
    assert.deepEqual(out, bytes)
    if (block.length <= 65_536)
      assert.deepEqual(decompress(Codec.lz4, lz4Frame({ flags: 0x60, blocks: [block] })), bytes)
    if (bytes.length > 0) assert.deepEqual(decompress(Codec.snappy, snappyBlockCompress(bytes)), bytes)
    const frame = compress(Codec.lz4, bytes)
    assert.deepEqual(lz4BlocksOf(frame), bytes)
    if (bytes.length === 0 || bytes.length > 32_768) continue
    const stream = compress(Codec.snappy, bytes)
    assert.deepEqual(snappyBlockDecompress(stream.subarray(20)), bytes)
  }
})

/** The blocks of a frame that Samsa writes, by the plain decoder. */
function lz4BlocksOf(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const parts: Uint8Array[] = [new Uint8Array(0)]
  for (let at = 7; ;) {
    const size = view.getUint32(at, true)
    at += 4
    if (size === 0) return concatBytes(parts)
    const length = size % 2 ** 31
    const out = new Uint8Array(65_536)
    if (size >= 2 ** 31) parts.push(frame.subarray(at, at + length))
    else parts.push(out.subarray(0, lz4BlockDecompress(frame, at, at + length, out, 0)))
    at += length
  }
}

interface FrameOptions {
  flags: number
  blocks: Uint8Array[]
  blockDescriptor?: number
  content?: Uint8Array
  brokenChecksum?: 'header' | 'block' | 'content'
  quirk?: boolean
}

/** A frame after the letter of the format, with whatever the flags ask for. */
function lz4Frame({ flags, blocks, blockDescriptor = 0x40, content, brokenChecksum, quirk }: FrameOptions): Uint8Array {
  const int32 = (value: number): Uint8Array => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
  const magic = Uint8Array.of(0x04, 0x22, 0x4d, 0x18)
  const parts: Uint8Array[] = [Uint8Array.of(flags, blockDescriptor)]
  if (flags & 0x08) parts.push(int32(content!.length), int32(0))
  const descriptor = concatBytes(parts)
  const checksum = xxhash32(quirk ? concatBytes([magic, descriptor]) : descriptor) >>> 8
  const frame = [magic, descriptor, Uint8Array.of(checksum ^ (brokenChecksum === 'header' ? 1 : 0))]
  for (const block of blocks) {
    frame.push(int32(block.length), block)
    if (flags & 0x10) frame.push(int32(xxhash32(block) ^ (brokenChecksum === 'block' ? 1 : 0)))
  }
  frame.push(int32(0))
  if (flags & 0x04) frame.push(int32(xxhash32(content!) ^ (brokenChecksum === 'content' ? 1 : 0)))
  return concatBytes(frame)
}

const text = encodeUtf8('sixteen letters!'.repeat(40))
const textBlock = lz4BlockCompress(text)

test('lz4: content size and checksums are read and checked', () => {
  const frame = (brokenChecksum?: FrameOptions['brokenChecksum'], content = text): Uint8Array =>
    lz4Frame({ flags: 0x7c, blocks: [textBlock], content, ...(brokenChecksum && { brokenChecksum }) })
  assert.deepEqual(decompress(Codec.lz4, frame()), text)
  for (const broken of ['header', 'block', 'content'] as const)
    assert.throws(() => decompress(Codec.lz4, frame(broken)), new RegExp(`checksum of .*${broken}`))
  assert.throws(() => decompress(Codec.lz4, frame(undefined, text.subarray(1))), MalformedBytesError)
})

test('lz4: blocks that refer to the ones before them are read', () => {
  // Literals "abcd", then a match of 8 bytes at distance 4; then literals "xy" only.
  const first = Uint8Array.of(0x44, ...encodeUtf8('abcd'), 4, 0, 0x20, ...encodeUtf8('..'))
  // A match of 8 bytes at distance 14, into the first block; then five literals.
  const second = Uint8Array.of(0x04, 14, 0, 0x50, ...encodeUtf8('12345'))
  const linked = lz4Frame({ flags: 0x40, blocks: [first, second] })
  assert.equal(Buffer.from(decompress(Codec.lz4, linked)).toString(), 'abcdabcdabcd..abcdabcd12345')
  const independent = lz4Frame({ flags: 0x60, blocks: [first, second] })
  assert.throws(() => decompress(Codec.lz4, independent), MalformedBytesError)
})

test('lz4: the wrong header checksum of magic 0 is let pass there only', () => {
  const frame = lz4Frame({ flags: 0x60, blocks: [textBlock], quirk: true })
  assert.throws(() => decompress(Codec.lz4, frame), /checksum of the header/)
  assert.deepEqual(decompress(Codec.lz4, frame, 1e6, { ignoreLz4HeaderChecksum: true }), text)
})

test('lz4: what the format does not allow is refused', () => {
  for (const [flags, blockDescriptor] of [
    [0x20, 0x40],
    [0xa0, 0x40],
    [0x62, 0x40],
    [0x61, 0x40],
    [0x60, 0x30],
    [0x60, 0xc0],
    [0x60, 0x41],
  ] as const)
    assert.throws(
      () => decompress(Codec.lz4, lz4Frame({ flags, blocks: [textBlock], blockDescriptor })),
      MalformedBytesError,
    )
})

test('xxhash32 has its published values', () => {
  assert.equal(xxhash32(new Uint8Array(0)), 0x02cc_5d05)
  assert.equal(xxhash32(encodeUtf8('abc')), 0x32d1_53ff)
  assert.equal(xxhash32(encodeUtf8('Nobody inspects the spammish repetition')), 0xe229_3b2f)
})
