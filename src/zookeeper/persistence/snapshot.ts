/**
 * Snapshot files: the whole tree and all sessions as of one transaction.
 *
 *     "ZKSN" int32 | version int32 = 2 | dbid int64 = -1
 *     body       see snapshot-body.ts
 *     seal       Adler-32 of everything before it, int64 | "/"
 *     digest     zxid int64 | version int32 | digest int64, and a seal       since 3.6
 *     last zxid  int64, and a seal                                           since 3.9
 *
 * Source: FileSnap, SnapStream.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { joinPath, type File, type FileSystem, type Platform } from '#platform'
import { ustring } from '#zookeeper/protocol'
import { DIGEST_VERSION, ZnodeTree, type FrozenTree, type TreeOptions } from '#zookeeper/tree'

import { ADLER32_START, adler32 } from './adler32.ts'
import { fileName, type DatedFile } from './names.ts'
import { END_PATH, SLICE_BYTES, bodySlices, readBody } from './snapshot-body.ts'
import { FORMAT_VERSION } from './txn-log.ts'

const SNAPSHOT_MAGIC = 0x5a4b534e
const SNAPSHOT_DB_ID = -1n
const READ_BYTES = 1 << 22

/**
 * Resolves when the snapshot is on stable storage under its name; a crash before that leaves none. Once `isWanted` says no,
 * nothing is left, and it rejects.
 */
export async function writeSnapshot(
  platform: Platform,
  folder: string,
  frozen: FrozenTree,
  isWanted: () => boolean = () => true,
): Promise<DatedFile> {
  const { zxid } = frozen.state
  const path = joinPath(folder, fileName('snapshot', zxid))
  const file = platform.files.open(`${path}.tmp`, 'truncate')
  try {
    const sink = new SnapshotSink(file)
    for (const slice of slices(frozen, sink)) {
      if (!isWanted()) throw new Error('the snapshot is not wanted any more')
      await sink.write(slice)
      await new Promise<void>((resolve) => platform.clock.nextTurn(resolve))
    }
    await file.sync()
    if (!isWanted()) throw new Error('the snapshot is not wanted any more')
  } catch (error) {
    platform.files.remove(`${path}.tmp`)
    throw error
  } finally {
    file.close()
  }
  platform.files.rename(`${path}.tmp`, path)
  await platform.files.syncDirectory(folder)
  return { path, zxid }
}

class SnapshotSink {
  readonly #file: File
  #position = 0
  #adler = ADLER32_START

  constructor(file: File) {
    this.#file = file
  }

  async write(writer: ByteWriter): Promise<void> {
    const position = this.#position
    this.#position += writer.length
    const chunks = writer.chunks()
    for (const chunk of chunks) this.#adler = adler32(chunk, 0, chunk.length, this.#adler)
    await this.#file.write(chunks, position)
  }

  get checksum(): number {
    return this.#adler
  }
}

function* slices(frozen: FrozenTree, sink: SnapshotSink): Generator<ByteWriter> {
  const { state } = frozen
  const header = new ByteWriter(SLICE_BYTES)
  header.int32(SNAPSHOT_MAGIC)
  header.int32(FORMAT_VERSION)
  header.bigint64(SNAPSHOT_DB_ID)
  yield* bodySlices(frozen, header)
  yield sealOf(sink)
  const digest = new ByteWriter()
  digest.bigint64(state.zxid)
  digest.int32(DIGEST_VERSION)
  digest.bigint64(state.digest)
  yield digest
  yield sealOf(sink)
  const last = new ByteWriter()
  last.bigint64(state.zxid)
  yield last
  yield sealOf(sink)
}

/** Everything before it has been written when this is asked for. */
function sealOf(sink: SnapshotSink): ByteWriter {
  const writer = new ByteWriter()
  writer.bigint64(BigInt(sink.checksum))
  ustring.write(writer, END_PATH)
  return writer
}

/** The tree of a snapshot; throws `MalformedBytesError` where it is cut off or a checksum is wrong. */
export function readSnapshot(platform: Platform, { path, zxid }: DatedFile, options: TreeOptions): ZnodeTree {
  const file = platform.files.open(path, 'read')
  try {
    return new SnapshotReader(file).read(new ZnodeTree(options), zxid)
  } finally {
    file.close()
  }
}

/** Checksum and "/". */
const SEAL_BYTES = 13
const DIGEST_BYTES = 20
const LAST_ZXID_BYTES = 8

/**
 * The last transaction that a snapshot may hold something of. Apache's are taken while transactions go on: the name says where that
 * began, the end of the file (since 3.6) where it ended.
 */
export function lastHeldBy(files: FileSystem, { path, zxid }: DatedFile): bigint {
  const file = files.open(path, 'read')
  try {
    for (const bytesAfter of [SEAL_BYTES, SEAL_BYTES + LAST_ZXID_BYTES + SEAL_BYTES]) {
      const digest = new Uint8Array(DIGEST_BYTES)
      const position = file.size() - bytesAfter - DIGEST_BYTES
      if (position < 0 || file.read(digest, position) < DIGEST_BYTES) continue
      const reader = new ByteReader(digest)
      const last = reader.bigint64()
      if (reader.int32() === DIGEST_VERSION) return last > zxid ? last : zxid
    }
    return zxid
  } finally {
    file.close()
  }
}

class SnapshotReader {
  readonly #file: File
  readonly #size: number
  #buffer = new Uint8Array(READ_BYTES)
  /** Position in the file of the reader's first byte, and the checksum of all before it. */
  #start = 0
  #adler = ADLER32_START
  #reader = new ByteReader(new Uint8Array(0))

  constructor(file: File) {
    this.#file = file
    this.#size = file.size()
  }

  read(tree: ZnodeTree, zxid: bigint): ZnodeTree {
    const head = this.#ensure(16)
    if (head.int32() !== SNAPSHOT_MAGIC) throw new MalformedBytesError('not a snapshot: its magic number is wrong')
    head.take(12)
    const body = readBody(tree)
    for (let step = body.next(); step.done !== true;) step = body.next(this.#ensure(step.value))
    this.#checkSeal()
    this.#readTail()
    tree.loaded(zxid)
    return tree
  }

  /** Older servers end before these. The digest is checked with the next transactions. */
  #readTail(): void {
    if (this.#remaining() === 0) return
    this.#ensure(20).take(20)
    this.#checkSeal()
    if (this.#remaining() === 0) return
    this.#ensure(8).take(8)
    this.#checkSeal()
  }

  #checkSeal(): void {
    const computed = adler32(this.#reader.bytes, 0, this.#reader.position, this.#adler)
    const written = this.#ensure(8).bigint64()
    if (written !== BigInt(computed)) throw new MalformedBytesError('the checksum of the snapshot is wrong')
    const length = this.#ensure(4).int32()
    this.#ensure(length).take(length)
  }

  #remaining(): number {
    return this.#size - this.#start - this.#reader.position
  }

  /** The reader, with so many bytes in memory. */
  #ensure(length: number): ByteReader {
    if (length >= 0 && length <= this.#reader.remaining) return this.#reader
    if (length < 0 || length > this.#remaining()) throw new MalformedBytesError('the snapshot is cut off')
    const consumed = this.#reader.position
    this.#adler = adler32(this.#reader.bytes, 0, consumed, this.#adler)
    this.#start += consumed
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length)
    const count = this.#file.read(this.#buffer, this.#start)
    if (count < length) throw new MalformedBytesError('the snapshot is cut off')
    this.#reader = new ByteReader(this.#buffer, 0, count)
    return this.#reader
  }
}
