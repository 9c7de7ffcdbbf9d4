/**
 * Compression of record batches as a whole block: gzip and zstd by `node:zlib`, snappy and LZ4 by their prebuilt addons, and
 * where those cannot be loaded by the slower code beside this file, with the same results.
 *
 * Everything is synchronous, so that a batch is checked and appended within one turn, and bounded: a bomb is refused
 * before, or as soon as, more than the bound comes out.
 */
import { MalformedBytesError, concatBytes } from '#base'

import { Codec } from './codec.ts'
import { DecompressedTooLargeError } from './errors.ts'
import { lz4FrameCompress, lz4FrameDecompress } from './lz4-frame.ts'
import { snappyCompress, snappyDecompress } from './snappy.ts'
import { zlib } from './zlib.ts'

export interface CompressionLevel {
  /** gzip 1 to 9, zstd -131072 to 22; left out, the codec's default. LZ4 and snappy know none here. */
  level?: number | undefined
}

/** `bytes` compressed in the framing that Kafka gives the codec; for `none` the same bytes. */
export function compress(codec: Codec, bytes: Uint8Array, { level }: CompressionLevel = {}): Uint8Array {
  switch (codec) {
    case Codec.none:
      return bytes
    case Codec.gzip:
      return zlib().gzipSync(bytes, {
        level: level ?? zlib().constants.Z_DEFAULT_COMPRESSION,
        chunkSize: chunkSizeFor(bytes.length),
      })
    case Codec.snappy:
      return snappyCompress(bytes)
    case Codec.lz4:
      return lz4FrameCompress(bytes)
    case Codec.zstd:
      return zlib().zstdCompressSync(bytes, {
        chunkSize: chunkSizeFor(bytes.length),
        ...(level !== undefined && { params: { [zlib().constants.ZSTD_c_compressionLevel]: level } }),
      })
  }
}

export interface DecompressionQuirks {
  /** LZ4 frames inside messages of magic 0 carry a wrong header checksum (KAFKA-3160), so it is not looked at. */
  ignoreLz4HeaderChecksum?: boolean
}

/**
 * What was compressed. Throws `DecompressedTooLargeError` when more than `bytesMax` bytes would come out, and
 * `MalformedBytesError` when the bytes are not what the codec makes.
 */
export function decompress(
  codec: Codec,
  bytes: Uint8Array,
  bytesMax = Infinity,
  quirks: DecompressionQuirks = {},
): Uint8Array {
  switch (codec) {
    case Codec.none:
      return bytes
    case Codec.gzip:
      return guarded('gzip', bytesMax, () => zlib().gunzipSync(bytes, zlibBounds(bytes.length, bytesMax)))
    case Codec.snappy:
      return guarded('snappy', bytesMax, () => snappyDecompress(bytes, bytesMax))
    case Codec.lz4:
      return guarded('lz4', bytesMax, () => lz4FrameDecompress(bytes, bytesMax, quirks))
    case Codec.zstd:
      return guarded('zstd', bytesMax, () => decompressZstdFrames(bytes, bytesMax))
  }
}

/** What `node:zlib` returns where `info` is asked for; its types do not know that option of zstd. */
interface ZstdResult {
  buffer: Buffer
  engine: { bytesWritten: number }
}

/** All frames that follow each other: Node 24 ends after the first one. */
function decompressZstdFrames(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const frames: Uint8Array[] = []
  let rest = bytes
  let bytesLeft = bytesMax
  do {
    const options = { ...zlibBounds(rest.length, bytesLeft), info: true }
    const { buffer, engine } = zlib().zstdDecompressSync(rest, options) as unknown as ZstdResult
    if (engine.bytesWritten === 0) throw new MalformedBytesError('the bytes are not zstd')
    frames.push(buffer)
    rest = rest.subarray(engine.bytesWritten)
    bytesLeft -= buffer.length
  } while (rest.length > 0)
  return concatBytes(frames)
}

/** `node:zlib` collects its output in pieces of this size: large enough for few of them, small enough for little waste. */
function chunkSizeFor(outputBytes: number): number {
  return Math.min(Math.max(outputBytes, 1024), 256 * 1024)
}

/** Node's own largest array; what it refuses beyond it is the same error. */
const OUTPUT_BYTES_MAX = 2 ** 31 - 1

function zlibBounds(length: number, bytesMax: number): { maxOutputLength: number; chunkSize: number } {
  return { maxOutputLength: Math.max(1, Math.min(bytesMax, OUTPUT_BYTES_MAX)), chunkSize: chunkSizeFor(length * 4) }
}

/** The same bytes as a plain array: views of a `Buffer` are slower to make, and differ in what `slice` means. */
function withoutPrototype(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes
}

function guarded(name: string, bytesMax: number, run: () => Uint8Array): Uint8Array {
  try {
    return withoutPrototype(run())
  } catch (cause) {
    if (cause instanceof MalformedBytesError) throw cause
    if ((cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE')
      throw new DecompressedTooLargeError(`more than ${bytesMax} bytes come out of ${name}`, { cause })
    throw new MalformedBytesError(`the bytes are not ${name}`, { cause })
  }
}
