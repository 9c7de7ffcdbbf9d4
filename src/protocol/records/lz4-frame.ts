/**
 * LZ4 frames (lz4/doc/lz4_Frame_format.md), numbers little-endian:
 *
 *     magic 184D2204 | FLG | BD | [content size 8] | HC = second byte of the header's XXH32
 *     blocks: size int32 (highest bit: stored as it is; 0 ends) | data | [checksum 4]
 *     [content checksum 4]
 *
 * Written are frames as Java's client writes them: blocks of 64 KiB that do not refer to each other, no checksums. Read is every legal
 * frame without dictionary. What follows the frame's end is not looked at, as in Java.
 */
import { ByteReader, MalformedBytesError, concatBytes } from '#base'

import { loadAddon } from './addons.ts'
import { DecompressedTooLargeError } from './errors.ts'
import { lz4BlockCompress, lz4BlockDecompress } from './lz4-block.ts'
import { xxhash32 } from './xxhash32.ts'

interface Lz4Addon {
  /** Both have the uncompressed size in four little-endian bytes before the block. */
  compressSync(bytes: Buffer): Buffer
  uncompressSync(bytes: Buffer): Buffer
}

const SIZE_PREFIX_BYTES = 4
const MAGIC = 0x184d_2204
/** Magic, FLG (version 1, independent blocks), BD (64 KiB), HC. */
const HEADER = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82)
const BLOCK_BYTES = 64 * 1024
const STORED_BIT = 0x8000_0000
/** A byte of a long length stands for 255 bytes: no block grows more than this. */
const RATIO_MAX = 255
/** How far back a match reaches. */
const HISTORY_BYTES = 64 * 1024

let addon: Lz4Addon | null | undefined

export function lz4FrameCompress(bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [HEADER]
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const plain = bytes.subarray(at, at + BLOCK_BYTES)
    const packed = compressBlock(plain)
    if (packed.length < plain.length) chunks.push(littleEndian(packed.length), packed)
    else chunks.push(littleEndian(plain.length | STORED_BIT), plain)
  }
  chunks.push(littleEndian(0))
  return concatBytes(chunks)
}

export function lz4FrameDecompress(
  bytes: Uint8Array,
  bytesMax: number,
  { ignoreLz4HeaderChecksum = false }: { ignoreLz4HeaderChecksum?: boolean } = {},
): Uint8Array {
  const reader = new ByteReader(bytes)
  const frame = readHeader(reader, ignoreLz4HeaderChecksum)
  if (frame.contentBytes !== null && frame.contentBytes > bytesMax) refuseSize(frame.contentBytes, bytesMax)
  const output = new Output(bytesMax)
  for (let size = uint32(reader); size !== 0; size = uint32(reader)) {
    const isStored = size >= STORED_BIT
    const block = reader.slice(isStored ? size - STORED_BIT : size)
    if (block.length > frame.blockBytesMax) refuse(`a block of ${block.length} bytes is larger than the frame says`)
    if (frame.hasBlockChecksums && uint32(reader) !== xxhash32(block)) refuse('the checksum of a block is wrong')
    if (isStored) output.append(block)
    else if (frame.isLinked) output.appendLinked(block, frame.blockBytesMax)
    else output.append(decompressBlock(block, frame.blockBytesMax))
  }
  const content = output.toBytes()
  if (frame.hasContentChecksum && uint32(reader) !== xxhash32(content)) refuse('the checksum of the content is wrong')
  if (frame.contentBytes !== null && frame.contentBytes !== content.length)
    refuse(`the frame states ${frame.contentBytes} bytes and has ${content.length}`)
  return content
}

interface FrameHeader {
  /** Blocks may refer to the ones before them. */
  isLinked: boolean
  hasBlockChecksums: boolean
  hasContentChecksum: boolean
  contentBytes: number | null
  blockBytesMax: number
}

function readHeader(reader: ByteReader, ignoreChecksum: boolean): FrameHeader {
  if (uint32(reader) !== MAGIC) refuse('it does not begin with the magic number')
  const descriptorAt = reader.position
  const flags = reader.uint8()
  const blockDescriptor = reader.uint8()
  if (flags >> 6 !== 1) refuse(`frame version ${flags >> 6} is not known`)
  if ((flags & 0x02) !== 0 || (blockDescriptor & 0x8f) !== 0) refuse('reserved bits are set')
  if ((flags & 0x01) !== 0) refuse('it needs a dictionary')
  const sizeCode = blockDescriptor >> 4
  if (sizeCode < 4) refuse(`block size ${sizeCode} is not known`)
  const contentBytes = (flags & 0x08) === 0 ? null : uint32(reader) + uint32(reader) * 2 ** 32
  const expected = (xxhash32(reader.bytes, descriptorAt, reader.position) >>> 8) & 0xff
  if (reader.uint8() !== expected && !ignoreChecksum) refuse('the checksum of the header is wrong')
  return {
    isLinked: (flags & 0x20) === 0,
    hasBlockChecksums: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 0x04) !== 0,
    contentBytes,
    blockBytesMax: 1 << (8 + 2 * sizeCode),
  }
}

/** What has been decompressed so far. Grows with what really comes out, never by what a frame says. */
class Output {
  readonly #bytesMax: number
  #bytes = new Uint8Array(0)
  #length = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  append(block: Uint8Array): void {
    this.#makeRoom(block.length)
    this.#bytes.set(block, this.#length)
    this.#length += block.length
  }

  appendLinked(block: Uint8Array, blockBytesMax: number): void {
    const history = this.#bytes.subarray(Math.max(0, this.#length - HISTORY_BYTES), this.#length)
    const scratch = new Uint8Array(history.length + outputBound(block, blockBytesMax))
    scratch.set(history)
    const end = lz4BlockDecompress(block, 0, block.length, scratch, history.length, 0)
    this.append(scratch.subarray(history.length, end))
  }

  toBytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #makeRoom(length: number): void {
    const needed = this.#length + length
    if (needed > this.#bytesMax) refuseSize(needed, this.#bytesMax)
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, Math.min(this.#bytes.length * 2, this.#bytesMax)))
    grown.set(this.toBytes())
    this.#bytes = grown
  }
}

function outputBound(block: Uint8Array, blockBytesMax: number): number {
  return Math.min(blockBytesMax, block.length * RATIO_MAX)
}

function compressBlock(bytes: Uint8Array): Uint8Array {
  addon ??= loadAddon<Lz4Addon>('lz4-napi')
  if (addon === null) return lz4BlockCompress(bytes)
  return addon.compressSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).subarray(SIZE_PREFIX_BYTES)
}

function decompressBlock(block: Uint8Array, blockBytesMax: number): Uint8Array {
  const bound = outputBound(block, blockBytesMax)
  addon ??= loadAddon<Lz4Addon>('lz4-napi')
  if (addon === null) {
    const out = new Uint8Array(bound)
    return out.subarray(0, lz4BlockDecompress(block, 0, block.length, out, 0))
  }
  const prefixed = Buffer.allocUnsafe(SIZE_PREFIX_BYTES + block.length)
  prefixed.writeUInt32LE(bound)
  prefixed.set(block, SIZE_PREFIX_BYTES)
  return addon.uncompressSync(prefixed)
}

function littleEndian(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
}

function uint32(reader: ByteReader): number {
  return reader.view.getUint32(reader.take(4), true)
}

function refuse(reason: string): never {
  throw new MalformedBytesError(`malformed LZ4 frame: ${reason}`)
}

function refuseSize(bytes: number, bytesMax: number): never {
  throw new DecompressedTooLargeError(`an LZ4 frame of ${bytes} bytes, where ${bytesMax} are allowed`)
}
