/**
 * The tails of the logs in memory: what was appended lately lies here once, in the arena, and the same bytes are
 * checked, written to the file and served to followers and consumers that read near the end.
 *
 * Who may hold the bytes: a reader that got a view of a chunk holds the chunk until it calls `release`; an evicted chunk
 * goes back to the arena only when nobody holds it. Evicted chunks that slow readers still hold are bounded by
 * `PINNED_BYTES_MAX`; beyond that readers get copies.
 *
 * Memory is bounded for all logs together (the oldest chunk goes first, whosever it is) and for each log. A log
 * that is written seldom has one small chunk or none.
 */
import { Arena, assert } from '#base'

const CHUNK_BYTES_MIN = 4 * 1024
/** Chunks double up to this size while a log is being written. */
const CHUNK_BYTES_MAX = 256 * 1024
const PINNED_BYTES_MAX = 32 * 1024 * 1024

export interface TailBounds {
  readonly totalBytes: number
  readonly bytesPerLog: number
}

export const DEFAULT_TAIL_BOUNDS: TailBounds = { totalBytes: 48 * 1024 * 1024, bytesPerLog: 2 * 1024 * 1024 }

/** Keeps something as it is until `release`, which is to be called once. */
export interface Hold {
  release(): void
}

export class TailMemory {
  readonly bounds: TailBounds
  /** Oldest first. */
  readonly #chunks = new Set<TailChunk>()
  #bytes = 0
  #pinnedBytes = 0

  constructor(bounds: TailBounds = DEFAULT_TAIL_BOUNDS) {
    this.bounds = bounds
  }

  /** Bytes of the chunks that logs have at hand. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes of chunks that no log has any more, but that readers still hold. */
  get pinnedBytes(): number {
    return this.#pinnedBytes
  }

  get mayPin(): boolean {
    return this.#pinnedBytes < PINNED_BYTES_MAX
  }

  allocate(tail: LogTail, capacity: number, baseOffset: number, filePosition: number): TailChunk {
    this.#makeRoom(capacity)
    const chunk = new TailChunk(tail, Arena.allocate(capacity), baseOffset, filePosition)
    this.#chunks.add(chunk)
    this.#bytes += capacity
    return chunk
  }

  /** The log has no more use for the chunk. */
  give(chunk: TailChunk): void {
    const had = this.#chunks.delete(chunk)
    assert(had, 'a chunk is given back once')
    this.#bytes -= chunk.capacity
    chunk.evicted = true
    if (chunk.holds === 0) Arena.release(chunk.bytes)
    else this.#pinnedBytes += chunk.capacity
  }

  hold(chunk: TailChunk): Hold {
    chunk.holds += 1
    return { release: () => this.#release(chunk) }
  }

  #release(chunk: TailChunk): void {
    assert(chunk.holds > 0, 'a hold is released once')
    chunk.holds -= 1
    if (!chunk.evicted || chunk.holds > 0) return
    this.#pinnedBytes -= chunk.capacity
    Arena.release(chunk.bytes)
  }

  #makeRoom(bytes: number): void {
    if (this.#bytes + bytes <= this.bounds.totalBytes) return
    for (const chunk of this.#chunks) {
      // Chunks of one log are contiguous, so only its first one may go, and never bytes that no file has yet.
      if (chunk.tail.evictFirst(chunk) && this.#bytes + bytes <= this.bounds.totalBytes) return
    }
  }
}

/** A contiguous piece of a segment's file: whole batches. */
export class TailChunk {
  readonly tail: LogTail
  readonly bytes: Uint8Array
  /** The segment's. */
  readonly segmentBase: number
  /** Where `bytes[0]` lies in the segment's file. */
  readonly filePosition: number
  /** Bytes in use. */
  length = 0
  /** Bytes that the file has. Invariant: written ≤ length. */
  written = 0
  /** Behind the last batch of the chunk. */
  nextOffset: number
  holds = 0
  evicted = false
  /** Base offsets and positions of the batches, in order. */
  readonly #offsets: number[] = []
  readonly #positions: number[] = []

  constructor(tail: LogTail, bytes: Uint8Array, segmentBase: number, filePosition: number) {
    this.tail = tail
    this.bytes = bytes
    this.segmentBase = segmentBase
    this.filePosition = filePosition
    this.nextOffset = -1
  }

  get capacity(): number {
    return this.bytes.length
  }

  get firstOffset(): number {
    return this.#offsets[0] ?? -1
  }

  get batchCount(): number {
    return this.#offsets.length
  }

  /** Notes the batch that was written behind the last one. */
  note(baseOffset: number, size: number, nextOffset: number): void {
    this.#offsets.push(baseOffset)
    this.#positions.push(this.length)
    this.length += size
    this.nextOffset = nextOffset
  }

  /** Index of the last batch with a base offset ≤ `offset`; −1 when all begin later. */
  batchAt(offset: number): number {
    let low = 0
    let high = this.#offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#offsets[middle]! <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Where the batch begins in `bytes`; for one past the last, where the chunk ends. */
  positionOf(batch: number): number {
    return this.#positions[batch] ?? this.length
  }

  offsetOf(batch: number): number {
    return this.#offsets[batch] ?? this.nextOffset
  }

  /** Index of the last batch boundary at or before `position` (the chunk's end counts as one). */
  boundaryBefore(position: number): number {
    if (position >= this.length) return this.#positions.length
    let low = 0
    let high = this.#positions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#positions[middle]! <= position) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** One log's chunks, oldest first: contiguous, and ending at the log's end. */
export class LogTail {
  readonly #memory: TailMemory
  #chunks: TailChunk[] = []
  #bytes = 0
  #nextCapacity = CHUNK_BYTES_MIN

  constructor(memory: TailMemory) {
    this.#memory = memory
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The chunk with room for `size` more bytes of this segment; a new one where the last has none. */
  reserve(size: number, segmentBase: number, filePosition: number): TailChunk {
    const last = this.#chunks.at(-1)
    if (last !== undefined && last.segmentBase === segmentBase && last.length + size <= last.capacity) return last
    return this.#addChunk(size, segmentBase, filePosition)
  }

  #addChunk(size: number, segmentBase: number, filePosition: number): TailChunk {
    this.#dropUnused()
    const capacity = Math.max(this.#nextCapacity, powerOfTwoAbove(size))
    // At least four chunks to a log, so that taking the oldest away leaves most of the tail.
    this.#nextCapacity = Math.min(this.#nextCapacity * 2, CHUNK_BYTES_MAX, this.#memory.bounds.bytesPerLog / 4)
    while (this.#bytes + capacity > this.#memory.bounds.bytesPerLog && this.#chunks.length > 0)
      if (!this.evictFirst(this.#chunks[0]!)) break
    const chunk = this.#memory.allocate(this, capacity, segmentBase, filePosition)
    this.#chunks.push(chunk)
    this.#bytes += capacity
    return chunk
  }

  /** A chunk that was reserved for a batch that was then refused. */
  #dropUnused(): void {
    const last = this.#chunks.at(-1)
    if (last === undefined || last.length > 0) return
    this.#chunks.pop()
    this.#bytes -= last.capacity
    this.#memory.give(last)
  }

  /** Gives up `chunk` if it is the oldest and its bytes are all in the file. */
  evictFirst(chunk: TailChunk): boolean {
    if (this.#chunks[0] !== chunk || chunk.written !== chunk.length) return false
    this.#chunks.shift()
    this.#bytes -= chunk.capacity
    if (this.#chunks.length === 0) this.#nextCapacity = CHUNK_BYTES_MIN
    this.#memory.give(chunk)
    return true
  }

  /** The chunk whose batches cover `offset`, null when it is not at hand. */
  find(offset: number): TailChunk | null {
    for (let index = this.#chunks.length - 1; index >= 0; index--) {
      const chunk = this.#chunks[index]!
      if (chunk.batchCount > 0 && chunk.firstOffset <= offset)
        return offset < chunk.nextOffset ? chunk : (this.#chunks[index + 1] ?? null)
    }
    return null
  }

  /** Keeps the chunk's bytes as they are; null when slow readers hold too much already, and a copy must do. */
  hold(chunk: TailChunk): Hold | null {
    return this.#memory.mayPin ? this.#memory.hold(chunk) : null
  }

  /** Forgets everything, unwritten bytes too: after a truncation, at a close. */
  clear(): void {
    for (const chunk of this.#chunks) this.#memory.give(chunk)
    this.#chunks = []
    this.#bytes = 0
    this.#nextCapacity = CHUNK_BYTES_MIN
  }
}

function powerOfTwoAbove(size: number): number {
  return 2 ** Math.ceil(Math.log2(size))
}
