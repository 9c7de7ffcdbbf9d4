/**
 * The znodes and sessions as the log has made them. `apply` folds in one transaction after the other and cannot
 * fail; applied twice (an Apache server's snapshot may already hold what its log says again) a transaction
 * changes nothing more. Source: DataTree, ZKDatabase.
 */
import { assert } from '#base'
import {
  OpCode,
  Perms,
  ZkErrorCode,
  type Acl,
  type LoggedTxn,
  type SimpleTxn,
  type Stat,
  type Txn,
  type TxnHeader,
} from '#zookeeper/protocol'

import { AclCache, type SharedAcl } from './acl.ts'
import { FrozenTree } from './frozen.ts'
import { LIMITS_NAME, QuotaPaths, QuotaText, STATS_NAME, quotaPathOf, statsPathOf } from './quotas.ts'
import { Watches } from './watches.ts'
import {
  CONTAINER_OWNER,
  DIGEST_UNKNOWN,
  DIGEST_VERSION,
  digestOf,
  emptyZnode,
  ownership,
  statOf,
  ttlOwner,
  type Znode,
} from './znode.ts'

export const PROC_PATH = '/zookeeper'
export const QUOTA_PATH = '/zookeeper/quota'
export const CONFIG_PATH = '/zookeeper/config'
/** Zxids without a bit of it are worth noting the digest at. Source: DataTree.DIGEST_LOG_INTERVAL, DIGEST_LOG_LIMIT. */
const DIGEST_RECORDED_MASK = 127n
const DIGESTS_MAX = 1024
const READ_BY_ALL: readonly Acl[] = [{ perms: Perms.READ, id: { scheme: 'world', id: 'anyone' } }]

/** What a transaction did, as its answer needs it. */
export interface Applied {
  /** The type of the transaction; `OpCode.error` where it was refused. */
  type: OpCode
  err: number
  path: string
  /** Of the node after it; null where no answer carries it. */
  stat: Stat | null
  /** One for each operation of a multi. */
  results: Applied[] | null
}

export interface TreeOptions {
  /** Whether an owner may mark a TTL (`extendedTypesEnabled`). */
  extendedTypes: boolean
}

export class ZnodeTree {
  readonly acls = new AclCache()
  readonly watches = new Watches()
  /** ms of silence that end a session, by its id. */
  readonly sessions = new Map<bigint, number>()
  readonly extendedTypes: boolean
  /** By path; the root under ''. */
  readonly #nodes = new Map<string, Znode>()
  readonly #ephemerals = new Map<bigint, Set<string>>()
  readonly #containers = new Set<string>()
  readonly #ttls = new Set<string>()
  readonly #quotas = new QuotaPaths()
  /** Sum of all nodes' digests, of 64 bits. */
  #digest = 0n
  #lastZxid = 0n
  #dataSize = 0
  #digestMismatches = 0
  readonly #digests: [bigint, bigint][] = []
  /** Trees that someone is reading, oldest first; null for none, which is nearly always. */
  #frozen: FrozenTree[] | null = null
  #freezes = 0

  constructor({ extendedTypes }: TreeOptions) {
    this.extendedTypes = extendedTypes
  }

  /** The tree of a new server: the root and what is the server's own. */
  static fresh(options: TreeOptions): ZnodeTree {
    const tree = new ZnodeTree(options)
    tree.load('', emptyZnode())
    tree.load(PROC_PATH, emptyZnode())
    tree.load(QUOTA_PATH, emptyZnode())
    tree.load(CONFIG_PATH, { ...emptyZnode(), acl: tree.acls.use(READ_BY_ALL), aversion: -1 })
    return tree
  }

  /** Transaction that was applied last. */
  get lastZxid(): bigint {
    return this.#lastZxid
  }

  get digest(): bigint {
    return this.#digest
  }

  /** What the digest was after every 128th transaction, the latest 1024 of them: servers compare theirs by it. */
  get digests(): readonly (readonly [zxid: bigint, digest: bigint])[] {
    return this.#digests
  }

  /** Transactions after which the tree was not what their digest says: this server or the other one is wrong. */
  get digestMismatches(): number {
    return this.#digestMismatches
  }

  /** As ZooKeeper counts: the root twice. */
  get nodeCount(): number {
    return this.#nodes.size + 1
  }

  get ephemeralCount(): number {
    let count = 0
    for (const paths of this.#ephemerals.values()) count += paths.size
    return count
  }

  /** Bytes of all paths and data. */
  get dataSize(): number {
    return this.#dataSize
  }

  find(path: string): Znode | undefined {
    return this.#nodes.get(path === '/' ? '' : path)
  }

  statOf(node: Znode): Stat {
    return statOf(node, this.extendedTypes)
  }

  digestOf(path: string, node: Znode): number {
    if (node.digest === DIGEST_UNKNOWN) node.digest = digestOf(path, node)
    return node.digest
  }

  isEphemeral(owner: bigint): boolean {
    return ownership(owner, this.extendedTypes) === 'session'
  }

  ephemeralsOf(sessionId: bigint): ReadonlySet<string> {
    return this.#ephemerals.get(sessionId) ?? NO_PATHS
  }

  ephemeralsBySession(): Iterable<[bigint, ReadonlySet<string>]> {
    return this.#ephemerals
  }

  containers(): Iterable<string> {
    return this.#containers
  }

  ttls(): Iterable<string> {
    return this.#ttls
  }

  /** Nodes below this one. */
  countDescendants(path: string): number {
    if (path === '/') return this.#nodes.size - 1
    let count = 0
    const pending = [path]
    for (let next = pending.pop(); next !== undefined; next = pending.pop())
      for (const name of this.#nodes.get(next)?.children?.keys() ?? []) {
        count++
        pending.push(`${next}/${name}`)
      }
    return count
  }

  /** The quota that a path is under, by its own path; null for none. */
  quotaOver(path: string): string | null {
    return this.#quotas.over(path)
  }

  /**
   * The tree as it is now, for a snapshot that is written while transactions go on. Ends with `thaw`. There may be several, of
   * different moments: one for the disk, others for learners.
   */
  freeze(): FrozenTree {
    const frozen = new FrozenTree(++this.#freezes, this.#nodes, {
      zxid: this.#lastZxid,
      digest: this.#digest,
      sessions: [...this.sessions],
      acls: this.acls.entries(),
    })
    this.#frozen = [...(this.#frozen ?? []), frozen]
    return frozen
  }

  thaw(frozen: FrozenTree): void {
    const others = (this.#frozen ?? []).filter((each) => each !== frozen)
    this.#frozen = others.length === 0 ? null : others
  }

  /** A node from a snapshot, parents first. */
  load(path: string, node: Znode): void {
    if (path !== '') {
      const slash = path.lastIndexOf('/')
      const parent = this.#nodes.get(path.slice(0, slash))
      assert(parent !== undefined, `node ${path} comes before its parent`)
      ;(parent.children ??= new Map()).set(path.slice(slash + 1), node)
    }
    this.#nodes.set(path, node)
    this.#digest = wrap(this.#digest + BigInt(this.digestOf(path, node)))
    this.#dataSize += sizeOf(path, node.data)
    this.#own(path, node.ephemeralOwner)
  }

  /** Ends the loading of a snapshot. */
  loaded(zxid: bigint): void {
    this.acls.forgetUnused()
    this.#lastZxid = zxid
    this.#findQuotas(QUOTA_PATH)
  }

  /**
   * The ensemble's members, as each server has them from its own file: no transaction brings them, and no other server's
   * snapshot. Source: ZKDatabase.initConfigInZKDatabase.
   */
  setConfig(text: Uint8Array, timeMs: number): void {
    if (this.find(CONFIG_PATH) === undefined) {
      if (this.find(PROC_PATH) === undefined) this.load(PROC_PATH, emptyZnode())
      this.load(CONFIG_PATH, { ...emptyZnode(), acl: this.acls.use(READ_BY_ALL), aversion: -1 })
    }
    const node = this.find(CONFIG_PATH)!
    this.#dataSize += sizeOf(CONFIG_PATH, text) - sizeOf(CONFIG_PATH, node.data)
    this.#change(CONFIG_PATH, node, () => {
      node.data = text
      node.version = -1
      node.mzxid = 0n
      node.mtime = timeMs
    })
  }

  apply({ header, txn, digest }: LoggedTxn): Applied {
    const applied = this.#applyTxn(header, txn)
    if (header.zxid > this.#lastZxid) this.#lastZxid = header.zxid
    if (digest !== null && digest.version === DIGEST_VERSION && digest.treeDigest !== this.#digest)
      this.#digestMismatches++
    if ((header.zxid & DIGEST_RECORDED_MASK) === 0n) this.#recordDigest(header.zxid)
    return applied
  }

  #recordDigest(zxid: bigint): void {
    this.#digests.push([zxid, this.#digest])
    if (this.#digests.length > DIGESTS_MAX) this.#digests.shift()
  }

  #applyTxn(header: TxnHeader, txn: Txn): Applied {
    switch (txn.type) {
      case OpCode.createSession:
        this.sessions.set(header.clientId, txn.timeOut)
        return fine(txn.type, '')
      case OpCode.closeSession:
        this.#closeSession(header, txn.paths2Delete)
        return fine(txn.type, '')
      case OpCode.multi:
        return this.#applyMulti(header, txn.txns)
      default:
        return this.#applySimple(header, txn)
    }
  }

  /** One refused operation refuses them all, and each says so: 0 before it, its own code, -2 after it. */
  #applyMulti(header: TxnHeader, txns: readonly SimpleTxn[]): Applied {
    const failedAt = txns.findIndex((txn) => txn.type === OpCode.error)
    const results = txns.map((txn, index) => {
      if (failedAt < 0) return this.#applySimple(header, txn)
      if (txn.type === OpCode.error) return refused(txn.err)
      return refused(index < failedAt ? ZkErrorCode.OK : ZkErrorCode.RUNTIMEINCONSISTENCY)
    })
    const err = results.find((result) => result.err !== ZkErrorCode.OK)?.err ?? ZkErrorCode.OK
    return { type: OpCode.multi, err, path: '', stat: null, results }
  }

  #applySimple(header: TxnHeader, txn: SimpleTxn): Applied {
    switch (txn.type) {
      case OpCode.create:
      case OpCode.create2:
        return this.#create(header, txn, txn.ephemeral ? header.clientId : 0n)
      case OpCode.createContainer:
        return this.#create(header, txn, CONTAINER_OWNER)
      case OpCode.createTTL:
        return this.#create(header, txn, ttlOwner(txn.ttl))
      case OpCode.delete:
      case OpCode.deleteContainer:
        return { ...fine(txn.type, txn.path), err: this.#delete(txn.path, header.zxid) }
      case OpCode.setData:
      case OpCode.reconfig:
        return this.#setData(header, txn)
      case OpCode.setACL:
        return this.#setAcl(txn)
      case OpCode.check:
        return fine(txn.type, txn.path)
      case OpCode.error:
        return refused(txn.err)
    }
  }

  #create(header: TxnHeader, txn: CreatingTxn, owner: bigint): Applied {
    const { path } = txn
    const slash = path.lastIndexOf('/')
    const parentPath = path.slice(0, slash)
    const parent = this.#nodes.get(parentPath)
    if (parent === undefined) return refused(ZkErrorCode.NONODE)
    this.#countCreation(parentPath, parent, txn.parentCVersion, header.zxid)
    const existing = this.#nodes.get(path)
    if (existing !== undefined) return this.#createAgain(existing, txn.acl)
    if (this.#frozen !== null) this.#keep(path, undefined)
    const node: Znode = {
      data: txn.data,
      acl: this.acls.use(txn.acl),
      czxid: header.zxid,
      mzxid: header.zxid,
      pzxid: header.zxid,
      ctime: header.time,
      mtime: header.time,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: owner,
      children: null,
      digest: DIGEST_UNKNOWN,
      keptBy: this.#frozen?.at(-1)!.id ?? 0,
    }
    ;(parent.children ??= new Map()).set(path.slice(slash + 1), node)
    this.#nodes.set(path, node)
    this.#digest = wrap(this.#digest + BigInt(this.digestOf(path, node)))
    this.#dataSize += sizeOf(path, node.data)
    this.#own(path, owner)
    const stat = txn.type === OpCode.create ? null : this.statOf(node)
    if (parentPath.startsWith(QUOTA_PATH)) this.#quotaNodeCreated(parentPath, path.slice(slash + 1))
    this.#countForQuota(path, 1, lengthOf(txn.data))
    this.watches.created(path, shown(parentPath), header.zxid, node.acl, parent.acl)
    return { ...fine(txn.type, path), stat }
  }

  /** A snapshot taken on the fly (Apache's) may hold the node and not its ACL, which is written first. */
  #createAgain(existing: Znode, acl: readonly Acl[]): Applied {
    const before = existing.acl
    existing.acl = this.acls.use(acl)
    this.acls.release(before)
    return refused(ZkErrorCode.NODEEXISTS)
  }

  /**
   * Only forwards: a transaction that comes again must not take back what later ones counted. The count wraps, so
   * the difference tells which is later. -1 is an old log's "one more".
   */
  #countCreation(path: string, parent: Znode, counted: number, zxid: bigint): void {
    const cversion = counted === -1 ? (parent.cversion + 1) | 0 : counted
    if (((cversion - parent.cversion) | 0) <= 0) return
    this.#change(path, parent, () => {
      parent.cversion = cversion
      parent.pzxid = zxid
    })
  }

  #delete(path: string, zxid: bigint): number {
    const slash = path.lastIndexOf('/')
    const parentPath = path.slice(0, slash)
    const parent = this.#nodes.get(parentPath)
    if (parent === undefined) return ZkErrorCode.NONODE
    if (zxid > parent.pzxid) this.#change(parentPath, parent, () => (parent.pzxid = zxid))
    const node = this.#nodes.get(path)
    if (node === undefined) return ZkErrorCode.NONODE
    if (this.#frozen !== null) this.#keep(path, node)
    parent.children?.delete(path.slice(slash + 1))
    this.#nodes.delete(path)
    this.#digest = wrap(this.#digest - BigInt(this.digestOf(path, node)))
    this.#dataSize -= sizeOf(path, node.data)
    this.acls.release(node.acl)
    this.#disown(path, node.ephemeralOwner)
    if (parentPath.startsWith(QUOTA_PATH)) this.#quotaNodeDeleted(parentPath, path.slice(slash + 1))
    this.#countForQuota(path, -1, -lengthOf(node.data))
    this.watches.deleted(path, shown(parentPath), zxid, node.acl, parent.acl)
    return ZkErrorCode.OK
  }

  #setData(header: TxnHeader, txn: { type: OpCode; path: string; data: Uint8Array | null; version: number }): Applied {
    const path = keyed(txn.path)
    const node = this.#nodes.get(path)
    if (node === undefined) return refused(ZkErrorCode.NONODE)
    const growth = lengthOf(txn.data) - lengthOf(node.data)
    this.#dataSize += growth
    this.#change(path, node, () => {
      node.data = txn.data
      node.version = txn.version
      node.mtime = header.time
      node.mzxid = header.zxid
    })
    const stat = this.statOf(node)
    this.#countForQuota(path, 0, growth)
    this.watches.changed(txn.path, header.zxid, node.acl)
    return { ...fine(txn.type, txn.path), stat }
  }

  #setAcl(txn: { type: OpCode; path: string; acl: readonly Acl[]; version: number }): Applied {
    const path = keyed(txn.path)
    const node = this.#nodes.get(path)
    if (node === undefined) return refused(ZkErrorCode.NONODE)
    const before: SharedAcl = node.acl
    this.#change(path, node, () => {
      node.acl = this.acls.use(txn.acl)
      node.aversion = txn.version
    })
    this.acls.release(before)
    return { ...fine(txn.type, txn.path), stat: this.statOf(node) }
  }

  /** The transaction names what goes; what else the session still owns (an old log names nothing) goes as well. */
  #closeSession(header: TxnHeader, named: readonly string[] | null): void {
    this.sessions.delete(header.clientId)
    for (const path of named ?? []) this.#delete(path, header.zxid)
    for (const path of this.#ephemerals.get(header.clientId) ?? []) this.#delete(path, header.zxid)
    this.#ephemerals.delete(header.clientId)
  }

  #quotaNodeCreated(folder: string, name: string): void {
    const path = quotaPathOf(folder)
    if (path === null) return
    if (name === LIMITS_NAME) this.#quotas.add(path)
    if (name === STATS_NAME) this.#countForNewQuota(path)
  }

  #quotaNodeDeleted(folder: string, name: string): void {
    const path = quotaPathOf(folder)
    if (path !== null && name === LIMITS_NAME) this.#quotas.delete(path)
  }

  /** Statistics change without a transaction, a version or an event. */
  #countForQuota(path: string, count: number, bytes: number): void {
    const quota = this.#quotas.over(path)
    if (quota === null) return
    const node = this.#nodes.get(statsPathOf(quota))
    if (node === undefined) return
    const stats = QuotaText.parse(node.data)
    stats.add(count, bytes)
    this.#setStats(statsPathOf(quota), node, stats)
  }

  #countForNewQuota(path: string): void {
    const node = this.#nodes.get(statsPathOf(path))
    if (node === undefined) return
    let count = 0
    let bytes = 0
    const pending = [path]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const counted = this.#nodes.get(next)
      if (counted === undefined) continue
      count++
      bytes += lengthOf(counted.data)
      for (const name of counted.children?.keys() ?? []) pending.push(`${next}/${name}`)
    }
    this.#setStats(statsPathOf(path), node, QuotaText.of(count, bytes))
  }

  #setStats(path: string, node: Znode, stats: QuotaText): void {
    const data = stats.encode()
    this.#dataSize += data.length - lengthOf(node.data)
    this.#change(path, node, () => (node.data = data))
  }

  /** After a snapshot, whose statistics another server may have written on the fly. */
  #findQuotas(folder: string): void {
    const names = [...(this.#nodes.get(folder)?.children?.keys() ?? [])]
    const path = quotaPathOf(folder)
    if (path !== null && names.includes(LIMITS_NAME)) {
      this.#countForNewQuota(path)
      this.#quotas.add(path)
    }
    for (const name of names) this.#findQuotas(`${folder}/${name}`)
  }

  /** Every change of a node that stays goes through here: the frozen tree and the digest learn of it. */
  #change(path: string, node: Znode, change: () => void): void {
    if (this.#frozen !== null) this.#keep(path, node)
    const before = this.digestOf(path, node)
    change()
    node.digest = DIGEST_UNKNOWN
    this.#digest = wrap(this.#digest + BigInt(this.digestOf(path, node) - before))
  }

  #keep(path: string, node: Znode | undefined): void {
    const newest = this.#frozen!.at(-1)!.id
    if (node !== undefined && node.keptBy >= newest) return
    for (const frozen of this.#frozen!) frozen.keep(path, node)
    if (node !== undefined) node.keptBy = newest
  }

  #own(path: string, owner: bigint): void {
    switch (ownership(owner, this.extendedTypes)) {
      case 'none':
        return
      case 'container':
        this.#containers.add(path)
        return
      case 'ttl':
        this.#ttls.add(path)
        return
      case 'session': {
        const paths = this.#ephemerals.get(owner)
        if (paths === undefined) this.#ephemerals.set(owner, new Set([path]))
        else paths.add(path)
      }
    }
  }

  #disown(path: string, owner: bigint): void {
    if (owner === 0n) return
    this.#containers.delete(path)
    this.#ttls.delete(path)
    const paths = this.#ephemerals.get(owner)
    if (paths?.delete(path) && paths.size === 0) this.#ephemerals.delete(owner)
  }
}

type CreatingTxn = Extract<SimpleTxn, { parentCVersion: number }>

const NO_PATHS: ReadonlySet<string> = new Set()

function fine(type: OpCode, path: string): Applied {
  return { type, err: ZkErrorCode.OK, path, stat: null, results: null }
}

function refused(err: number): Applied {
  return { type: OpCode.error, err, path: '', stat: null, results: null }
}

function sizeOf(path: string, data: Uint8Array | null): number {
  return path.length + lengthOf(data)
}

function lengthOf(data: Uint8Array | null): number {
  return data === null ? 0 : data.length
}

function wrap(digest: bigint): bigint {
  return BigInt.asIntN(64, digest)
}

/** The root is kept under '' and shown as '/'. */
function keyed(path: string): string {
  return path === '/' ? '' : path
}

function shown(path: string): string {
  return path === '' ? '/' : path
}
