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
import { joinPath, type Clock, type Logger, type Timer } from '#platform'
import {
  BATCH_HEADER_BYTES,
  Codec,
  RecordBatchView,
  validateBatch,
  type RecordError,
  type ValidationRules,
} from '#protocol/records'

import { AppendErrorCode } from './append-errors.ts'
import { encodeEpochCheckpoint } from './checkpoints.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { isCompacted, type LogConfig } from './log-config.ts'
import type { LogDirectory } from './log-directory.ts'
import { LogReader, type LogPosition, type LogRead, type ReadRequest } from './log-reader.ts'
import { LogSegment } from './log-segment.ts'
import { LEADER_EPOCH_FILE, PARTITION_METADATA_FILE, SNAPSHOT_SUFFIX, partitionName, segmentFileName } from './names.ts'
import { encodePartitionMetadata } from './partition-metadata.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import { foldIn, rebuildProducers, snapshotOffsets } from './producer-recovery.ts'
import type { ProducedBatch, ProducerStates } from './producer-states.ts'
import type { ReadBuffers } from './read-buffers.ts'
import { LogTail, type TailChunk, type TailMemory } from './tail-cache.ts'
import { TimestampSearch, type FoundTimestamp } from './timestamp-search.ts'
import type { AbortedTransaction } from './transaction-index.ts'
import { WholeFile, writeWhole } from './whole-files.ts'
import type { WriteGather } from './write-gather.ts'

/** What the logs of a process share. */
export interface LogEnvironment {
  readonly clock: Clock
  readonly logger: Logger
  readonly tails: TailMemory
  readonly readBuffers: ReadBuffers
  readonly gather: WriteGather
  /** `producer.id.expiration.ms`. */
  readonly producerIdExpirationMs: number
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

/** Bytes from a leader that do not continue this log: they are refused whole, and the fetch is tried again. */
export class FollowerAppendError extends Error {
  override name = 'FollowerAppendError'
}

/** Between background syncs of a segment, so that dirty pages stay bounded. */
const BACKGROUND_SYNC_BYTES = 64 * 1024 * 1024

const CODECS = { uncompressed: Codec.none, gzip: Codec.gzip, snappy: Codec.snappy, lz4: Codec.lz4, zstd: Codec.zstd }

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
  readonly #epochFile: WholeFile
  #folder: string
  #config: LogConfig
  #topicId: string | null
  #rollJitterMs: number
  #isClosed = false

  #logStartOffset: number
  #logEndOffset: number
  /** Where the next batch begins; ahead of `logEndOffset` by what is appended and not yet written. */
  #nextOffset: number
  #highWatermark: number
  /** Everything below is on stable storage. */
  #recoveryPoint: number
  #countedEndOffset: number

  /** Chunks with bytes that the file has not yet, in order. */
  #unwritten: TailChunk[] = []
  #isGathered = false
  /** The write that the pool is carrying out; null as a rule, since writes are synchronous. */
  #writing: Promise<void> | null = null
  /** Work behind the appends (syncs, sealing a segment), one after the other. */
  #background: Promise<void> = Promise.resolve()
  #isSyncing = false
  /** How often the log was cut: work that began before a cut must not finish as if nothing had happened. */
  #cuts = 0
  /** Timers that remove deleted files. */
  readonly #removals = new Set<Timer>()
  /** Folders with names in them that a power failure would still take away. */
  #unsyncedFolders: string[] = []
  #unsyncedBytes = 0
  #lastSyncMs: number
  #flushTimer: Timer | null = null

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
    this.#reader = new LogReader(this.#segments, this.#tail, environment.readBuffers)
    this.#epochFile = new WholeFile(parts.directory.files, joinPath(parts.folder, LEADER_EPOCH_FILE))
    this.epochs.onChange = () => this.saveEpochs()
    if (parts.isNew) this.#unsyncedFolders.push(parts.folder, parts.directory.path)
    this.#logStartOffset = parts.logStartOffset
    this.#logEndOffset = parts.logEndOffset
    this.#nextOffset = parts.logEndOffset
    this.#countedEndOffset = parts.logEndOffset
    this.#recoveryPoint = Math.min(parts.recoveryPoint, parts.logEndOffset)
    this.#highWatermark = clamp(parts.highWatermark, parts.logStartOffset, parts.logEndOffset)
    this.#rollJitterMs = this.#pickJitter()
    this.#lastSyncMs = environment.clock.monotonic()
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
    return this.#logEndOffset
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
    return this.#countedEndOffset
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  get recoveryPoint(): number {
    return this.#recoveryPoint
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
    this.#guard('writing the topic id', () => {
      const path = joinPath(this.#folder, PARTITION_METADATA_FILE)
      this.#inBackground(
        'writing the topic id',
        writeWhole(this.directory.files, path, encodePartitionMetadata(topicId)),
      )
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
    const validation = validateBatch(copy, this.#rules(origin, nowMs))
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
   * Appends what a follower fetched: whole batches with the leader's offsets and epochs. All of them are checked
   * before the first is appended. Throws `FollowerAppendError` for bytes that do not continue the log.
   */
  appendAsFollower(records: Uint8Array): void {
    if (this.isOffline) throw new FollowerAppendError(`log directory of ${this.name} is offline`)
    const batches = this.#checkFollowed(records)
    for (const { position, size } of batches) {
      const copy = this.#copyToTail(records.subarray(position, position + size))
      this.#keep(new RecordBatchView(copy))
    }
  }

  #checkFollowed(records: Uint8Array): { position: number; size: number }[] {
    const batches: { position: number; size: number }[] = []
    let expected = this.#nextOffset
    let position = 0
    while (position < records.length) {
      const batch = wholeBatchAt(records, position)
      // The rest is a batch that the leader cut at its bound.
      if (batch === null) break
      if (!batch.hasValidCrc())
        throw new FollowerAppendError(`${this.name}: CRC of the batch at ${batch.baseOffset} is wrong`)
      // A compacted leader has gaps, but no leader goes back.
      if (batch.baseOffset < expected || batch.lastOffsetDelta < 0)
        throw new FollowerAppendError(`${this.name}: offset ${batch.baseOffset} came where ${expected} was due`)
      expected = batch.nextOffset
      batches.push({ position, size: batch.sizeInBytes })
      position += batch.sizeInBytes
    }
    return batches
  }

  /** Room at the tail's end with a copy of `bytes`; it counts only once it is kept. */
  #copyToTail(bytes: Uint8Array): Uint8Array {
    const segment = this.#activeSegment
    const chunk = this.#tail.reserve(bytes.length, segment.baseOffset, segment.size)
    chunk.bytes.set(bytes, chunk.length)
    return chunk.bytes.subarray(chunk.length, chunk.length + bytes.length)
  }

  /** Makes the checked and patched batch part of the log; it lies at the tail's end, or elsewhere when it was rewritten. */
  #keep(batch: RecordBatchView): RecordBatchView {
    const size = batch.sizeInBytes
    this.#rollIfDue(batch, size)
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
    this.#gather(chunk)
    return kept
  }

  #applyToProducers(batch: RecordBatchView, segment: LogSegment): void {
    const aborted = foldIn(this.producers, batch)
    if (aborted !== null) this.#inBackground('writing the transaction index', segment.transactionIndex.append(aborted))
  }

  #rules(origin: 'client' | 'coordinator', nowMs: number): ValidationRules {
    const config = this.#config
    return {
      origin,
      isCompacted: isCompacted(config),
      timestampType: config.messageTimestampType,
      timestampBeforeMaxMs: config.messageTimestampBeforeMaxMs,
      timestampAfterMaxMs: config.messageTimestampAfterMaxMs,
      compression: config.compressionType === 'producer' ? 'producer' : CODECS[config.compressionType],
      compressionLevel: levelOf(config),
      batchBytesMax: config.maxMessageBytes,
      nowMs,
    }
  }

  // ---------------------------------------------------------------- writing

  #gather(chunk: TailChunk): void {
    if (this.#unwritten.at(-1) !== chunk) this.#unwritten.push(chunk)
    if (this.#isGathered) return
    this.#isGathered = true
    this.#environment.gather.add(this)
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
    const last = chunks.at(-1)!
    return {
      segment: this.#segmentWithBase(first.segmentBase),
      chunks,
      lengths: chunks.map((chunk) => chunk.length),
      bytes,
      position: first.filePosition + first.written,
      endOffset: last.nextOffset,
    }
  }

  #written(run: WriteRun): void {
    for (const [index, chunk] of run.chunks.entries()) {
      this.#unsyncedBytes += run.lengths[index]! - chunk.written
      chunk.written = run.lengths[index]!
    }
    while (this.#unwritten.length > 0 && this.#unwritten[0]!.written === this.#unwritten[0]!.length)
      this.#unwritten.shift()
    this.#logEndOffset = run.endOffset
    this.#countOrSync()
    this.onEndMoved()
  }

  /** The file keeps what is good; nothing else is tried. */
  #writeFailed(run: WriteRun, error: unknown): void {
    try {
      run.segment.file.truncate(run.position)
    } catch {
      // The next start finds the torn batch by its CRC.
    }
    this.directory.fail(`writing to ${run.segment.file.path}`, error)
  }

  // ---------------------------------------------------------------- syncing

  /** Moves the end that counts, or starts the sync that must come first. */
  #countOrSync(): void {
    const { flushMessages, flushMs } = this.#config
    const isDue =
      this.#logEndOffset - this.#recoveryPoint >= flushMessages ||
      (flushMs !== Infinity && this.#environment.clock.monotonic() - this.#lastSyncMs >= flushMs)
    if (isDue) this.#startSync()
    else if (!this.#isSyncing) this.#countedEndOffset = this.#logEndOffset
    if (!isDue && flushMs !== Infinity) this.#armFlushTimer(flushMs)
    if (!this.#isSyncing && this.#unsyncedBytes >= BACKGROUND_SYNC_BYTES) {
      this.#unsyncedBytes = 0
      this.#inBackground('syncing in the background', this.#activeSegment.file.sync())
    }
  }

  #armFlushTimer(flushMs: number): void {
    this.#flushTimer ??= this.#environment.clock.setTimer(flushMs, () => {
      this.#flushTimer = null
      if (this.#logEndOffset > this.#recoveryPoint && !this.isOffline) this.#startSync()
    })
  }

  /** One sync at a time; what is written meanwhile waits for the next. */
  #startSync(): void {
    if (this.#isSyncing) return
    this.#isSyncing = true
    this.#inBackground('syncing', this.#syncForCount())
  }

  async #syncForCount(): Promise<void> {
    const end = this.#logEndOffset
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
    this.onEndMoved()
  }

  #synced(end: number): void {
    this.#lastSyncMs = this.#environment.clock.monotonic()
    this.#recoveryPoint = Math.max(this.#recoveryPoint, end)
  }

  /** Syncs the segments that reach beyond the recovery point. */
  async #syncSegments(): Promise<void> {
    const from = this.#recoveryPoint
    const due = this.#segments.filter(
      (segment, index) => (this.#segments[index + 1]?.baseOffset ?? Infinity) > from || segment === this.#activeSegment,
    )
    const folders = this.#unsyncedFolders
    this.#unsyncedFolders = []
    for (const segment of due) if (!segment.isDeleted) await segment.file.sync()
    for (const folder of folders) await this.directory.files.syncDirectory(folder)
  }

  /** Resolves when everything appended so far is on stable storage. Rejects when the directory has failed. */
  async flush(): Promise<void> {
    await this.settle()
    await this.#background
    const end = this.#logEndOffset
    const cuts = this.#cuts
    if (this.isOffline) throw new Error(`log directory of ${this.name} is offline`)
    try {
      await this.#syncSegments()
    } catch (error) {
      this.directory.fail(`syncing ${this.name}`, error)
      throw error
    }
    if (this.#cuts === cuts) this.#synced(end)
  }

  /** Resolves when nothing is left to write. Needed before anything that cuts the log. */
  async settle(): Promise<void> {
    this.writePending()
    while (this.#writing !== null) await this.#writing
  }

  get isSettled(): boolean {
    return this.#writing === null && this.#unwritten.length === 0
  }

  /** Owns the promise. What fails after the log was let go of (its folder may be gone) harms nobody. */
  #inBackground(what: string, work: Promise<void>): void {
    const guarded = work.catch((error: unknown) => {
      if (!this.#isClosed) this.directory.fail(`${what} of ${this.name}`, error)
    })
    this.#background = Promise.all([this.#background, guarded]).then(() => undefined)
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

  #segmentWithBase(baseOffset: number): LogSegment {
    const active = this.#activeSegment
    return active.baseOffset === baseOffset
      ? active
      : this.#segments.find((segment) => segment.baseOffset === baseOffset)!
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
    this.writePending()
    this.#inBackground('sealing a segment', this.#seal(old, baseOffset, snapshot))
  }

  async #seal(segment: LogSegment, nextBaseOffset: number, snapshot: Uint8Array): Promise<void> {
    const cuts = this.#cuts
    const { files } = this.directory
    while (this.#writing !== null) await this.#writing
    // A log that was cut meanwhile may hold other batches at this offset, and the snapshot would lie.
    if (this.isOffline || this.#cuts !== cuts) return
    await segment.seal(true)
    if (this.isOffline || this.#cuts !== cuts) return
    await writeWhole(files, this.#snapshotPath(nextBaseOffset), snapshot)
    if (!segment.isDeleted) await segment.file.sync()
    await files.syncDirectory(this.#folder)
    if (this.isOffline) return
    if (this.#cuts !== cuts) return files.remove(this.#snapshotPath(nextBaseOffset))
    this.#recoveryPoint = Math.max(this.#recoveryPoint, nextBaseOffset)
    if (!segment.isDeleted) segment.rest()
  }

  #newSegment(baseOffset: number): LogSegment {
    this.#unsyncedFolders.push(this.#folder)
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
   * read; from far behind in the pool. The offset must lie in [logStartOffset, logEndOffset].
   */
  read(request: ReadRequest): LogRead | Promise<LogRead> {
    assert(
      request.offset >= this.#logStartOffset && request.offset <= this.#logEndOffset,
      'the offset to read is in range',
    )
    return this.#reader.read({ ...request, upTo: Math.min(request.upTo, this.#logEndOffset) }, this.#writtenEnd)
  }

  /** Where the record at `offset` would lie, when that is known without reading; null when it is not. */
  locate(offset: number): LogPosition | null {
    return this.#reader.locate(offset, this.#nextOffset)
  }

  /** First record with a timestamp ≥ `timestamp` below `upTo`; null: none. */
  findTimestamp(timestamp: bigint, upTo: number): FoundTimestamp | null {
    return this.#search().first(timestamp, this.#logStartOffset, Math.min(upTo, this.#logEndOffset))
  }

  /** The record with the largest timestamp; null: the log is empty, or none has one. */
  findMaxTimestamp(): FoundTimestamp | null {
    return this.#search().largest(this.#logStartOffset, this.#logEndOffset)
  }

  #search(): TimestampSearch {
    return new TimestampSearch(this.#segments, this.#writtenEnd)
  }

  /** Bytes of the active segment that its file has. */
  get #writtenEnd(): number {
    const first = this.#unwritten[0]
    return first === undefined ? this.#activeSegment.size : first.filePosition + first.written
  }

  /** Aborted transactions that overlap [from, to), for a consumer that leaves out their records. */
  abortedTransactions(from: number, to: number): AbortedTransaction[] {
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
    return this.epochs.endOffsetFor(epoch, this.#logEndOffset)
  }

  // ---------------------------------------------------------------- moving the bounds

  /** Raises or lowers the high watermark, within the log's bounds. Returns whether it moved. */
  updateHighWatermark(offset: number): boolean {
    const bounded = clamp(offset, this.#logStartOffset, this.#logEndOffset)
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
    assert(offset <= this.#logEndOffset, 'the log start does not pass the end')
    this.#logStartOffset = offset
    this.epochs.truncateFromStart(offset)
    if (this.#highWatermark < offset) this.#highWatermark = offset
    this.producers.forgetReplicatedBelow(offset)
    this.#deleteSegmentsBelow(offset)
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
    if (offset < this.#logEndOffset) this.#guard('truncating', () => this.#cutAt(offset))
    this.epochs.truncateFromEnd(Math.min(offset, this.#logEndOffset))
  }

  #cutAt(offset: number): void {
    this.#cuts += 1
    this.#tail.clear()
    this.#reader.forget()
    const keep = this.#segments.filter((segment) => segment.baseOffset <= offset).length
    this.#deleteSegments(this.#segments.splice(keep))
    const nowMs = this.#environment.clock.now()
    this.#inBackground('truncating the transaction index', this.#activeSegment.truncateTo(offset, nowMs))
    // A batch that holds the offset went whole, so that the end may lie before it.
    const end = Math.max(this.#activeSegment.readNextOffset(), this.#logStartOffset)
    this.#endAt(Math.min(offset, end))
    this.#rebuildProducers()
    this.onEndMoved()
  }

  /** The bounds move before the producers are read anew, which goes by them (KAFKA-12153). */
  #endAt(offset: number): void {
    this.#logEndOffset = offset
    this.#nextOffset = offset
    this.#countedEndOffset = Math.min(this.#countedEndOffset, offset)
    this.#recoveryPoint = Math.min(this.#recoveryPoint, offset)
    this.#highWatermark = Math.min(this.#highWatermark, offset)
  }

  /** Throws everything away, synchronously: the log begins and ends at `offset`. The log must be settled. */
  truncateFullyAndStartAt(offset: number): void {
    assert(this.isSettled, 'a log is settled before it is cut')
    this.#cuts += 1
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
    this.#endAt(offset)
    this.#countedEndOffset = offset
    this.#highWatermark = offset
    this.onEndMoved()
  }

  // ---------------------------------------------------------------- epochs and producers

  /** Writes the leader epochs out; called whenever they have changed. */
  saveEpochs(): void {
    if (this.#isClosed) return
    this.#inBackground('writing leader epochs', this.#epochFile.write(encodeEpochCheckpoint(this.epochs.entries)))
  }

  /** Forgets producers that were silent for `producer.id.expiration.ms`. */
  expireProducers(): void {
    this.producers.expire(this.#environment.clock.now(), this.#environment.producerIdExpirationMs)
  }

  #rebuildProducers(): void {
    this.#guard('reading producer snapshots', () => {
      this.#removeSnapshots((snapshotOffset) => snapshotOffset > this.#logEndOffset)
      rebuildProducers({
        files: this.directory.files,
        folder: this.#folder,
        segments: this.#segments,
        producers: this.producers,
        logStartOffset: this.#logStartOffset,
        endOffset: this.#logEndOffset,
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
    await this.settle()
    await this.#background
    if (!this.isOffline) {
      const { files } = this.directory
      if (this.#logEndOffset > this.#logStartOffset)
        await writeWhole(
          files,
          this.#snapshotPath(this.#logEndOffset),
          encodeProducerSnapshot(this.producers.producers()),
        )
      await this.#activeSegment.seal(true)
      await this.#syncSegments()
      await files.syncDirectory(this.#folder)
      this.#synced(this.#logEndOffset)
    }
    this.abandon()
  }

  /** Lets go of memory and files without writing anything: the directory has failed, or the log is deleted. */
  abandon(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#flushTimer?.cancel()
    // What was to be removed later is removed at the next start.
    for (const timer of this.#removals) timer.cancel()
    this.#unwritten = []
    // Memory that the pool still writes from must not serve another log meanwhile.
    if (this.#writing === null) this.#tail.clear()
    else void this.#writing.then(() => this.#tail.clear())
    for (const segment of this.#segments) segment.closeFile()
  }

  /** The partition's folder goes to be deleted under another name. */
  renameFolder(folder: string): void {
    this.abandon()
    this.directory.files.rename(this.#folder, folder)
    this.#folder = folder
  }
}

interface WriteRun {
  readonly segment: LogSegment
  readonly chunks: readonly TailChunk[]
  /** What each chunk's `written` becomes. */
  readonly lengths: readonly number[]
  readonly bytes: readonly Uint8Array[]
  readonly position: number
  /** What `logEndOffset` becomes. */
  readonly endOffset: number
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

function levelOf(config: LogConfig): number | undefined {
  switch (config.compressionType) {
    case 'gzip':
      return config.compressionGzipLevel
    case 'lz4':
      return config.compressionLz4Level
    case 'zstd':
      return config.compressionZstdLevel
    default:
      return undefined
  }
}

/** The batch at `position`; null when it is cut. */
function wholeBatchAt(records: Uint8Array, position: number): RecordBatchView | null {
  if (position + BATCH_HEADER_BYTES > records.length) return null
  const batch = new RecordBatchView(records, position)
  const size = batch.sizeInBytes
  if (size < BATCH_HEADER_BYTES || batch.magic !== 2)
    throw new FollowerAppendError(`what follows at byte ${position} is no batch of format 2`)
  return position + size > records.length ? null : batch
}
