/**
 * The log of one partition: segments on disk, their tail in memory, and what is derived from the batches (leader
 * epochs, producer states). One replica of a partition is one log; what replicas agree on is none of its business.
 *
 * How an append goes: the batch is copied into the tail chunk, checked and patched there, and gets its offsets at once;
 * its bytes go to the file with those of the same turn. Only when the file has them does `logEndOffset` move, and with
 * it everything that readers may see. Several appends of one turn are one write.
 *
 * Invariant: logStartOffset ≤ highWatermark ≤ logEndOffset ≤ nextOffset, and lastStableOffset ≤ highWatermark.
 */
import { assert } from '#base'
import { FileError, joinPath, type Clock, type Logger, type Timer } from '#platform'
import { RecordBatchView, validateBatch, type RecordError } from '#protocol/records'

import { FollowerAppendError, batchStartAround, checkFollowed, rulesFor } from './append-checks.ts'
import { AppendErrorCode } from './append-errors.ts'
import { encodeEpochCheckpoint } from './checkpoints.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import { LogReader, type LogPosition, type LogRead, type ReadRequest } from './log-reader.ts'
import { LogSegment } from './log-segment.ts'
import { LogWriter } from './log-writer.ts'
import { LEADER_EPOCH_FILE, PARTITION_METADATA_FILE, SNAPSHOT_SUFFIX, partitionName, segmentFileName } from './names.ts'
import { encodePartitionMetadata } from './partition-metadata.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import { foldIn, rebuildProducers, snapshotOffsets } from './producer-recovery.ts'
import type { ProducedBatch, ProducerStates } from './producer-states.ts'
import type { OpenSegments } from './open-segments.ts'
import type { ReadBuffers } from './read-buffers.ts'
import { LogTail, type TailMemory } from './tail-cache.ts'
import { TimestampSearch, type FoundTimestamp } from './timestamp-search.ts'
import type { AbortedTransaction } from './transaction-index.ts'
import { WholeFile, writeWhole, writeWholeUnsynced } from './whole-files.ts'
import type { WriteGather } from './write-gather.ts'

/** What the logs of a process share. */
export interface LogEnvironment {
  readonly clock: Clock
  readonly logger: Logger
  readonly tails: TailMemory
  readonly readBuffers: ReadBuffers
  readonly openSegments: OpenSegments
  readonly gather: WriteGather
  /** `producer.id.expiration.ms`. */
  producerIdExpirationMs: number
  /** The start of a log has been raised: it is to be remembered. */
  startMoved(): void
  /** Uniform in [0, 1): spreads the rolling of segments by `segment.jitter.ms`. */
  random(): number
}

/** What a log is made from: `log-loader.ts` finds it on disk. */
export interface LogParts {
  readonly topic: string
  readonly partition: number
  readonly directory: LogDirectory
  readonly folder: string
  readonly config: LogConfig
  readonly topicId: string | null
  /** Sorted by base offset; at least one. */
  readonly segments: LogSegment[]
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly recoveryPoint: number
  readonly highWatermark: number
  /** The folder was made just now: its name is not yet on stable storage. */
  readonly isNew: boolean
}

export type LeaderAppend = AppendedBatch | RefusedAppend

export interface AppendedBatch {
  readonly kind: 'appended'
  readonly firstOffset: number
  readonly lastOffset: number
  /** −1 unless the topic stamps records itself. */
  readonly logAppendTimeMs: number
  /** The log had this batch already; the offsets are those that it got then, and nothing was appended. */
  readonly isDuplicate: boolean
}

export interface RefusedAppend {
  readonly kind: 'refused'
  readonly errorCode: AppendErrorCode
  readonly message: string
  readonly recordErrors: readonly RecordError[]
}

/** The process, or the machine, has opened as many files as it may. */
const OUT_OF_DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

export class Log {
  readonly topic: string
  readonly partition: number
  readonly name: string
  readonly directory: LogDirectory
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  /** Called when `countedEndOffset` or `logEndOffset` has moved; by whoever replicates the log. */
  onEndMoved: () => void = () => {}

  readonly #environment: LogEnvironment
  readonly #segments: LogSegment[]
  readonly #tail: LogTail
  readonly #reader: LogReader
  readonly #writer: LogWriter
  readonly #epochFile: WholeFile
  #folder: string
  #config: LogConfig
  #topicId: string | null
  #rollJitterMs: number
  #isClosed = false

  #logStartOffset: number
  /** Where the next batch begins; ahead of the end by what is appended and not yet written. */
  #nextOffset: number
  #highWatermark: number
  /** Rolled segments whose indexes are not yet on stable storage. */
  readonly #unsealed = new Set<LogSegment>()
  /** Timers that remove deleted files. */
  readonly #removals = new Set<Timer>()

  constructor(parts: LogParts, environment: LogEnvironment) {
    this.topic = parts.topic
    this.partition = parts.partition
    this.name = partitionName(parts.topic, parts.partition)
    this.directory = parts.directory
    this.epochs = parts.epochs
    this.producers = parts.producers
    this.#folder = parts.folder
    this.#config = parts.config
    this.#topicId = parts.topicId
    this.#segments = parts.segments
    this.#environment = environment
    this.#tail = new LogTail(environment.tails)
    this.#reader = new LogReader(this.#segments, this.#tail, environment.readBuffers, this.#onRead)
    this.#epochFile = new WholeFile(parts.directory.files, joinPath(parts.folder, LEADER_EPOCH_FILE))
    this.epochs.onChange = () => this.saveEpochs()
    this.#writer = new LogWriter({
      name: this.name,
      directory: parts.directory,
      clock: environment.clock,
      gather: environment.gather,
      segments: this.#segments,
      epochFile: this.#epochFile,
      endOffset: parts.logEndOffset,
      recoveryPoint: parts.recoveryPoint,
      unsyncedFolders: parts.isNew ? [parts.folder, parts.directory.path] : [],
      config: () => this.#config,
      endMoved: () => this.onEndMoved(),
    })
    this.#logStartOffset = parts.logStartOffset
    this.#nextOffset = parts.logEndOffset
    this.#highWatermark = clamp(parts.highWatermark, parts.logStartOffset, parts.logEndOffset)
    this.#rollJitterMs = this.#pickJitter()
    this.producers.forgetReplicatedBelow(this.#highWatermark)
  }

  get config(): LogConfig {
    return this.#config
  }

  get folder(): string {
    return this.#folder
  }

  /** 22 characters of base64url; null: the folder has no `partition.metadata` yet. */
  get topicId(): string | null {
    return this.#topicId
  }

  get logStartOffset(): number {
    return this.#logStartOffset
  }

  /** Behind the last record that the file has. */
  get logEndOffset(): number {
    return this.#writer.endOffset
  }

  /** Where the next batch will begin: ahead of `logEndOffset` by what is appended and not yet written. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /**
   * The end that counts for acknowledgements, the high watermark and a follower's next fetch: `logEndOffset`, held
   * back while a sync that `flush.messages` or `flush.ms` asks for is under way.
   */
  get countedEndOffset(): number {
    return this.#writer.countedEndOffset
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  /** Everything below is on stable storage, indexes included: recovery makes them anew only from here on. */
  get recoveryPoint(): number {
    let offset = this.#writer.recoveryPoint
    for (const { baseOffset } of this.#unsealed) offset = Math.min(offset, baseOffset)
    return offset
  }

  /** Below it every transaction is decided: what consumers that read only committed records may see. */
  get lastStableOffset(): number {
    const unstable = this.producers.firstUnstableOffset
    return unstable === null ? this.#highWatermark : Math.min(unstable, this.#highWatermark)
  }

  get isOffline(): boolean {
    return this.#isClosed || this.directory.isOffline
  }

  get latestEpoch(): number {
    return this.epochs.latestEpoch
  }

  /** Bytes of all segments. */
  get sizeInBytes(): number {
    let size = 0
    for (const segment of this.#segments) size += segment.size
    return size
  }

  get segmentBaseOffsets(): number[] {
    return this.#segments.map((segment) => segment.baseOffset)
  }

  updateConfig(config: LogConfig): void {
    this.#config = config
    this.#rollJitterMs = this.#pickJitter()
  }

  assignTopicId(topicId: string): void {
    assert(this.#topicId === null || this.#topicId === topicId, `${this.name} has another topic id`)
    if (this.#topicId === topicId) return
    this.#topicId = topicId
    // A power failure may lose it: then the controller's next word brings it back.
    this.#guard('writing the topic id', () => {
      const path = joinPath(this.#folder, PARTITION_METADATA_FILE)
      const done = writeWholeUnsynced(this.directory.files, path, encodePartitionMetadata(topicId))
      if (done !== undefined) this.#writer.inBackground('writing the topic id', done)
    })
  }

  // ---------------------------------------------------------------- appending

  /**
   * Appends what a client or coordinator produced, as the leader of `leaderEpoch`: one batch, of any format. `records`
   * are copied, and may change afterwards. The offsets are final on return; the bytes reach the file at the end of the turn.
   */
  appendAsLeader(records: Uint8Array, leaderEpoch: number, origin: 'client' | 'coordinator'): LeaderAppend {
    if (this.isOffline) return refuse(AppendErrorCode.KAFKA_STORAGE_ERROR, `log directory of ${this.name} is offline`)
    const { segmentBytes } = this.#config
    if (records.length > segmentBytes)
      return refuse(
        AppendErrorCode.RECORD_LIST_TOO_LARGE,
        `${records.length} bytes do not fit a segment of ${segmentBytes}`,
      )
    const nowMs = this.#environment.clock.now()
    const copy = this.#copyToTail(records)
    const validation = validateBatch(copy, rulesFor(this.#config, origin, nowMs))
    if (validation.kind === 'refused') return validation
    const { batch } = validation
    if (batch.producerId >= 0) {
      const verdict = this.producers.check(batch, origin)
      if (verdict.kind === 'refused') return refuse(verdict.errorCode, verdict.message)
      if (verdict.kind === 'duplicate') return duplicate(verdict.batch)
    }
    batch.baseOffset = this.#nextOffset
    batch.partitionLeaderEpoch = leaderEpoch
    const kept = this.#keep(batch)
    if (kept === null) return refuse(AppendErrorCode.KAFKA_STORAGE_ERROR, `log directory of ${this.name} has failed`)
    const stamped = batch.timestampType === 'LogAppendTime'
    return {
      kind: 'appended',
      firstOffset: kept.baseOffset,
      lastOffset: kept.lastOffset,
      logAppendTimeMs: stamped ? nowMs : -1,
      isDuplicate: false,
    }
  }

  /**
   * Appends what a follower fetched: whole batches with the leader's offsets and epochs. Throws `FollowerAppendError` for bytes
   * that do not continue the log, before anything is appended; and at a batch whose CRC is wrong, when those before it are.
   */
  appendAsFollower(records: Uint8Array): void {
    if (this.isOffline) throw new FollowerAppendError(`log directory of ${this.name} is offline`)
    this.#beginAroundStart(records)
    for (const { position, size } of checkFollowed(records, this.#nextOffset, this.name)) {
      const batch = new RecordBatchView(this.#copyToTail(records.subarray(position, position + size)))
      if (!batch.hasValidCrc())
        throw new FollowerAppendError(`${this.name}: the CRC of the batch at ${batch.baseOffset} is wrong`)
      if (this.#keep(batch) === null) throw new FollowerAppendError(`log directory of ${this.name} has failed`)
    }
  }

  /**
   * An empty log whose start lies inside the leader's first batch takes that batch whole: its file begins before its start
   * (KAFKA-6254, upstream `UnexpectedAppendOffsetException`). Until that batch is written the end lies before the start, and nothing can be read.
   */
  #beginAroundStart(records: Uint8Array): void {
    const startOffset = this.#logStartOffset
    if (this.#nextOffset !== startOffset) return
    const baseOffset = batchStartAround(records, startOffset, this.name)
    if (baseOffset === null) return
    this.truncateFullyAndStartAt(baseOffset)
    this.#logStartOffset = startOffset
  }

  /** Room at the tail's end with a copy of `bytes`; it counts only once it is kept. */
  #copyToTail(bytes: Uint8Array): Uint8Array {
    const segment = this.#activeSegment
    const chunk = this.#tail.reserve(bytes.length, segment.baseOffset, segment.size)
    chunk.bytes.set(bytes, chunk.length)
    return chunk.bytes.subarray(chunk.length, chunk.length + bytes.length)
  }

  /**
   * Makes the checked and patched batch part of the log; it lies at the tail's end, or elsewhere when it was rewritten. Null
   * when the directory failed under it.
   */
  #keep(batch: RecordBatchView): RecordBatchView | null {
    const size = batch.sizeInBytes
    this.#rollIfDue(batch, size)
    if (this.isOffline) return null
    const segment = this.#activeSegment
    const chunk = this.#tail.reserve(size, segment.baseOffset, segment.size)
    let kept = batch
    if (
      batch.bytes.buffer !== chunk.bytes.buffer ||
      batch.bytes.byteOffset + batch.position !== chunk.bytes.byteOffset + chunk.length
    ) {
      chunk.bytes.set(batch.toBytes(), chunk.length)
      kept = new RecordBatchView(chunk.bytes, chunk.length)
    }
    const { baseOffset, nextOffset, partitionLeaderEpoch } = kept
    segment.note(kept, this.#config.indexIntervalBytes)
    chunk.note(baseOffset, size, nextOffset)
    this.#nextOffset = nextOffset
    if (partitionLeaderEpoch > this.epochs.latestEpoch) this.epochs.assign(partitionLeaderEpoch, baseOffset)
    if (kept.producerId >= 0) this.#applyToProducers(kept, segment)
    this.producers.endOffset = nextOffset
    this.#writer.add(chunk)
    return kept
  }

  #applyToProducers(batch: RecordBatchView, segment: LogSegment): void {
    const aborted = foldIn(this.producers, batch)
    if (aborted !== null)
      this.#writer.inBackground('writing the transaction index', segment.transactionIndex.append(aborted))
  }

  /** Bytes that are appended and not yet written. They lie in memory, and grow while the disk is slower than its users. */
  get unwrittenBytes(): number {
    return this.#writer.unwrittenBytes
  }

  /** Writes what is pending now instead of at the end of the turn. Never throws. */
  writePending(): void {
    this.#writer.writePending()
  }

  /** Resolves when nothing is left to write. Needed before the log is cut. */
  settle(): Promise<void> {
    return this.#writer.settle()
  }

  get isSettled(): boolean {
    return this.#writer.isSettled
  }

  /** Resolves when everything appended so far is on stable storage. Rejects when the directory has failed. */
  flush(): Promise<void> {
    return this.#writer.flush()
  }

  #guard(what: string, run: () => void): void {
    try {
      run()
    } catch (error) {
      this.directory.fail(`${what} of ${this.name}`, error)
    }
  }

  // ---------------------------------------------------------------- rolling

  get #activeSegment(): LogSegment {
    return this.#segments.at(-1)!
  }

  #rollIfDue(batch: RecordBatchView, size: number): void {
    const config = this.#config
    const isDue = this.#activeSegment.shouldRoll({
      segmentBytes: config.segmentBytes,
      segmentIndexBytes: config.segmentIndexBytes,
      segmentMs: config.segmentMs - this.#rollJitterMs,
      nowMs: this.#environment.clock.now(),
      incomingBytes: size,
      incomingMaxTimestamp: batch.maxTimestampExact,
      incomingLastOffset: batch.lastOffset,
    })
    if (isDue) this.#roll()
  }

  /**
   * Starts a new segment at the next offset. The old one's indexes and the producer snapshot are written and all is
   * synced behind the appends; the recovery point follows when that is done.
   */
  #roll(): void {
    const baseOffset = this.#nextOffset
    const old = this.#activeSegment
    const snapshot = encodeProducerSnapshot(this.producers.producers())
    this.#rollJitterMs = this.#pickJitter()
    this.#guard('rolling a segment', () => {
      this.#segments.push(this.#newSegment(baseOffset))
    })
    if (this.directory.isOffline) return
    this.#unsealed.add(old)
    this.#writer.writePending()
    this.#writer.inBackground('sealing a segment', this.#seal(old, baseOffset, snapshot))
  }

  async #seal(segment: LogSegment, nextBaseOffset: number, snapshot: Uint8Array): Promise<void> {
    const { cuts } = this.#writer
    const { files } = this.directory
    await this.#writer.written()
    // A log that was cut meanwhile may hold other batches at this offset, and the snapshot would lie.
    if (this.isOffline || this.#writer.cuts !== cuts) return
    await segment.seal(true)
    if (this.isOffline || this.#writer.cuts !== cuts) return
    await writeWhole(files, this.#snapshotPath(nextBaseOffset), snapshot)
    if (!segment.isDeleted) await segment.file.sync()
    await this.#epochFile.sync()
    await files.syncDirectory(this.#folder)
    if (this.isOffline) return
    if (this.#writer.cuts !== cuts) return files.remove(this.#snapshotPath(nextBaseOffset))
    this.#unsealed.delete(segment)
    this.#writer.advanceRecoveryPoint(nextBaseOffset)
    if (!segment.isDeleted) segment.rest()
  }

  #newSegment(baseOffset: number): LogSegment {
    this.#writer.noteNewName(this.#folder)
    return new LogSegment(this.directory.files, this.#folder, baseOffset, this.#environment.clock.now(), true)
  }

  #snapshotPath(offset: number): string {
    return joinPath(this.#folder, segmentFileName(offset, SNAPSHOT_SUFFIX))
  }

  #pickJitter(): number {
    const bound = Math.min(this.#config.segmentJitterMs, this.#config.segmentMs)
    return bound > 0 ? Math.floor(this.#environment.random() * bound) : 0
  }

  // ---------------------------------------------------------------- reading

  /**
   * Reads whole batches from the one that holds `offset` on. Near the end at once, from memory or by a synchronous
   * read; from far behind in the pool. The offset must lie in [logStartOffset, logEndOffset]. Throws or rejects with
   * `FileError` when the disk fails (the directory is offline then) or no file can be opened, with `MalformedBytesError` where
   * what lies there is no batch.
   */
  read(request: ReadRequest): LogRead | Promise<LogRead> {
    assert(
      request.offset >= this.#logStartOffset && request.offset <= this.logEndOffset,
      'the offset to read is in range',
    )
    const bounded = { ...request, upTo: Math.min(request.upTo, this.logEndOffset) }
    try {
      const read = this.#reader.read(bounded, this.#writtenEndOf)
      return read instanceof Promise ? read.catch((error: unknown) => this.#readFailed(error)) : read
    } catch (error) {
      return this.#readFailed(error)
    }
  }

  readonly #writtenEndOf = (segment: LogSegment): number => this.#writer.writtenEndOf(segment)

  /** A segment that nothing is written to any more is open for its readers only. */
  readonly #onRead = (segment: LogSegment): void => {
    if (segment !== this.#activeSegment && !this.#unsealed.has(segment)) this.#environment.openSegments.used(segment)
  }

  /**
   * A disk that cannot be read from is not to be written to either. That the process has no descriptor left says nothing of
   * the disk, and passes.
   */
  #readFailed(error: unknown): never {
    const isOfDisk = error instanceof FileError && !OUT_OF_DESCRIPTORS.has(error.code)
    if (isOfDisk && !this.#isClosed) this.directory.fail(`reading ${this.name}`, error)
    throw error
  }

  #reading<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      return this.#readFailed(error)
    }
  }

  /** Where the record at `offset` would lie, when that is known without reading; null when it is not. */
  locate(offset: number): LogPosition | null {
    return this.#reader.locate(offset, this.#nextOffset)
  }

  /** First record with a timestamp ≥ `timestamp` below `upTo`; null: none. Throws as `read` does. */
  findTimestamp(timestamp: bigint, upTo: number): FoundTimestamp | null {
    return this.#reading(() => this.#search().first(timestamp, this.#logStartOffset, Math.min(upTo, this.logEndOffset)))
  }

  /** The record with the largest timestamp; null: the log is empty, or none has one. Throws as `read` does. */
  findMaxTimestamp(): FoundTimestamp | null {
    return this.#reading(() => this.#search().largest(this.#logStartOffset, this.logEndOffset))
  }

  #search(): TimestampSearch {
    return new TimestampSearch(this.#segments, this.#writtenEndOf, this.#onRead)
  }

  /** Aborted transactions that overlap [from, to), for a consumer that leaves out their records. Throws as `read` does. */
  abortedTransactions(from: number, to: number): AbortedTransaction[] {
    return this.#reading(() => this.#abortedTransactions(from, to))
  }

  #abortedTransactions(from: number, to: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (const [index, segment] of this.#segments.entries()) {
      if ((this.#segments[index + 1]?.baseOffset ?? Infinity) <= from) continue
      for (const entry of segment.transactionIndex.entries) {
        if (entry.lastOffset >= from && entry.firstOffset < to) found.push(entry)
        if (entry.lastStableOffset >= to) return found
      }
    }
    return found
  }

  /** Where `epoch` ends in this log, for replicas that compare theirs; null: not known here. */
  endOffsetForEpoch(epoch: number): { epoch: number; endOffset: number } | null {
    return this.epochs.endOffsetFor(epoch, this.logEndOffset)
  }

  // ---------------------------------------------------------------- moving the bounds

  /** Raises or lowers the high watermark, within the log's bounds. Returns whether it moved. */
  updateHighWatermark(offset: number): boolean {
    const bounded = clamp(offset, this.#logStartOffset, this.logEndOffset)
    if (bounded === this.#highWatermark) return false
    this.#highWatermark = bounded
    this.producers.forgetReplicatedBelow(bounded)
    return true
  }

  /** Raises the high watermark; never lowers it. Returns whether it moved. */
  raiseHighWatermark(offset: number): boolean {
    return offset > this.#highWatermark && this.updateHighWatermark(offset)
  }

  /** Raises the log start (DeleteRecords, or a leader's); segments that lie wholly below are deleted. */
  raiseLogStart(offset: number): boolean {
    if (offset <= this.#logStartOffset) return false
    assert(offset <= this.logEndOffset, 'the log start does not pass the end')
    this.#logStartOffset = offset
    this.epochs.truncateFromStart(offset)
    if (this.#highWatermark < offset) this.#highWatermark = offset
    this.producers.forgetReplicatedBelow(offset)
    this.#deleteSegmentsBelow(offset)
    this.#environment.startMoved()
    return true
  }

  #deleteSegmentsBelow(offset: number): void {
    let count = 0
    while (count < this.#segments.length - 1 && this.#segments[count + 1]!.baseOffset <= offset) count += 1
    this.#deleteSegments(this.#segments.splice(0, count))
  }

  #deleteSegments(segments: readonly LogSegment[]): void {
    if (segments.length === 0) return
    this.#guard('deleting segments', () => {
      for (const segment of segments) {
        this.#unsealed.delete(segment)
        this.#environment.openSegments.forget(segment)
        segment.markDeleted()
        this.directory.files.remove(this.#snapshotPath(segment.baseOffset))
      }
    })
    const timer = this.#environment.clock.setTimer(this.#config.fileDeleteDelayMs, () => {
      this.#removals.delete(timer)
      this.#guard('removing deleted segments', () => segments.forEach((segment) => segment.removeFiles()))
    })
    this.#removals.add(timer)
  }

  /**
   * Cuts off everything from `offset` on, synchronously; the log must be settled. An offset at or behind the end cuts no
   * records, but the epochs that begin there go too (KAFKA-10706).
   */
  truncateTo(offset: number): void {
    assert(this.isSettled, 'a log is settled before it is cut')
    if (offset < this.#logStartOffset) return this.truncateFullyAndStartAt(offset)
    if (offset < this.logEndOffset) this.#guard('truncating', () => this.#cutAt(offset))
    this.epochs.truncateFromEnd(Math.min(offset, this.logEndOffset))
  }

  #cutAt(offset: number): void {
    this.#writer.beginCut()
    this.#tail.clear()
    this.#reader.forget()
    const keep = this.#segments.filter((segment) => segment.baseOffset <= offset).length
    this.#deleteSegments(this.#segments.splice(keep))
    this.#unsealed.delete(this.#activeSegment)
    this.#environment.openSegments.forget(this.#activeSegment)
    const nowMs = this.#environment.clock.now()
    this.#writer.inBackground('truncating the transaction index', this.#activeSegment.truncateTo(offset, nowMs))
    // A batch that holds the offset went whole, so that the end may lie before it.
    const end = Math.max(this.#activeSegment.readNextOffset(), this.#logStartOffset)
    this.#endAt(Math.min(offset, end))
    this.#rebuildProducers()
    this.onEndMoved()
  }

  /** The bounds move before the producers are read anew, which goes by them (KAFKA-12153). */
  #endAt(offset: number): void {
    this.#writer.endAt(offset)
    this.#nextOffset = offset
    this.#highWatermark = Math.min(this.#highWatermark, offset)
  }

  /** Throws everything away, synchronously: the log begins and ends at `offset`. The log must be settled. */
  truncateFullyAndStartAt(offset: number): void {
    assert(this.isSettled, 'a log is settled before it is cut')
    this.#writer.beginCut()
    this.#tail.clear()
    this.#reader.forget()
    this.#guard('truncating', () => {
      this.#deleteSegments(this.#segments.splice(0))
      this.#removeSnapshots(() => true)
      this.#segments.push(this.#newSegment(offset))
    })
    this.epochs.clear()
    this.producers.clear(offset)
    this.#logStartOffset = offset
    this.#writer.restartAt(offset)
    this.#nextOffset = offset
    this.#highWatermark = offset
    // A start that was written down before and lies behind this one would take the log for lost after a crash.
    this.#environment.startMoved()
    this.onEndMoved()
  }

  // ---------------------------------------------------------------- epochs and producers

  /** Writes the leader epochs out; called whenever they have changed. */
  saveEpochs(): void {
    if (this.#isClosed) return
    this.#writer.inBackground(
      'writing leader epochs',
      this.#epochFile.write(encodeEpochCheckpoint(this.epochs.entries)),
    )
  }

  /** Forgets producers that were silent for `producer.id.expiration.ms`. */
  expireProducers(): void {
    this.producers.expire(this.#environment.clock.now(), this.#environment.producerIdExpirationMs)
  }

  #rebuildProducers(): void {
    this.#guard('reading producer snapshots', () => {
      this.#removeSnapshots((snapshotOffset) => snapshotOffset > this.logEndOffset)
      rebuildProducers({
        files: this.directory.files,
        folder: this.#folder,
        segments: this.#segments,
        producers: this.producers,
        logStartOffset: this.#logStartOffset,
        endOffset: this.logEndOffset,
        nowMs: this.#environment.clock.now(),
        expirationMs: this.#environment.producerIdExpirationMs,
        logger: this.#environment.logger,
      })
    })
    this.producers.forgetReplicatedBelow(this.#highWatermark)
  }

  #removeSnapshots(isGone: (offset: number) => boolean): void {
    for (const offset of snapshotOffsets(this.directory.files, this.#folder))
      if (isGone(offset)) this.directory.files.remove(this.#snapshotPath(offset))
  }

  // ---------------------------------------------------------------- the end

  /** A clean stop: everything written and synced, indexes sealed, a producer snapshot at the end. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#writer.settle()
    await this.#writer.idle()
    if (!this.isOffline) {
      if (this.logEndOffset > this.#logStartOffset)
        await writeWhole(
          this.directory.files,
          this.#snapshotPath(this.logEndOffset),
          encodeProducerSnapshot(this.producers.producers()),
        )
      for (const segment of [...this.#unsealed, this.#activeSegment]) await segment.seal(true)
      this.#unsealed.clear()
      this.#writer.noteNewName(this.#folder)
      await this.#writer.flush()
    }
    this.abandon()
  }

  /** Lets go of memory and files without writing anything: the directory has failed, or the log is deleted. */
  abandon(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // What was to be removed later is removed at the next start.
    for (const timer of this.#removals) timer.cancel()
    this.#writer.close(() => this.#tail.clear())
    for (const segment of this.#segments) {
      this.#environment.openSegments.forget(segment)
      segment.retire()
    }
  }

  /** Whether nothing is being written or synced: only then may the folder get another name under a log that lives on. */
  get isIdle(): boolean {
    return this.#writer.isIdle
  }

  /** Resolves when the work behind the appends is done. */
  idle(): Promise<void> {
    return this.#writer.idle()
  }

  /** The folder gets another name, and the log goes on in it; it must be idle. */
  moveFolder(folder: string): void {
    assert(this.isIdle, 'a log is idle before its folder is renamed')
    const former = this.#folder
    this.directory.files.rename(former, folder)
    this.#folder = folder
    this.#epochFile.movedTo(joinPath(folder, LEADER_EPOCH_FILE))
    for (const segment of this.#segments) segment.movedTo(folder)
    this.#writer.movedTo(former, folder)
    this.#writer.noteNewName(this.directory.path)
  }

  /** The partition's folder goes to be deleted under another name. */
  renameFolder(folder: string): void {
    this.abandon()
    this.directory.files.rename(this.#folder, folder)
    this.#folder = folder
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}

function refuse(errorCode: AppendErrorCode, message: string): RefusedAppend {
  return { kind: 'refused', errorCode, message, recordErrors: [] }
}

function duplicate(batch: ProducedBatch): AppendedBatch {
  const { firstOffset, lastOffset, timestamp } = batch
  return { kind: 'appended', firstOffset, lastOffset, logAppendTimeMs: Number(timestamp), isDuplicate: true }
}
