/**
 * How a log's bytes get to its files: gathered per turn, synchronously as a rule, in order; what must be synced, and
 * when an end counts. Offsets of the end live here, since they move by what the files have.
 */
import type { Clock, Timer } from '#platform'

import type { LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import type { LogSegment } from './log-segment.ts'
import type { TailChunk } from './tail-cache.ts'
import type { WholeFile } from './whole-files.ts'
import type { WriteGather } from './write-gather.ts'

/** Between background syncs of a segment, so that dirty pages stay bounded. */
const BACKGROUND_SYNC_BYTES = 64 * 1024 * 1024

export interface LogWriterParts {
  readonly name: string
  readonly directory: LogDirectory
  readonly clock: Clock
  readonly gather: WriteGather
  /** The log's own array: its last segment is the active one. */
  readonly segments: readonly LogSegment[]
  readonly epochFile: WholeFile
  readonly endOffset: number
  readonly recoveryPoint: number
  /** Folders with names in them that a power failure would still take away. */
  readonly unsyncedFolders: readonly string[]
  config(): LogConfig
  endMoved(): void
}

interface WriteRun {
  readonly segment: LogSegment
  readonly chunks: readonly TailChunk[]
  /** What each chunk's `written` becomes. */
  readonly lengths: readonly number[]
  readonly bytes: readonly Uint8Array[]
  readonly position: number
  /** What the end becomes. */
  readonly endOffset: number
}

export class LogWriter {
  readonly #parts: LogWriterParts
  /** Behind the last record that the file has. */
  #endOffset: number
  /** The end, held back while a sync is under way that the topic asks for. */
  #countedEndOffset: number
  /** Everything below is on stable storage. */
  #recoveryPoint: number
  /** Chunks with bytes that the file has not yet, in order. */
  #unwritten: TailChunk[] = []
  #isGathered = false
  /** The write that the pool is carrying out; null as a rule, since writes are synchronous. */
  #writing: Promise<void> | null = null
  /** Work behind the appends (syncs, sealing a segment). */
  #background: Promise<void> = Promise.resolve()
  #isSyncing = false
  /** Pieces of that work that are not done. */
  #backgroundCount = 0
  /** How often the log was cut: work that began before a cut must not finish as if nothing had happened. */
  #cuts = 0
  #unsyncedFolders: string[]
  #unsyncedBytes = 0
  #lastSyncMs: number
  #flushTimer: Timer | null = null
  #isClosed = false

  constructor(parts: LogWriterParts) {
    this.#parts = parts
    this.#endOffset = parts.endOffset
    this.#countedEndOffset = parts.endOffset
    this.#recoveryPoint = Math.min(parts.recoveryPoint, parts.endOffset)
    this.#unsyncedFolders = [...parts.unsyncedFolders]
    this.#lastSyncMs = parts.clock.monotonic()
  }

  get endOffset(): number {
    return this.#endOffset
  }

  get countedEndOffset(): number {
    return this.#countedEndOffset
  }

  get recoveryPoint(): number {
    return this.#recoveryPoint
  }

  get cuts(): number {
    return this.#cuts
  }

  get isOffline(): boolean {
    return this.#isClosed || this.#parts.directory.isOffline
  }

  get isSettled(): boolean {
    return this.#writing === null && this.#unwritten.length === 0
  }

  /** Bytes of the segment that its file has. While the disk is slow a rolled segment, too, may have more. */
  writtenEndOf(segment: LogSegment): number {
    for (const chunk of this.#unwritten)
      if (chunk.segmentBase === segment.baseOffset) return chunk.filePosition + chunk.written
    return segment.size
  }

  /** Bytes that are appended and that no file has yet. */
  get unwrittenBytes(): number {
    let bytes = 0
    for (const chunk of this.#unwritten) bytes += chunk.length - chunk.written
    return bytes
  }

  // ---------------------------------------------------------------- writing

  /** The chunk has got more bytes. They are written at the end of the turn. */
  add(chunk: TailChunk): void {
    if (this.#unwritten.at(-1) !== chunk) this.#unwritten.push(chunk)
    if (this.#isGathered) return
    this.#isGathered = true
    this.#parts.gather.add(this)
  }

  /** Called at the end of the turn, and where order asks for it. Never throws: a failure takes the directory offline. */
  writePending(): void {
    this.#isGathered = false
    while (this.#writing === null && this.#unwritten.length > 0 && !this.isOffline) {
      const run = this.#nextRun()
      try {
        const done = run.segment.file.write(run.bytes, run.position)
        if (done instanceof Promise) this.#writing = this.#afterPooledWrite(done, run)
        else this.#written(run)
      } catch (error) {
        this.#writeFailed(run, error)
      }
    }
  }

  async #afterPooledWrite(done: Promise<void>, run: WriteRun): Promise<void> {
    try {
      await done
      this.#writing = null
      if (!this.isOffline) this.#written(run)
    } catch (error) {
      this.#writing = null
      this.#writeFailed(run, error)
    }
    this.writePending()
  }

  /** The unwritten bytes of the oldest segment that has some: chunks of one segment follow each other in its file. */
  #nextRun(): WriteRun {
    const first = this.#unwritten[0]!
    const chunks: TailChunk[] = []
    const bytes: Uint8Array[] = []
    for (const chunk of this.#unwritten) {
      if (chunk.segmentBase !== first.segmentBase) break
      chunks.push(chunk)
      bytes.push(chunk.bytes.subarray(chunk.written, chunk.length))
    }
    return {
      segment: this.#segmentWithBase(first.segmentBase),
      chunks,
      lengths: chunks.map((chunk) => chunk.length),
      bytes,
      position: first.filePosition + first.written,
      endOffset: chunks.at(-1)!.nextOffset,
    }
  }

  #segmentWithBase(baseOffset: number): LogSegment {
    const { segments } = this.#parts
    const active = segments.at(-1)!
    return active.baseOffset === baseOffset ? active : segments.find((segment) => segment.baseOffset === baseOffset)!
  }

  #written(run: WriteRun): void {
    for (const [index, chunk] of run.chunks.entries()) {
      this.#unsyncedBytes += run.lengths[index]! - chunk.written
      chunk.written = run.lengths[index]!
    }
    while (this.#unwritten.length > 0 && this.#unwritten[0]!.written === this.#unwritten[0]!.length)
      this.#unwritten.shift()
    this.#endOffset = run.endOffset
    this.#countOrSync()
    this.#parts.endMoved()
  }

  /** The file keeps what is good; nothing else is tried. */
  #writeFailed(run: WriteRun, error: unknown): void {
    // Of a log that was let go of nothing is written any more; that its file is closed harms nobody.
    if (this.#isClosed) return
    try {
      run.segment.file.truncate(run.position)
    } catch {
      // The next start finds the torn batch by its CRC.
    }
    this.#parts.directory.fail(`writing to segment ${run.segment.baseOffset} of ${this.#parts.name}`, error)
  }

  /** Resolves when nothing is left to write. Needed before anything that cuts the log. */
  async settle(): Promise<void> {
    this.writePending()
    while (this.#writing !== null) await this.#writing
  }

  /** Resolves when the bytes handed over so far are in the file. */
  async written(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  // ---------------------------------------------------------------- syncing

  /** Moves the end that counts, or starts the sync that must come first. */
  #countOrSync(): void {
    const { flushMessages, flushMs } = this.#parts.config()
    const isDue =
      this.#endOffset - this.#recoveryPoint >= flushMessages ||
      (flushMs !== Infinity && this.#parts.clock.monotonic() - this.#lastSyncMs >= flushMs)
    if (isDue) this.#startSync()
    else if (!this.#isSyncing) this.#countedEndOffset = this.#endOffset
    if (!isDue && flushMs !== Infinity) this.#armFlushTimer(flushMs)
    if (this.#isSyncing || this.#unsyncedBytes < BACKGROUND_SYNC_BYTES) return
    this.#unsyncedBytes = 0
    this.inBackground('syncing', this.#parts.segments.at(-1)!.file.sync())
  }

  #armFlushTimer(flushMs: number): void {
    this.#flushTimer ??= this.#parts.clock.setTimer(flushMs, () => {
      this.#flushTimer = null
      if (this.#endOffset > this.#recoveryPoint && !this.isOffline) this.#startSync()
    })
  }

  /** One sync at a time; what is written meanwhile waits for the next. */
  #startSync(): void {
    if (this.#isSyncing) return
    this.#isSyncing = true
    this.inBackground('syncing', this.#syncForCount())
  }

  async #syncForCount(): Promise<void> {
    const end = this.#endOffset
    const cuts = this.#cuts
    try {
      await this.#syncSegments()
    } finally {
      this.#isSyncing = false
    }
    if (this.isOffline) return
    if (this.#cuts === cuts) {
      this.#synced(end)
      this.#countedEndOffset = Math.max(this.#countedEndOffset, end)
    }
    this.#countOrSync()
    this.#parts.endMoved()
  }

  #synced(end: number): void {
    this.#lastSyncMs = this.#parts.clock.monotonic()
    this.advanceRecoveryPoint(end)
  }

  advanceRecoveryPoint(offset: number): void {
    this.#recoveryPoint = Math.max(this.#recoveryPoint, offset)
  }

  /** A name in this folder is new. It is synced with the bytes that go with it. */
  noteNewName(folder: string): void {
    this.#unsyncedFolders.push(folder)
  }

  /**
   * Syncs the segments that reach beyond the recovery point, and the leader epochs: recovery reads epochs from batches only
   * from the recovery point on.
   */
  async #syncSegments(): Promise<void> {
    const { segments, directory, epochFile } = this.#parts
    const from = this.#recoveryPoint
    const due = segments.filter((_, index) => (segments[index + 1]?.baseOffset ?? Infinity) > from)
    const folders = this.#unsyncedFolders
    this.#unsyncedFolders = []
    for (const segment of due) if (!segment.isDeleted) await segment.file.sync()
    if (this.#isClosed) return
    await epochFile.sync()
    for (const folder of folders) await directory.files.syncDirectory(folder)
  }

  /** Resolves when everything appended so far is on stable storage. Rejects when the directory has failed. */
  async flush(): Promise<void> {
    await this.settle()
    await this.#background
    if (this.isOffline) throw new Error(`the log directory of ${this.#parts.name} is offline`)
    const end = this.#endOffset
    const cuts = this.#cuts
    try {
      await this.#syncSegments()
    } catch (error) {
      this.#parts.directory.fail(`syncing ${this.#parts.name}`, error)
      throw error
    }
    if (this.#cuts === cuts) this.#synced(end)
  }

  /** Owns the promise. What fails after the log was let go of (its folder may be gone) harms nobody. */
  inBackground(what: string, work: Promise<void>): void {
    this.#backgroundCount += 1
    const guarded = work
      .catch((error: unknown) => {
        if (!this.#isClosed) this.#parts.directory.fail(`${what} of ${this.#parts.name}`, error)
      })
      .finally(() => (this.#backgroundCount -= 1))
    this.#background = Promise.all([this.#background, guarded]).then(() => undefined)
  }

  get isIdle(): boolean {
    return this.isSettled && this.#backgroundCount === 0 && !this.#isSyncing
  }

  /** The log's folder was renamed. */
  movedTo(from: string, to: string): void {
    this.#unsyncedFolders = this.#unsyncedFolders.map((folder) => (folder === from ? to : folder))
  }

  /** Resolves when the work behind the appends is done. */
  idle(): Promise<void> {
    return this.#background
  }

  // ---------------------------------------------------------------- cuts and the end

  /** The log is being cut. */
  beginCut(): void {
    this.#cuts += 1
  }

  /** The log now ends at `offset`. */
  endAt(offset: number): void {
    this.#endOffset = offset
    this.#countedEndOffset = Math.min(this.#countedEndOffset, offset)
    this.#recoveryPoint = Math.min(this.#recoveryPoint, offset)
  }

  /** The log begins and ends at `offset`, empty. */
  restartAt(offset: number): void {
    this.endAt(offset)
    this.#countedEndOffset = offset
  }

  /** Nothing is written any more. `release` gives back the memory that is written from, when the pool is done with it. */
  close(release: () => void): void {
    this.#isClosed = true
    this.#flushTimer?.cancel()
    this.#unwritten = []
    // Memory that the pool still writes from must not serve another log meanwhile.
    if (this.#writing === null) release()
    else void this.#writing.then(release)
  }
}
