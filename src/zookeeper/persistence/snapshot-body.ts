/**
 * What a snapshot says of the tree and its sessions, in a file as on its way to a learner.
 *
 *     sessions   count int32 | { id int64 | timeout ms int32 }*
 *     ACLs       count int32 | { number int64 | vector<ACL> }*
 *     nodes      { path | data | number of its ACL int64 | StatPersisted }*   each after its parent, the root is ''
 *     end        path "/"
 *
 * Source: SerializeUtils, DataTree.serialize, ReferenceCountedACLCache.
 */
import { ByteWriter, MalformedBytesError, type ByteReader } from '#base'
import { Acl, StatPersisted, buffer, ustring, vector } from '#zookeeper/protocol'
import { DIGEST_UNKNOWN, OPEN_ACL, type FrozenTree, type SharedAcl, type ZnodeTree, type Znode } from '#zookeeper/tree'

/** What ends the nodes, and each seal of a file. */
export const END_PATH = '/'
/** Written in one turn of the loop: about a millisecond. */
export const SLICE_BYTES = 1 << 18
/** Number of a node's ACL and its stat. */
const NODE_TAIL_BYTES = 68

const acls = vector(Acl)

/** Between two slices transactions may go on. `first` is what stands before the body. */
export function* bodySlices(frozen: FrozenTree, first = new ByteWriter(SLICE_BYTES)): Generator<ByteWriter> {
  let writer = first
  writeHead(writer, frozen)
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
}

function writeHead(writer: ByteWriter, { state }: FrozenTree): void {
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
}

/** Asks for so many bytes and gets a reader that has them, as long as until it asks again. */
type Wanting<T> = Generator<number, T, ByteReader>

/** Fills an empty tree. Throws `MalformedBytesError` where the bytes are none. */
export function* readBody(tree: ZnodeTree): Wanting<void> {
  for (let count = (yield 4).int32(); count > 0; count--) {
    const session = yield 12
    const id = session.bigint64()
    tree.sessions.set(id, session.int32())
  }
  for (let count = (yield 4).int32(); count > 0; count--) {
    const id = (yield 8).bigint64()
    tree.acls.load(id, yield* readAcls())
  }
  for (let path = yield* readText(); path !== END_PATH; path = yield* readText()) yield* readNode(tree, path)
  if (tree.find('') === undefined) throw new MalformedBytesError('the snapshot has no root')
}

function* readAcls(): Wanting<Acl[]> {
  const list: Acl[] = []
  for (let count = (yield 4).int32(); count > 0; count--) {
    const perms = (yield 4).int32()
    const scheme = yield* readText()
    list.push({ perms, id: { scheme, id: yield* readText() } })
  }
  return list
}

function* readNode(tree: ZnodeTree, path: string): Wanting<void> {
  const dataBytes = (yield 4).int32()
  const reader = yield Math.max(dataBytes, 0) + NODE_TAIL_BYTES
  const data = dataBytes === -1 ? null : reader.slice(dataBytes).slice()
  const aclId = reader.bigint64()
  const slash = path.lastIndexOf('/')
  if (path !== '' && (slash < 0 || tree.find(path.slice(0, slash)) === undefined))
    throw new MalformedBytesError(`node ${path} comes before its parent`)
  const stat = StatPersisted.read(reader)
  const node: Znode = { data, acl: aclOf(tree, aclId), ...stat, children: null, digest: DIGEST_UNKNOWN, keptBy: 0 }
  tree.load(path, node)
}

/** Apache's snapshots are taken on the fly: the list may come with the transaction that follows. Until then nobody may do anything. */
function aclOf(tree: ZnodeTree, id: bigint): SharedAcl {
  if (id === OPEN_ACL.id) return OPEN_ACL
  return tree.acls.useById(id) ?? tree.acls.use([{ perms: 0, id: { scheme: 'world', id: 'anyone' } }])
}

function* readText(): Wanting<string> {
  const length = (yield 4).int32()
  return length === -1 ? '' : (yield length).utf8(length)
}
