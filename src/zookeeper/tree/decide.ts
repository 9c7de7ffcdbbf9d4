/**
 * Turns wishes into transactions. A wish is checked against the tree and an overlay of everything decided and
 * not yet applied, so that many transactions can be on their way to the log at once; what was decided can no
 * longer fail. A refusal is a transaction too: it has a zxid of its own and changes nothing.
 * Source: PrepRequestProcessor and its ChangeRecords.
 */
import {
  CreateMode,
  OpCode,
  Perms,
  ZkErrorCode,
  pathFault,
  type Acl,
  type CreateRequest,
  type CreateTtlRequest,
  type DeleteRequest,
  type Id,
  type LoggedTxn,
  type MultiOp,
  type SetAclRequest,
  type SetDataRequest,
  type SimpleTxn,
  type Txn,
} from '#zookeeper/protocol'

import { DEFAULT_ACL_RULES, permits, resolveAcl, unsharedAcl, type AclRules, type SharedAcl } from './acl.ts'
import { QuotaText, exceededBy, limitsPathOf, statsPathOf, type QuotaExceeded } from './quotas.ts'
import type { SessionTracker } from './sessions.ts'
import { CONFIG_PATH, PROC_PATH, QUOTA_PATH, type ZnodeTree } from './tree.ts'
import { CONTAINER_OWNER, DIGEST_VERSION, TTL_MS_MAX, digestOf, ttlOwner, type Digested, type Znode } from './znode.ts'

export type WriteBody =
  | MultiOp
  | ({ type: typeof OpCode.setACL } & SetAclRequest)
  /** From the server itself: a container or TTL node that is due. */
  | { type: typeof OpCode.deleteContainer; path: string }
  | { type: typeof OpCode.reconfig }
  | { type: typeof OpCode.multi; ops: readonly MultiOp[] }
  | { type: typeof OpCode.createSession; timeOut: number }
  | { type: typeof OpCode.closeSession }
  /** A request that is none, from a server that could not know: it is refused in its place. */
  | { type: typeof OpCode.error; err: ZkErrorCode }

export interface Write {
  readonly sessionId: bigint
  /** The client's xid; 0 for what the server does by itself. */
  readonly cxid: number
  /** Everyone that the client has shown to be. */
  readonly ids: readonly Id[]
  /** The server that the client is connected to; one that lost the session is refused. */
  readonly owner: unknown
  readonly body: WriteBody
}

export interface Moment {
  /** For the znodes' stats. */
  wallMs: number
  /** The session tracker's time. */
  sessionMs: number
}

export interface DeciderOptions {
  /** Everyone may do everything (`skipACL`). */
  skipAcl: boolean
  /** Which schemes there are and how they match; Apache's defaults unless given. */
  aclRules?: AclRules
  /** Whether a write that goes beyond a hard quota is refused (`enforceQuota`). */
  enforceQuota?: boolean
  /** Told of each write beyond a quota, whether it is refused or not. */
  onQuotaExceeded?: (exceeded: QuotaExceeded) => void
  /** Transactions are numbered from the next one on: a leader's epoch begins anew. Without it, after the tree's last. */
  lastZxid?: bigint
}

/** A node as it will be when everything decided is applied. */
interface PendingNode extends Digested {
  acl: SharedAcl
  childCount: number
}

interface Change {
  readonly zxid: bigint
  readonly path: string
  /** null: it will be gone. */
  readonly node: PendingNode | null
  readonly digest: number
}

/** A transaction, or the error code of a refusal. */
type Outcome<T> = T | ZkErrorCode

export class Decider {
  readonly #tree: ZnodeTree
  readonly #sessions: SessionTracker
  readonly #skipAcl: boolean
  readonly #aclRules: AclRules
  readonly #enforceQuota: boolean
  readonly #onQuotaExceeded: (exceeded: QuotaExceeded) => void
  #lastZxid: bigint
  /** Digest of the tree when everything decided is applied. */
  #digest: bigint
  /** The last change of each path. Invariant: each is in `#queue`, behind `#queueStart`. */
  readonly #overlay = new Map<string, Change>()
  #queue: Change[] = []
  #queueStart = 0

  constructor(tree: ZnodeTree, sessions: SessionTracker, options: DeciderOptions) {
    this.#tree = tree
    this.#sessions = sessions
    this.#skipAcl = options.skipAcl
    this.#aclRules = options.aclRules ?? DEFAULT_ACL_RULES
    this.#enforceQuota = options.enforceQuota ?? false
    this.#onQuotaExceeded = options.onQuotaExceeded ?? (() => {})
    this.#lastZxid = options.lastZxid ?? tree.lastZxid
    this.#digest = tree.digest
  }

  /** The last transaction decided. */
  get lastZxid(): bigint {
    return this.#lastZxid
  }

  /** Changes decided and not yet applied. */
  get outstanding(): number {
    return this.#queue.length - this.#queueStart
  }

  /** Bytes that the body holds are kept: they must not change any more. */
  decide(write: Write, moment: Moment): LoggedTxn {
    const zxid = ++this.#lastZxid
    const header = { clientId: write.sessionId, cxid: write.cxid, zxid, time: moment.wallMs }
    const txn = this.#txnOf(write, moment, zxid)
    if (typeof txn === 'number')
      return { header: { ...header, type: OpCode.error }, txn: { type: OpCode.error, err: txn }, digest: null }
    const digest = { version: DIGEST_VERSION, treeDigest: this.#digest }
    return { header: { ...header, type: txn.type }, txn, digest }
  }

  /** The tree now holds everything up to this transaction. */
  applied(zxid: bigint): void {
    while (this.#queueStart < this.#queue.length && this.#queue[this.#queueStart]!.zxid <= zxid) {
      const change = this.#queue[this.#queueStart++]!
      if (this.#overlay.get(change.path) === change) this.#overlay.delete(change.path)
    }
    if (this.#queueStart < QUEUE_COMPACTED_FROM) return
    this.#queue = this.#queue.slice(this.#queueStart)
    this.#queueStart = 0
  }

  #txnOf(write: Write, moment: Moment, zxid: bigint): Outcome<Txn> {
    const { body, sessionId } = write
    switch (body.type) {
      case OpCode.multi:
        return this.#multi(write, body.ops, moment, zxid)
      case OpCode.createSession:
        this.#sessions.track(sessionId, body.timeOut, moment.sessionMs)
        this.#sessions.setOwner(sessionId, write.owner)
        return { type: body.type, timeOut: body.timeOut }
      case OpCode.closeSession:
        return this.#closeSession(sessionId, zxid)
      case OpCode.reconfig:
        return ZkErrorCode.RECONFIGDISABLED
      case OpCode.error:
        return body.err
      case OpCode.deleteContainer:
        return this.#deleteContainer(body.path, zxid)
      default: {
        const refusal = this.#sessions.check(sessionId, write.owner)
        return refusal === ZkErrorCode.OK ? this.#simple(write, body, moment, zxid) : (refusal as ZkErrorCode)
      }
    }
  }

  #simple(
    write: Write,
    op: MultiOp | ({ type: typeof OpCode.setACL } & SetAclRequest),
    moment: Moment,
    zxid: bigint,
  ): Outcome<SimpleTxn> {
    switch (op.type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        return this.#create(write, op, moment, zxid)
      case OpCode.delete:
        return this.#delete(write, op, zxid)
      case OpCode.setData:
        return this.#setData(write, op, moment, zxid)
      case OpCode.setACL:
        return this.#setAcl(write, op, zxid)
      case OpCode.check:
        return this.#check(write, op)
    }
  }

  /** All or nothing; operations see what earlier ones did. After a refusal nothing of it stays in the overlay. */
  #multi(write: Write, ops: readonly MultiOp[], moment: Moment, zxid: bigint): Outcome<Txn> {
    const refusal = this.#sessions.check(write.sessionId, write.owner)
    if (refusal === ZkErrorCode.SESSIONMOVED) return refusal
    const mark = { length: this.#queue.length, digest: this.#digest, before: new Map<string, Change | undefined>() }
    this.#undo = mark.before
    let failed = false
    const txns = ops.map((op): SimpleTxn => {
      if (failed) return { type: OpCode.error, err: ZkErrorCode.RUNTIMEINCONSISTENCY }
      const txn = refusal === ZkErrorCode.OK ? this.#simple(write, op, moment, zxid) : refusal
      if (typeof txn !== 'number') return txn
      failed = true
      return { type: OpCode.error, err: txn }
    })
    this.#undo = null
    if (failed) this.#takeBack(mark)
    return { type: OpCode.multi, txns }
  }

  /** What the overlay held for the paths that a multi changes. */
  #undo: Map<string, Change | undefined> | null = null

  #takeBack(mark: { length: number; digest: bigint; before: Map<string, Change | undefined> }): void {
    this.#queue.length = mark.length
    this.#digest = mark.digest
    for (const [path, change] of mark.before)
      if (change === undefined) this.#overlay.delete(path)
      else this.#overlay.set(path, change)
  }

  #create(
    { sessionId, ids }: Write,
    op: ({ type: CreateOp } & CreateRequest) | ({ type: typeof OpCode.createTTL } & CreateTtlRequest),
    moment: Moment,
    zxid: bigint,
  ): Outcome<SimpleTxn> {
    const fault = this.#modeFault(op)
    if (fault !== ZkErrorCode.OK) return fault
    const slash = op.path.lastIndexOf('/')
    if (slash < 0 || op.path.includes('\u0000')) return ZkErrorCode.BADARGUMENTS
    const acl = resolveAcl(op.acl, ids, this.#aclRules)
    if (acl === null) return ZkErrorCode.INVALIDACL
    const parentPath = op.path.slice(0, slash)
    const parent = this.#find(parentPath)
    if (parent === null) return ZkErrorCode.NONODE
    if (!this.#permits(parent.acl, Perms.CREATE, ids)) return ZkErrorCode.NOAUTH
    const path = isSequential(op.flags) ? op.path + sequenceOf(parent.cversion) : op.path
    if (pathFault(path) !== null) return ZkErrorCode.BADARGUMENTS
    if (this.#exists(path)) return ZkErrorCode.NODEEXISTS
    if (this.#tree.isEphemeral(parent.ephemeralOwner)) return ZkErrorCode.NOCHILDRENFOREPHEMERALS
    if (this.#isBeyondQuota(path, 1, lengthOf(op.data))) return ZkErrorCode.QUOTAEXCEEDED
    const ephemeral = isEphemeral(op.flags)
    const txn = creatingTxn(op, path, acl, ephemeral, (parent.cversion + 1) | 0)
    parent.cversion = txn.parentCVersion
    parent.pzxid = zxid
    parent.childCount++
    this.#put(zxid, parentPath, parent)
    this.#put(zxid, path, newNode(op.data, acl, ownerOf(txn, sessionId), zxid, moment.wallMs))
    return txn
  }

  #modeFault(op: { type: number; flags: number; ttl?: number }): ZkErrorCode {
    const { flags } = op
    if (flags < CreateMode.persistent || flags > CreateMode.persistentSequentialTtl) return ZkErrorCode.BADARGUMENTS
    const wantsTtl = flags >= CreateMode.persistentTtl
    if (wantsTtl && !this.#tree.extendedTypes) return ZkErrorCode.UNIMPLEMENTED
    if (wantsTtl !== (op.type === OpCode.createTTL)) return ZkErrorCode.BADARGUMENTS
    if (wantsTtl && !(op.ttl! > 0 && op.ttl! <= TTL_MS_MAX)) return ZkErrorCode.BADARGUMENTS
    return ZkErrorCode.OK
  }

  #delete({ ids }: Write, op: DeleteRequest, zxid: bigint): Outcome<SimpleTxn> {
    const slash = op.path.lastIndexOf('/')
    if (slash < 0 || op.path.includes('\u0000') || SERVERS_OWN.has(op.path)) return ZkErrorCode.BADARGUMENTS
    const parentPath = op.path.slice(0, slash)
    const parent = this.#find(parentPath)
    if (parent === null) return ZkErrorCode.NONODE
    if (!this.#permits(parent.acl, Perms.DELETE, ids)) return ZkErrorCode.NOAUTH
    const node = this.#find(op.path)
    if (node === null) return ZkErrorCode.NONODE
    if (op.version !== ANY_VERSION && op.version !== node.version) return ZkErrorCode.BADVERSION
    if (node.childCount > 0) return ZkErrorCode.NOTEMPTY
    this.#putDeletion(zxid, parentPath, parent, op.path)
    return { type: OpCode.delete, path: op.path }
  }

  #deleteContainer(path: string, zxid: bigint): Outcome<SimpleTxn> {
    const parentPath = path.slice(0, path.lastIndexOf('/'))
    const parent = this.#find(parentPath)
    const node = this.#find(path)
    if (parent === null || node === null) return ZkErrorCode.NONODE
    if (node.childCount > 0) return ZkErrorCode.NOTEMPTY
    if (node.ephemeralOwner === 0n || this.#tree.isEphemeral(node.ephemeralOwner)) return ZkErrorCode.BADVERSION
    // It was due by what is applied. A write that is on its way may have changed that (Apache's server deletes it all
    // the same, and with it what was acknowledged a moment before): the next search will see.
    if (this.#overlay.has(path)) return ZkErrorCode.BADVERSION
    this.#putDeletion(zxid, parentPath, parent, path)
    return { type: OpCode.deleteContainer, path }
  }

  #setData({ ids }: Write, op: SetDataRequest, moment: Moment, zxid: bigint): Outcome<SimpleTxn> {
    if (pathFault(op.path) !== null) return ZkErrorCode.BADARGUMENTS
    const path = keyed(op.path)
    const node = this.#find(path)
    if (node === null) return ZkErrorCode.NONODE
    if (!this.#permits(node.acl, Perms.WRITE, ids)) return ZkErrorCode.NOAUTH
    if (this.#isBeyondQuota(path, 0, lengthOf(op.data) - lengthOf(node.data))) return ZkErrorCode.QUOTAEXCEEDED
    if (op.version !== ANY_VERSION && op.version !== node.version) return ZkErrorCode.BADVERSION
    node.version = (node.version + 1) | 0
    node.mtime = moment.wallMs
    node.mzxid = zxid
    node.data = op.data
    this.#put(zxid, path, node)
    return { type: OpCode.setData, path: op.path, data: op.data, version: node.version }
  }

  #setAcl({ ids }: Write, op: SetAclRequest, zxid: bigint): Outcome<SimpleTxn> {
    if (pathFault(op.path) !== null) return ZkErrorCode.BADARGUMENTS
    const acl = resolveAcl(op.acl, ids, this.#aclRules)
    if (acl === null) return ZkErrorCode.INVALIDACL
    const path = keyed(op.path)
    const node = this.#find(path)
    if (node === null) return ZkErrorCode.NONODE
    if (!this.#permits(node.acl, Perms.ADMIN, ids)) return ZkErrorCode.NOAUTH
    if (op.version !== ANY_VERSION && op.version !== node.aversion) return ZkErrorCode.BADVERSION
    node.aversion = (node.aversion + 1) | 0
    node.acl = unsharedAcl(acl)
    this.#put(zxid, path, node)
    return { type: OpCode.setACL, path: op.path, acl, version: node.aversion }
  }

  #check({ ids }: Write, op: { path: string; version: number }): Outcome<SimpleTxn> {
    if (pathFault(op.path) !== null) return ZkErrorCode.BADARGUMENTS
    const node = this.#find(keyed(op.path))
    if (node === null) return ZkErrorCode.NONODE
    if (!this.#permits(node.acl, Perms.READ, ids)) return ZkErrorCode.NOAUTH
    if (op.version !== ANY_VERSION && op.version !== node.version) return ZkErrorCode.BADVERSION
    return { type: OpCode.check, path: op.path, version: (node.version + 1) | 0 }
  }

  /** Takes the ephemerals along, those that are only decided included. */
  #closeSession(sessionId: bigint, zxid: bigint): Txn {
    const paths = new Set(this.#tree.ephemeralsOf(sessionId))
    for (const { path, node } of this.#overlay.values())
      // Deleted, or made anew by somebody else.
      if (node?.ephemeralOwner !== sessionId) paths.delete(path)
      else paths.add(path)
    for (const path of paths) {
      const parentPath = path.slice(0, path.lastIndexOf('/'))
      const parent = this.#find(parentPath)
      if (parent !== null) this.#putDeletion(zxid, parentPath, parent, path)
    }
    this.#sessions.setClosing(sessionId)
    return { type: OpCode.closeSession, paths2Delete: [...paths] }
  }

  #permits(acl: SharedAcl, perms: number, ids: readonly Id[]): boolean {
    return this.#skipAcl || permits(acl, perms, ids, this.#aclRules)
  }

  /** By what is applied: many writes at once may go beyond a quota together. Whether this one is to be refused. */
  #isBeyondQuota(path: string, count: number, bytes: number): boolean {
    const quota = this.#tree.quotaOver(path)
    if (quota === null) return false
    const limits = this.#tree.find(limitsPathOf(quota))
    const stats = this.#tree.find(statsPathOf(quota))
    if (limits === undefined || stats === undefined) return false
    const change = { count, bytes }
    for (const exceeded of exceededBy(quota, QuotaText.parse(limits.data), QuotaText.parse(stats.data), change)) {
      this.#onQuotaExceeded(exceeded)
      if (this.#enforceQuota && exceeded.hard) return true
    }
    return false
  }

  #exists(path: string): boolean {
    const change = this.#overlay.get(path)
    return change === undefined ? this.#tree.find(path) !== undefined : change.node !== null
  }

  /** A copy that may be changed and `#put`. */
  #find(path: string): PendingNode | null {
    const change = this.#overlay.get(path)
    if (change !== undefined) return change.node === null ? null : { ...change.node }
    const node = this.#tree.find(path)
    return node === undefined ? null : pendingCopy(node)
  }

  #putDeletion(zxid: bigint, parentPath: string, parent: PendingNode, path: string): void {
    parent.pzxid = zxid
    parent.childCount--
    this.#put(zxid, parentPath, parent)
    this.#put(zxid, path, null)
  }

  #put(zxid: bigint, path: string, node: PendingNode | null): void {
    const previous = this.#overlay.get(path)
    if (this.#undo !== null && !this.#undo.has(path)) this.#undo.set(path, previous)
    const digest = node === null ? 0 : digestOf(path, node)
    const change = { zxid, path, node, digest }
    this.#overlay.set(path, change)
    this.#queue.push(change)
    this.#digest = BigInt.asIntN(64, this.#digest + BigInt(digest - (previous?.digest ?? this.#digestInTree(path))))
  }

  #digestInTree(path: string): number {
    const node = this.#tree.find(path)
    return node === undefined ? 0 : this.#tree.digestOf(path, node)
  }
}

type CreateOp = typeof OpCode.create | typeof OpCode.create2 | typeof OpCode.createContainer
type CreatingTxn = Extract<SimpleTxn, { parentCVersion: number }>

const ANY_VERSION = -1
const SERVERS_OWN: ReadonlySet<string> = new Set(['/', PROC_PATH, QUOTA_PATH, CONFIG_PATH])
/** Applied changes at the head of the queue are cut off when there are this many: seldom enough to cost nothing. */
const QUEUE_COMPACTED_FROM = 4096

function isSequential(flags: number): boolean {
  return (
    flags === CreateMode.persistentSequential ||
    flags === CreateMode.ephemeralSequential ||
    flags === CreateMode.persistentSequentialTtl
  )
}

function isEphemeral(flags: number): boolean {
  return flags === CreateMode.ephemeral || flags === CreateMode.ephemeralSequential
}

/** Ten digits, as Java's `%010d`: after 2^31-1 a sign and ten digits. */
function sequenceOf(cversion: number): string {
  return cversion < 0 ? `-${String(-cversion).padStart(9, '0')}` : String(cversion).padStart(10, '0')
}

function creatingTxn(
  op: ({ type: CreateOp } & CreateRequest) | ({ type: typeof OpCode.createTTL } & CreateTtlRequest),
  path: string,
  acl: Acl[],
  ephemeral: boolean,
  parentCVersion: number,
): CreatingTxn {
  const { data } = op
  switch (op.type) {
    case OpCode.create:
    case OpCode.create2:
      return { type: op.type, path, data, acl, ephemeral, parentCVersion }
    case OpCode.createContainer:
      return { type: op.type, path, data, acl, parentCVersion }
    case OpCode.createTTL:
      return { type: op.type, path, data, acl, parentCVersion, ttl: op.ttl }
  }
}

/** As `apply` will see it. */
function ownerOf(txn: CreatingTxn, sessionId: bigint): bigint {
  if (txn.type === OpCode.createContainer) return CONTAINER_OWNER
  if (txn.type === OpCode.createTTL) return ttlOwner(txn.ttl)
  return txn.ephemeral ? sessionId : 0n
}

function newNode(data: Uint8Array | null, acl: Acl[], owner: bigint, zxid: bigint, timeMs: number): PendingNode {
  return {
    data,
    acl: unsharedAcl(acl),
    czxid: zxid,
    mzxid: zxid,
    pzxid: zxid,
    ctime: timeMs,
    mtime: timeMs,
    version: 0,
    cversion: 0,
    aversion: 0,
    ephemeralOwner: owner,
    childCount: 0,
  }
}

function pendingCopy(node: Znode): PendingNode {
  return {
    data: node.data,
    acl: node.acl,
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid: node.pzxid,
    ctime: node.ctime,
    mtime: node.mtime,
    version: node.version,
    cversion: node.cversion,
    aversion: node.aversion,
    ephemeralOwner: node.ephemeralOwner,
    childCount: node.children === null ? 0 : node.children.size,
  }
}

function lengthOf(data: Uint8Array | null): number {
  return data === null ? 0 : data.length
}

function keyed(path: string): string {
  return path === '/' ? '' : path
}
