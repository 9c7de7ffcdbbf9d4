/** What is answered from memory: reads, and the watches that they leave. Source: FinalRequestProcessor. */
import type { ByteReader } from '#base'
import {
  AddWatchMode,
  OpCode,
  Perms,
  WatchEventType,
  WatcherType,
  ZkErrorCode,
  operations,
  type Id,
  type MultiReadOp,
  type MultiResult,
  type RecordCodec,
  type RequestOf,
} from '#zookeeper/protocol'
import {
  permits,
  withoutHashes,
  type AclRules,
  type Watcher,
  type WatchEvent,
  type ZnodeTree,
  type Znode,
} from '#zookeeper/tree'

import type { NamespaceTraffic } from './metrics/namespaces.ts'

export interface ReadContext {
  readonly tree: ZnodeTree
  readonly ids: readonly Id[]
  /** The connection: who gets the events. */
  readonly watcher: Watcher
  readonly skipAcl: boolean
  readonly aclRules: AclRules
  readonly traffic: NamespaceTraffic
}

/** The body of an answer, or an error code. */
export type ReadAnswer = ZkErrorCode | { codec: RecordCodec<never>; value: unknown } | null

/** A read whose request has been taken out of the frame: it may be carried out later. */
export type PreparedRead = (context: ReadContext) => ReadAnswer

/** null where `type` is no read. Throws `MalformedBytesError` for a request that is none. */
export function prepareRead(type: number, reader: ByteReader): PreparedRead | null {
  switch (type) {
    case OpCode.exists: {
      const { path, watch } = operations.exists.request.read(reader)
      return (context) => exists(context, path, watch)
    }
    case OpCode.getData: {
      const { path, watch } = operations.getData.request.read(reader)
      return (context) => getData(context, path, watch)
    }
    case OpCode.getChildren: {
      const { path, watch } = operations.getChildren.request.read(reader)
      return (context) => getChildren(context, path, watch)
    }
    case OpCode.getChildren2: {
      const { path, watch } = operations.getChildren2.request.read(reader)
      return (context) => getChildren2(context, path, watch)
    }
    case OpCode.getACL: {
      const { path } = operations.getACL.request.read(reader)
      return (context) => getAcl(context, path)
    }
    case OpCode.getAllChildrenNumber: {
      const { path } = operations.getAllChildrenNumber.request.read(reader)
      return (context) => getAllChildrenNumber(context, path)
    }
    case OpCode.getEphemerals: {
      const { path } = operations.getEphemerals.request.read(reader)
      return (context) => getEphemerals(context, path)
    }
    case OpCode.whoAmI:
      return whoAmI
    case OpCode.multiRead: {
      const ops = operations.multiRead.request.read(reader)
      return (context) =>
        answer(
          operations.multiRead.response,
          ops.map((op) => readOne(context, op)),
        )
    }
    default:
      return prepareWatch(type, reader)
  }
}

function prepareWatch(type: number, reader: ByteReader): PreparedRead | null {
  switch (type) {
    case OpCode.setWatches: {
      const request = operations.setWatches.request.read(reader)
      return (context) => setWatches(context, { ...request, persistentWatches: [], persistentRecursiveWatches: [] })
    }
    case OpCode.setWatches2: {
      const request = operations.setWatches2.request.read(reader)
      return (context) => setWatches(context, request)
    }
    case OpCode.addWatch: {
      const { path, mode } = operations.addWatch.request.read(reader)
      if (mode !== AddWatchMode.persistent && mode !== AddWatchMode.persistentRecursive) return malformed
      return ({ tree, watcher }) => {
        tree.watches.add(path, watcher, mode)
        return answer(operations.addWatch.response, { err: ZkErrorCode.OK })
      }
    }
    case OpCode.checkWatches: {
      const { path, type: kind } = operations.checkWatches.request.read(reader)
      if (!isWatcherType(kind)) return malformed
      return ({ tree, watcher }) => (tree.watches.has(path, watcher, kind) ? null : ZkErrorCode.NOWATCHER)
    }
    case OpCode.removeWatches: {
      const { path, type: kind } = operations.removeWatches.request.read(reader)
      if (!isWatcherType(kind)) return malformed
      return ({ tree, watcher }) => (tree.watches.remove(path, watcher, kind) ? null : ZkErrorCode.NOWATCHER)
    }
    default:
      return null
  }
}

function malformed(): ReadAnswer {
  return ZkErrorCode.MARSHALLINGERROR
}

function isWatcherType(type: number): boolean {
  return type >= WatcherType.children && type <= WatcherType.persistentRecursive
}

function answer<T>(codec: RecordCodec<T>, value: T): ReadAnswer {
  return { codec: codec as RecordCodec<never>, value }
}

/** Watches a node that is missing, too: for its creation. */
function exists(context: ReadContext, path: string, watch: boolean): ReadAnswer {
  if (path.includes('\u0000')) return ZkErrorCode.BADARGUMENTS
  const { tree, watcher } = context
  const node = tree.find(path)
  if (node !== undefined && !mayRead(context, node)) return ZkErrorCode.NOAUTH
  if (watch) tree.watches.watchData(path, watcher)
  if (node === undefined) return ZkErrorCode.NONODE
  context.traffic.read(path, 0)
  return answer(operations.exists.response, { stat: tree.statOf(node) })
}

function getData(context: ReadContext, path: string, watch: boolean): ReadAnswer {
  const node = readable(context, path)
  if (typeof node === 'number') return node
  if (watch) context.tree.watches.watchData(path, context.watcher)
  context.traffic.read(path, node.data?.length ?? 0)
  return answer(operations.getData.response, { data: node.data, stat: context.tree.statOf(node) })
}

function getChildren(context: ReadContext, path: string, watch: boolean): ReadAnswer {
  const node = readable(context, path)
  if (typeof node === 'number') return node
  if (watch) context.tree.watches.watchChildren(path, context.watcher)
  return answer(operations.getChildren.response, { children: countedChildren(context, path, node) })
}

function getChildren2(context: ReadContext, path: string, watch: boolean): ReadAnswer {
  const node = readable(context, path)
  if (typeof node === 'number') return node
  if (watch) context.tree.watches.watchChildren(path, context.watcher)
  const children = countedChildren(context, path, node)
  return answer(operations.getChildren2.response, { children, stat: context.tree.statOf(node) })
}

function countedChildren({ traffic }: ReadContext, path: string, node: Znode): string[] {
  const children = childrenOf(node)
  traffic.read(
    path,
    children.reduce((bytes, name) => bytes + name.length, 0),
  )
  return children
}

/** READ or ADMIN is needed, and without ADMIN the hashes are hidden. */
function getAcl(context: ReadContext, path: string): ReadAnswer {
  const { tree, ids, skipAcl, aclRules } = context
  const node = tree.find(path)
  if (node === undefined) return ZkErrorCode.NONODE
  if (!skipAcl && !permits(node.acl, Perms.READ | Perms.ADMIN, ids, aclRules)) return ZkErrorCode.NOAUTH
  const whole = skipAcl || permits(node.acl, Perms.ADMIN, ids, aclRules)
  const acl = whole ? [...node.acl.list] : withoutHashes(node.acl.list)
  return answer(operations.getACL.response, { acl, stat: tree.statOf(node) })
}

function getAllChildrenNumber(context: ReadContext, path: string): ReadAnswer {
  const node = readable(context, path)
  if (typeof node === 'number') return node
  return answer(operations.getAllChildrenNumber.response, { totalNumber: context.tree.countDescendants(path) })
}

function getEphemerals({ tree, watcher }: ReadContext, prefix: string): ReadAnswer {
  const all = [...tree.ephemeralsOf(watcher.sessionId)]
  const wanted = ['', '/'].includes(prefix.trim()) ? all : all.filter((path) => path.startsWith(prefix))
  return answer(operations.getEphemerals.response, { ephemerals: wanted })
}

function whoAmI({ ids }: ReadContext): ReadAnswer {
  const clientInfo = ids.map(({ scheme, id }) => ({
    authScheme: scheme,
    user: scheme === 'digest' ? id.split(':', 1)[0]! : id,
  }))
  return answer(operations.whoAmI.response, { clientInfo })
}

/** Each entry of a multiRead stands for itself. */
function readOne(context: ReadContext, op: MultiReadOp): MultiResult {
  const node = readable(context, op.path)
  if (typeof node === 'number') return { type: OpCode.error, err: node }
  const { tree, watcher } = context
  if (op.type === OpCode.getData) {
    if (op.watch) tree.watches.watchData(op.path, watcher)
    return { type: op.type, data: node.data, stat: tree.statOf(node) }
  }
  if (op.watch) tree.watches.watchChildren(op.path, watcher)
  return { type: op.type, children: childrenOf(node) }
}

/** Events without a transaction of their own carry this. */
const NO_ZXID = -1n

/** What the client missed since `relativeZxid` it hears at once, before the answer; the rest is watched again. */
function setWatches(context: ReadContext, request: RequestOf<'setWatches2'>): ReadAnswer {
  const { tree, watcher } = context
  const { relativeZxid } = request
  for (const path of request.dataWatches) {
    const node = tree.find(path)
    if (node === undefined) tell(context, WatchEventType.nodeDeleted, path, undefined)
    else if (node.mzxid > relativeZxid) tell(context, WatchEventType.nodeDataChanged, path, node)
    else tree.watches.watchData(path, watcher)
  }
  for (const path of request.existWatches) {
    const node = tree.find(path)
    if (node === undefined) tree.watches.watchData(path, watcher)
    else tell(context, WatchEventType.nodeCreated, path, node)
  }
  for (const path of request.childWatches) {
    const node = tree.find(path)
    if (node === undefined) tell(context, WatchEventType.nodeDeleted, path, undefined)
    else if (node.pzxid > relativeZxid) tell(context, WatchEventType.nodeChildrenChanged, path, node)
    else tree.watches.watchChildren(path, watcher)
  }
  for (const path of request.persistentWatches) tree.watches.add(path, watcher, AddWatchMode.persistent)
  for (const path of request.persistentRecursiveWatches)
    tree.watches.add(path, watcher, AddWatchMode.persistentRecursive)
  return null
}

function tell({ watcher }: ReadContext, type: WatchEvent['type'], path: string, node: Znode | undefined): void {
  watcher.notify({ type, path, zxid: NO_ZXID }, node === undefined ? null : node.acl)
}

function readable(context: ReadContext, path: string): Znode | ZkErrorCode {
  const node = context.tree.find(path)
  if (node === undefined) return ZkErrorCode.NONODE
  return mayRead(context, node) ? node : ZkErrorCode.NOAUTH
}

function mayRead({ ids, skipAcl, aclRules }: ReadContext, node: Znode): boolean {
  return skipAcl || permits(node.acl, Perms.READ, ids, aclRules)
}

function childrenOf(node: Znode): string[] {
  return node.children === null ? [] : [...node.children.keys()]
}
