/**
 * Snappy as Kafka's clients have it: blocks in the framing of snappy-java ("xerial"), which Java writes, or one raw
 * block, as some other clients write.
 *
 *     82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version int32 (1) | compatible version int32 (1) | per block: length int32, raw block
 */
import { MalformedBytesError, concatBytes } from '#base'

import { loadAddon } from './addons.ts'
import { DecompressedTooLargeError } from './errors.ts'
import { getInt32, setInt32 } from './layout.ts'
import { snappyBlockCompress, snappyBlockDecompress } from './snappy-block.ts'

interface SnappyAddon {
  compressSync(bytes: Uint8Array, options: typeof ADDON_OPTIONS): Uint8Array
  uncompressSync(bytes: Uint8Array, options: typeof ADDON_OPTIONS): Uint8Array
}

/** Into memory of V8's: giving the addon's own back to the system for each block costs more than the copy does. */
const ADDON_OPTIONS = { copyOutputData: true } as const

const MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]
const HEADER_BYTES = 16
/** The block size of snappy-java: readers may count on it. */
const BLOCK_BYTES = 32 * 1024
/** A copy of 64 bytes takes three: nothing that snappy makes grows more than this. */
const RATIO_MAX = 22

let addon: SnappyAddon | null | undefined

export function snappyCompress(bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [header()]
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = compressBlock(bytes.subarray(at, at + BLOCK_BYTES))
    const length = new Uint8Array(4)
    setInt32(length, 0, block.length)
    chunks.push(length, block)
  }
  return concatBytes(chunks)
}

export function snappyDecompress(bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (!startsWithMagic(bytes, 0)) return decompressBlock(bytes, bytesMax)
  const chunks: Uint8Array[] = []
  let length = 0
  let at = HEADER_BYTES
  while (at < bytes.length) {
    // Streams may be joined; the header then stands where a length is expected.
    if (startsWithMagic(bytes, at)) {
      at += HEADER_BYTES
      continue
    }
    if (bytes.length - at < 4) throw new MalformedBytesError('a snappy stream ends inside a length')
    const blockBytes = getInt32(bytes, at)
    at += 4
    if (blockBytes < 0 || blockBytes > bytes.length - at)
      throw new MalformedBytesError(`a snappy block of ${blockBytes} bytes, where ${bytes.length - at} remain`)
    const block = decompressBlock(bytes.subarray(at, at + blockBytes), bytesMax - length)
    chunks.push(block)
    length += block.length
    at += blockBytes
  }
  return concatBytes(chunks)
}

function header(): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  bytes.set(MAGIC)
  setInt32(bytes, 8, 1)
  setInt32(bytes, 12, 1)
  return bytes
}

function startsWithMagic(bytes: Uint8Array, at: number): boolean {
  return bytes.length - at >= HEADER_BYTES && MAGIC.every((byte, index) => bytes[at + index] === byte)
}

function compressBlock(bytes: Uint8Array): Uint8Array {
  addon ??= loadAddon<SnappyAddon>('snappy')
  return addon === null ? snappyBlockCompress(bytes) : addon.compressSync(bytes, ADDON_OPTIONS)
}

/** The stated length is judged before anything is allocated for it. */
function decompressBlock(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const stated = statedLength(bytes)
  if (stated > bytesMax) throw new DecompressedTooLargeError(`snappy states ${stated} bytes, ${bytesMax} are allowed`)
  if (stated > bytes.length * RATIO_MAX)
    throw new MalformedBytesError(`snappy states ${stated} bytes in ${bytes.length}`)
  addon ??= loadAddon<SnappyAddon>('snappy')
  return addon === null ? snappyBlockDecompress(bytes) : addon.uncompressSync(bytes, ADDON_OPTIONS)
}

function statedLength(bytes: Uint8Array): number {
  let length = 0
  for (let index = 0; index < 5; index++) {
    const byte = bytes[index]
    if (byte === undefined) break
    length += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return length
  }
  throw new MalformedBytesError('a snappy block without length')
}
