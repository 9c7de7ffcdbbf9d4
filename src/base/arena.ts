/**
 * Memory that lies inside the CRC module's WebAssembly memory, so that checksums of what lies here are computed
 * in place, without a copy. Record batches live here: the tail of each partition's log, a producer's batches.
 *
 * The memory has a fixed size, since growing would detach every view, and is shared by all of the process; pages that
 * nobody touched cost nothing. Where it is used up, or WebAssembly is forbidden, chunks are plain memory:
 * slower by the copy, else the same. Chunks come from a buddy allocator, so that freed neighbours join again.
 */
import { assert } from './assert.ts'
import { BINARY_BASE64, DATA_START, MEMORY_BYTES, READ_AHEAD_BYTES, type Crc32cExports } from './crc32c-binary.ts'
import { crcTables } from './crc32c-tables.ts'

/** Room for pieces of messages that lie elsewhere, while their checksum is computed. */
const SCRATCH_BYTES = 64 * 1024
const CHUNK_BYTES_MIN = 4096
/** The orders are powers of two of `CHUNK_BYTES_MIN`: 4 KiB to 16 MiB. */
const ORDER_MAX = 12
const BLOCK_BYTES_MAX = CHUNK_BYTES_MIN << ORDER_MAX

export interface ArenaUsage {
  /** Bytes of the arena that chunks may be made of. */
  capacityBytes: number
  /** Bytes of the arena that chunks hold, rounding included. */
  usedBytes: number
  chunks: number
  /** Chunks that had to be plain memory because nothing was free, since the start. */
  fallbacks: number
}

/** Where the checksum engine finds its memory; null where there is no WebAssembly. */
export interface ArenaEngine {
  readonly buffer: ArrayBuffer
  readonly memory: Uint8Array
  readonly scratchAt: number
  readonly scratchBytes: number
  readonly crc32c: Crc32cExports['crc32c']
}

/** The synchronous part of WebAssembly; TypeScript declares it among the browser's interfaces only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  Instance: new (module: object) => { readonly exports: object }
}

let engine: ArenaEngine | null | undefined

/** Made at the first use, in about a millisecond: a command that checks nothing does not pay for it. */
export function arenaEngine(): ArenaEngine | null {
  return engine === undefined ? (engine = startEngine()) : engine
}

function startEngine(): ArenaEngine | null {
  try {
    const bytes = Uint8Array.from(Buffer.from(BINARY_BASE64, 'base64'))
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes))
    const exports = instance.exports as Crc32cExports
    const buffer = exports.memory.buffer
    new Int32Array(buffer, 0, crcTables.length).set(crcTables)
    makeBlocks(DATA_START + SCRATCH_BYTES)
    return {
      buffer,
      memory: new Uint8Array(buffer),
      scratchAt: DATA_START,
      scratchBytes: SCRATCH_BYTES,
      crc32c: (seed, address, length) => exports.crc32c(seed, address, length),
    }
  } catch {
    // No WebAssembly, no SIMD, or no address space: everything works with plain memory and tables.
    return null
  }
}

/** Free blocks by order: their addresses. */
const freeBlocks: number[][] = Array.from({ length: ORDER_MAX + 1 }, () => [])
/** Marks a block that is a chunk. */
const TAKEN = 0x80
/** Of the block that begins at `CHUNK_BYTES_MIN` times the index: its order plus one, and whether it is taken; 0 where none begins. */
const blockStates = new Uint8Array(MEMORY_BYTES / CHUNK_BYTES_MIN)

const usage: ArenaUsage = { capacityBytes: 0, usedBytes: 0, chunks: 0, fallbacks: 0 }

/** Cuts all from `start` on into the largest blocks that lie at a multiple of their own size. */
function makeBlocks(start: number): void {
  const end = MEMORY_BYTES - READ_AHEAD_BYTES
  let at = start
  while (at + CHUNK_BYTES_MIN <= end) {
    let order = ORDER_MAX
    while (at % blockBytes(order) !== 0 || at + blockBytes(order) > end) order -= 1
    putFree(at, order)
    usage.capacityBytes += blockBytes(order)
    at += blockBytes(order)
  }
}

function blockBytes(order: number): number {
  return CHUNK_BYTES_MIN << order
}

function putFree(at: number, order: number): void {
  blockStates[at / CHUNK_BYTES_MIN] = order + 1
  freeBlocks[order]!.push(at)
}

export const Arena = {
  /**
   * A chunk of exactly `bytes` bytes, with whatever its memory held before. It must be given back with
   * `release`, once, when nothing refers to it any more (a socket's pending write included).
   */
  allocate(bytes: number): Uint8Array<ArrayBuffer> {
    const engine = arenaEngine()
    if (engine === null || bytes > BLOCK_BYTES_MAX) return plain(bytes)
    const order = orderFor(bytes)
    const at = takeBlock(order)
    if (at < 0) return plain(bytes)
    blockStates[at / CHUNK_BYTES_MIN] = TAKEN | (order + 1)
    usage.usedBytes += blockBytes(order)
    usage.chunks += 1
    return new Uint8Array(engine.buffer, at, bytes)
  },

  /** Gives a chunk back. Plain memory is left to the garbage collector. */
  release(chunk: Uint8Array): void {
    if (!Arena.owns(chunk)) return
    const state = blockStates[chunk.byteOffset / CHUNK_BYTES_MIN] ?? 0
    assert((state & TAKEN) !== 0, 'a chunk is given back that is not taken')
    const order = (state & ~TAKEN) - 1
    usage.usedBytes -= blockBytes(order)
    usage.chunks -= 1
    joinFree(chunk.byteOffset, order)
  },

  /** Whether these bytes lie in the arena, so that their checksum needs no copy. */
  owns(bytes: Uint8Array): boolean {
    return engine !== undefined && engine !== null && bytes.buffer === engine.buffer
  },
}

export function arenaUsage(): ArenaUsage {
  return { ...usage }
}

function plain(bytes: number): Uint8Array<ArrayBuffer> {
  usage.fallbacks += 1
  return new Uint8Array(bytes)
}

function orderFor(bytes: number): number {
  return bytes <= CHUNK_BYTES_MIN ? 0 : 32 - Math.clz32((bytes - 1) >>> 12)
}

/** The address of a free block of the order, split off a larger one where needed; -1 when there is none. */
function takeBlock(order: number): number {
  for (let larger = order; larger <= ORDER_MAX; larger++) {
    const at = popFree(larger)
    if (at < 0) continue
    for (let half = larger - 1; half >= order; half--) putFree(at + blockBytes(half), half)
    return at
  }
  return -1
}

/** Free lists may hold addresses that have been joined into a larger block since; those are skipped here. */
function popFree(order: number): number {
  const list = freeBlocks[order]!
  for (let at = list.pop(); at !== undefined; at = list.pop())
    if (blockStates[at / CHUNK_BYTES_MIN] === order + 1) {
      blockStates[at / CHUNK_BYTES_MIN] = 0
      return at
    }
  return -1
}

function joinFree(start: number, startOrder: number): void {
  let at = start
  let order = startOrder
  blockStates[at / CHUNK_BYTES_MIN] = 0
  while (order < ORDER_MAX) {
    const buddy = at ^ blockBytes(order)
    if (blockStates[buddy / CHUNK_BYTES_MIN] !== order + 1) break
    blockStates[buddy / CHUNK_BYTES_MIN] = 0
    at = Math.min(at, buddy)
    order += 1
  }
  putFree(at, order)
}
