/**
 * Snapshots: the whole tree and all sessions as of one transaction.
 *
 *     "ZKSN" int32 | version int32 = 2 | dbid int64 = -1
 *     sessions   count int32 | { id int64 | timeout ms int32 }*
 *     ACLs       count int32 | { number int64 | vector<ACL> }*
 *     nodes      { path | data | number of its ACL int64 | StatPersisted }*   each after its parent, the root is ''
 *     end        path "/"
 *     seal       Adler-32 of everything before it, int64 | "/"
 *     digest     zxid int64 | version int32 | digest int64, and a seal       since 3.6
 *     last zxid  int64, and a seal                                           since 3.9
 *
 * Source: FileSnap, SerializeUtils, SnapStream, DataTree.serialize.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { joinPath, type File, type Platform } from '#platform'
import { Acl, StatPersisted, buffer, ustring, vector } from '#zookeeper/protocol'
import {
  DIGEST_UNKNOWN,
  DIGEST_VERSION,
  OPEN_ACL,
  ZnodeTree,
  type FrozenTree,
  type SharedAcl,
  type TreeOptions,
  type Znode,
} from '#zookeeper/tree'

import { ADLER32_START, adler32 } from './adler32.ts'
import { fileName, type DatedFile } from './names.ts'
import { FORMAT_VERSION } from './txn-log.ts'

const SNAPSHOT_MAGIC = 0x5a4b534e
const SNAPSHOT_DB_ID = -1n
/** What ends the nodes and each seal. */
const END_PATH = '/'
/** Written in one turn of the loop: about a millisecond. */
const SLICE_BYTES = 1 << 18
const READ_BYTES = 1 << 22

const acls = vector(Acl)

/** Resolves when the snapshot is on stable storage under its name; a crash before that leaves none. */
export async function writeSnapshot(platform: Platform, folder: string, frozen: FrozenTree): Promise<DatedFile> {
  const { zxid } = frozen.state
  const path = joinPath(folder, fileName('snapshot', zxid))
  const file = platform.files.open(`${path}.tmp`, 'truncate')
  try {
    const sink = new SnapshotSink(file)
    for (const slice of slices(frozen, sink)) {
      await sink.write(slice)
      await new Promise<void>((resolve) => platform.clock.nextTurn(resolve))
    }
    await file.sync()
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
    for (const chunk of writer.chunks()) {
      this.#adler = adler32(chunk, 0, chunk.length, this.#adler)
      await this.#file.write([chunk], this.#position)
      this.#position += chunk.length
    }
  }

  get checksum(): number {
    return this.#adler
  }
}

function* slices(frozen: FrozenTree, sink: SnapshotSink): Generator<ByteWriter> {
  const { state } = frozen
  let writer = headOf(frozen)
  for (const [path, node] of frozen.nodes()) {
    if (writer.length > SLICE_BYTES) {
      yield writer
      writer = new ByteWriter(SLICE_BYTES)
    }
    ustring.write(writer, path)
    buffer.write(writer, node.data)
    writer.bigint64(node.acl.id)
    StatPersisted.write(writer, node)
  }
  ustring.write(writer, END_PATH)
  yield writer
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

function headOf({ state }: FrozenTree): ByteWriter {
  const writer = new ByteWriter(SLICE_BYTES)
  writer.int32(SNAPSHOT_MAGIC)
  writer.int32(FORMAT_VERSION)
  writer.bigint64(SNAPSHOT_DB_ID)
  writer.int32(state.sessions.length)
  for (const [id, timeoutMs] of state.sessions) {
    writer.bigint64(id)
    writer.int32(timeoutMs)
  }
  writer.int32(state.acls.length)
  for (const [id, list] of state.acls) {
    writer.bigint64(id)
    acls.write(writer, [...list])
  }
  return writer
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
    return new SnapshotReader(file, options).read(zxid)
  } finally {
    file.close()
  }
}

class SnapshotReader {
  readonly #file: File
  readonly #size: number
  readonly #tree: ZnodeTree
  #buffer = new Uint8Array(READ_BYTES)
  /** Position in the file of the reader's first byte, and the checksum of all before it. */
  #start = 0
  #adler = ADLER32_START
  #reader = new ByteReader(new Uint8Array(0))

  constructor(file: File, options: TreeOptions) {
    this.#file = file
    this.#size = file.size()
    this.#tree = new ZnodeTree(options)
  }

  read(zxid: bigint): ZnodeTree {
    this.#readHead()
    for (let path = this.#text(); path !== END_PATH; path = this.#text()) this.#readNode(path)
    if (this.#tree.find('') === undefined) throw new MalformedBytesError('the snapshot has no root')
    this.#checkSeal()
    this.#readTail()
    this.#tree.loaded(zxid)
    return this.#tree
  }

  #readHead(): void {
    const head = this.#ensure(20)
    if (head.int32() !== SNAPSHOT_MAGIC) throw new MalformedBytesError('not a snapshot: its magic number is wrong')
    head.take(12)
    for (let count = head.int32(); count > 0; count--) {
      const session = this.#ensure(12)
      const id = session.bigint64()
      this.#tree.sessions.set(id, session.int32())
    }
    for (let count = this.#ensure(4).int32(); count > 0; count--) {
      const id = this.#ensure(8).bigint64()
      this.#tree.acls.load(id, this.#acls())
    }
  }

  #acls(): Acl[] {
    const list: Acl[] = []
    for (let count = this.#ensure(4).int32(); count > 0; count--)
      list.push({ perms: this.#ensure(4).int32(), id: { scheme: this.#text(), id: this.#text() } })
    return list
  }

  #readNode(path: string): void {
    const data = this.#data()
    const reader = this.#ensure(68)
    const aclId = reader.bigint64()
    const slash = path.lastIndexOf('/')
    if (path !== '' && (slash < 0 || this.#tree.find(path.slice(0, slash)) === undefined))
      throw new MalformedBytesError(`node ${path} comes before its parent`)
    const stat = StatPersisted.read(reader)
    const node: Znode = { data, acl: this.#aclOf(aclId), ...stat, children: null, digest: DIGEST_UNKNOWN, keptBy: 0 }
    this.#tree.load(path, node)
  }

  /** Apache's snapshots are taken on the fly: the list may come with the transaction that follows. Until then nobody may do anything. */
  #aclOf(id: bigint): SharedAcl {
    if (id === OPEN_ACL.id) return OPEN_ACL
    return this.#tree.acls.useById(id) ?? this.#tree.acls.use([{ perms: 0, id: { scheme: 'world', id: 'anyone' } }])
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
    this.#text()
  }

  #text(): string {
    const length = this.#ensure(4).int32()
    return length === -1 ? '' : this.#ensure(length).utf8(length)
  }

  #data(): Uint8Array | null {
    const length = this.#ensure(4).int32()
    return length === -1 ? null : this.#ensure(length).slice(length).slice()
  }

  #remaining(): number {
    return this.#size - this.#start - this.#reader.position
  }

  /** The reader, with so many bytes in memory. */
  #ensure(length: number): ByteReader {
    if (length <= this.#reader.remaining) return this.#reader
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
