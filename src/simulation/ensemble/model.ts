/**
 * Znodes as the documentation describes them, one operation after the other: the sequential execution that a
 * history is compared with. Knows nothing of servers, and shares no code with `zookeeper/tree`.
 */
import { Perms, WatchEventType, ZkErrorCode } from '#zookeeper/protocol'

import type { Committed, Life, Person, ReadRequest, Step, WriteRequest } from './history.ts'
import {
  OK,
  aclText,
  childrenText,
  createdText,
  dataText,
  multiText,
  refusalText,
  statText,
  type StatView,
} from './outcome.ts'

import { isBeyond, limitsOf, quotaOf, quotaPaths, statsText, type Growth, type QuotaState } from './quota-model.ts'
import { OPEN, idOf, permits, resolved, type Acl } from './permissions.ts'

interface ModelNode {
  data: string
  version: number
  acl: Acl
  aversion: number
  /** Children created so far. */
  creations: number
  readonly czxid: bigint
  mzxid: bigint
  pzxid: bigint
  /** Leader's clock at the last write, ms. */
  mtimeMs: number
  readonly life: Life
  /** Session of an ephemeral znode, and a mark with those that end otherwise; 0 for a persistent one. */
  readonly owner: bigint
  readonly children: Set<string>
}

export interface Outcome {
  readonly err: number
  readonly text: string
}

/** Something that a watch on this path is told. */
export interface Change {
  readonly zxid: bigint
  readonly type: number
  /** Of the znode; only who may read it is told. */
  readonly acl: Acl
}

/** Something that whoever watches this path is told, once. */
export interface ModelEvent extends Change {
  readonly path: string
}

/** What of a transaction does not depend on its request. */
export interface Moment extends Pick<Committed, 'zxid' | 'wallMs' | 'session' | 'err' | 'errAt'> {
  /** What was acknowledged when it was asked for: the server that decides has applied that. */
  readonly acknowledgedBefore: bigint
}

const BEFORE_ALL: Moment = { zxid: 0n, wallMs: 0, session: 0n, err: OK, errAt: 0, acknowledgedBefore: 0n }
/** What every ensemble begins with, but for the configuration, which no transaction brings. */
const SERVERS_OWN = ['/zookeeper', '/zookeeper/quota']
const ANY_VERSION = -1

export class ZnodeModel {
  readonly nodes = new Map<string, ModelNode>([['', newNode('', 'persistent', OPEN, BEFORE_ALL)]])
  readonly sessions = new Set<bigint>()
  /** What data watches and child watches were told, by path, in order. */
  readonly dataChanges = new Map<string, Change[]>()
  readonly childChanges = new Map<string, Change[]>()
  /** All of them, as they follow each other. */
  readonly events: ModelEvent[] = []
  /** The lists that each path had, in order; null: it was not there. */
  readonly #acls = new Map<string, { readonly zxid: bigint; readonly acl: Acl | null }[]>()
  /** Of each path that has a quota what it held and might hold, in order. */
  readonly #quotas = new Map<string, QuotaState[]>()
  readonly #personOf: (session: bigint) => Person | null
  /** Changes that are to be taken back if the multi fails. */
  #undo: (() => void)[] | null = null

  constructor(personOf: (session: bigint) => Person | null) {
    this.#personOf = personOf
    for (const path of SERVERS_OWN) {
      this.nodes.get(parentOf(path))!.children.add(nameOf(path))
      this.nodes.set(path, newNode('', 'persistent', OPEN, BEFORE_ALL))
    }
  }

  write(request: WriteRequest, moment: Moment): Outcome {
    if (request.kind === 'close') {
      this.endSession(moment)
      return { err: OK, text: '' }
    }
    if (request.kind === 'setAcl') return this.#setAcl(request, moment)
    return request.kind === 'multi' ? this.#multi(request.steps, moment) : this.#step(request, 0, moment)
  }

  read({ kind, path }: ReadRequest, session: bigint): Outcome {
    const node = this.nodes.get(path)
    if (node === undefined) return { err: ZkErrorCode.NONODE, text: '' }
    if (!this.#mayDo(session, kind === 'acl' ? Perms.READ | Perms.ADMIN : Perms.READ, node))
      return refused(ZkErrorCode.NOAUTH)
    switch (kind) {
      case 'acl': {
        const withHashes = this.#mayDo(session, Perms.ADMIN, node)
        const entries = node.acl.map(({ who, perms }) => ({ id: nameOfId(idOf(who, withHashes)), perms }))
        return { err: OK, text: aclText(entries, statOf(node)) }
      }
      case 'exists':
        return { err: OK, text: statText(statOf(node)) }
      case 'get':
        return { err: OK, text: dataText(node.data, statOf(node)) }
      case 'children':
        return { err: OK, text: childrenText([...node.children], statOf(node)) }
    }
  }

  endSession({ session, zxid }: Pick<Moment, 'session' | 'zxid'>): void {
    this.sessions.delete(session)
    for (const [path, { owner }] of this.nodes) if (owner === session && session !== 0n) this.#remove(path, zxid)
  }

  /** The ensemble deletes a znode by itself. Returns why it must not; null where it may. */
  reap(path: string, { zxid, wallMs }: Pick<Moment, 'zxid' | 'wallMs'>): string | null {
    const node = this.nodes.get(path)
    if (node === undefined) return 'it is not there'
    if (node.children.size > 0) return `it has ${node.children.size} children`
    this.#remove(path, zxid)
    if (node.life === 'container') return node.creations > 0 ? null : 'it is a container that had no child yet'
    if (typeof node.life !== 'object') return `it is ${node.life}`
    const unchangedMs = wallMs - node.mtimeMs
    return unchangedMs > node.life.ttlMs ? null : `it was written ${unchangedMs} ms before, of ${node.life.ttlMs}`
  }

  /** The list of a path after this transaction; null where it was not there. */
  aclAt(path: string, zxid: bigint): Acl | null {
    return this.#acls.get(path)?.findLast((each) => each.zxid <= zxid)?.acl ?? null
  }

  #multi(steps: readonly Step[], moment: Moment): Outcome {
    const undo: (() => void)[] = []
    this.#undo = undo
    const texts: string[] = []
    let failedAt = -1
    for (const [index, step] of steps.entries()) {
      const { err, text } = this.#step(step, index, moment)
      if (err !== OK) {
        failedAt = index
        texts.push(refusalText(err))
        break
      }
      texts.push(text)
    }
    this.#undo = null
    if (failedAt < 0) return { err: OK, text: multiText(texts) }
    for (const takeBack of undo.reverse()) takeBack()
    // Everything before the step that failed says 0, everything after it that it was not tried.
    const told = steps.map((_, index) =>
      index < failedAt
        ? refusalText(OK)
        : index === failedAt
          ? texts[index]!
          : refusalText(ZkErrorCode.RUNTIMEINCONSISTENCY),
    )
    return { err: OK, text: multiText(told) }
  }

  /** `index`: its place in its multi. */
  #step(step: Step, index: number, moment: Moment): Outcome {
    const { zxid, wallMs, session } = moment
    switch (step.kind) {
      case 'create':
        return this.#create(step, index, moment)
      case 'delete': {
        const parent = this.nodes.get(parentOf(step.path))
        if (parent === undefined) return refused(ZkErrorCode.NONODE)
        if (!this.#mayDo(session, Perms.DELETE, parent)) return refused(ZkErrorCode.NOAUTH)
        const node = this.nodes.get(step.path)
        if (node === undefined) return refused(ZkErrorCode.NONODE)
        if (isOtherVersion(step.version, node.version)) return refused(ZkErrorCode.BADVERSION)
        if (node.children.size > 0) return refused(ZkErrorCode.NOTEMPTY)
        this.#remove(step.path, zxid)
        return { err: OK, text: '' }
      }
      case 'set': {
        const node = this.nodes.get(step.path)
        if (node === undefined) return refused(ZkErrorCode.NONODE)
        if (!this.#mayDo(session, Perms.WRITE, node)) return refused(ZkErrorCode.NOAUTH)
        const growth = { count: 0, bytes: step.data.length - node.data.length }
        if (this.#isBeyondQuota(step.path, growth, index, moment)) return refused(ZkErrorCode.QUOTAEXCEEDED)
        if (isOtherVersion(step.version, node.version)) return refused(ZkErrorCode.BADVERSION)
        const before = { ...node }
        this.#later(() => Object.assign(node, before))
        node.data = step.data
        node.version += 1
        node.mzxid = zxid
        node.mtimeMs = wallMs
        this.#counts(step.path, growth, zxid)
        const changed = { type: WatchEventType.nodeDataChanged, path: step.path, zxid, acl: node.acl }
        this.#happened(changed, [this.dataChanges])
        return { err: OK, text: statText(statOf(node)) }
      }
      case 'check': {
        const node = this.nodes.get(step.path)
        if (node === undefined) return refused(ZkErrorCode.NONODE)
        if (!this.#mayDo(session, Perms.READ, node)) return refused(ZkErrorCode.NOAUTH)
        return isOtherVersion(step.version, node.version) ? refused(ZkErrorCode.BADVERSION) : { err: OK, text: '' }
      }
    }
  }

  #setAcl({ path, acl, version }: Extract<WriteRequest, { kind: 'setAcl' }>, { zxid, session }: Moment): Outcome {
    const list = resolved(acl, this.#personOf(session))
    if (list === null) return refused(ZkErrorCode.INVALIDACL)
    const node = this.nodes.get(path)
    if (node === undefined) return refused(ZkErrorCode.NONODE)
    if (!this.#mayDo(session, Perms.ADMIN, node)) return refused(ZkErrorCode.NOAUTH)
    if (isOtherVersion(version, node.aversion)) return refused(ZkErrorCode.BADVERSION)
    node.acl = list
    node.aversion += 1
    this.#hasAcl(path, zxid, list)
    return { err: OK, text: statText(statOf(node)) }
  }

  #create(step: Extract<Step, { kind: 'create' }>, index: number, moment: Moment): Outcome {
    const { zxid, session } = moment
    const acl = resolved(step.acl ?? OPEN, this.#personOf(session))
    if (acl === null) return refused(ZkErrorCode.INVALIDACL)
    const parentPath = parentOf(step.path)
    const parent = this.nodes.get(parentPath)
    if (parent === undefined) return refused(ZkErrorCode.NONODE)
    if (!this.#mayDo(session, Perms.CREATE, parent)) return refused(ZkErrorCode.NOAUTH)
    const path = step.sequential ? step.path + String(parent.creations).padStart(10, '0') : step.path
    if (this.nodes.has(path)) return refused(ZkErrorCode.NODEEXISTS)
    if (parent.life === 'ephemeral') return refused(ZkErrorCode.NOCHILDRENFOREPHEMERALS)
    const growth = { count: 1, bytes: step.data.length }
    if (this.#isBeyondQuota(path, growth, index, moment)) return refused(ZkErrorCode.QUOTAEXCEEDED)
    const { creations, pzxid } = parent
    this.#later(() => {
      parent.creations = creations
      parent.pzxid = pzxid
      parent.children.delete(nameOf(path))
      this.nodes.delete(path)
    })
    parent.creations += 1
    parent.pzxid = zxid
    parent.children.add(nameOf(path))
    const node = newNode(step.data, step.life, acl, moment)
    this.nodes.set(path, node)
    this.#counts(path, growth, zxid)
    this.#hasAcl(path, zxid, acl)
    this.#happened({ type: WatchEventType.nodeCreated, path, zxid, acl }, [this.dataChanges])
    this.#childrenChanged(parentPath, parent, zxid)
    // Who asks for one that ends otherwise than by its session asks by an operation whose answer has the stat.
    const hasStat = step.life !== 'persistent' && step.life !== 'ephemeral'
    return { err: OK, text: hasStat ? createdText(path, statOf(node)) : path }
  }

  #remove(path: string, zxid: bigint): void {
    const node = this.nodes.get(path)!
    const parentPath = parentOf(path)
    const parent = this.nodes.get(parentPath)!
    const { pzxid } = parent
    this.#later(() => {
      parent.pzxid = pzxid
      parent.children.add(nameOf(path))
      this.nodes.set(path, node)
    })
    parent.pzxid = zxid
    parent.children.delete(nameOf(path))
    this.nodes.delete(path)
    this.#counts(path, { count: -1, bytes: -node.data.length }, zxid)
    this.#hasAcl(path, zxid, null)
    const deleted = { type: WatchEventType.nodeDeleted, path, zxid, acl: node.acl }
    this.#happened(deleted, [this.dataChanges, this.childChanges])
    this.#childrenChanged(parentPath, parent, zxid)
  }

  #childrenChanged(path: string, { acl }: ModelNode, zxid: bigint): void {
    this.#happened({ type: WatchEventType.nodeChildrenChanged, path: path || '/', zxid, acl }, [this.childChanges])
  }

  /** Where the states of the quota do not agree, the ensemble's word counts. */
  #isBeyondQuota(path: string, growth: Growth, index: number, moment: Moment): boolean {
    const states = this.#quotas.get(this.#quotaOver(path) ?? '')
    if (states === undefined) return false
    const verdict = isBeyond(states, moment.acknowledgedBefore, moment.zxid, growth)
    if (verdict !== 'sometimes') return verdict === 'always'
    return moment.err === ZkErrorCode.QUOTAEXCEEDED && moment.errAt === index
  }

  /** A znode was made, written or deleted: statistics change with it, without a version or an event. */
  #counts(path: string, { count, bytes }: Growth, zxid: bigint): void {
    const own = quotaOf(path)
    if (own !== null) return this.#quotaChanges(own, zxid)
    const quota = this.#quotaOver(path)
    if (quota === null) return
    const last = this.#quotas.get(quota)!.at(-1)!
    this.#holds(quota, { ...last, zxid, count: last.count + count, bytes: last.bytes + bytes })
  }

  /** Limits were written, or statistics made: those begin with all that is there. */
  #quotaChanges(quota: string, zxid: bigint): void {
    const paths = quotaPaths(quota)
    const limits = this.nodes.get(paths.limits)
    if (limits === undefined || !this.nodes.has(paths.stats)) return
    let [count, bytes] = [0, 0]
    for (const [path, { data }] of this.nodes)
      if (path === quota || path.startsWith(`${quota}/`)) {
        count += 1
        bytes += data.length
      }
    this.#holds(quota, { zxid, count, bytes, ...limitsOf(limits.data) })
  }

  #holds(quota: string, state: QuotaState): void {
    const stats = this.nodes.get(quotaPaths(quota).stats)!
    const { data } = stats
    stats.data = statsText(state)
    push(this.#quotas, quota, state)
    this.#later(() => {
      stats.data = data
      this.#quotas.get(quota)!.pop()
    })
  }

  #quotaOver(path: string): string | null {
    for (const quota of this.#quotas.keys()) if (path === quota || path.startsWith(`${quota}/`)) return quota
    return null
  }

  #mayDo(session: bigint, perms: number, { acl }: ModelNode): boolean {
    return permits(acl, perms, this.#personOf(session))
  }

  #hasAcl(path: string, zxid: bigint, acl: Acl | null): void {
    push(this.#acls, path, { zxid, acl })
    this.#later(() => void this.#acls.get(path)!.pop())
  }

  /** `concerned`: the one-shot watches that are told. */
  #happened(event: ModelEvent, concerned: readonly Map<string, Change[]>[]): void {
    const { path } = event
    this.events.push(event)
    for (const changes of concerned) push(changes, path, event)
    this.#later(() => {
      this.events.pop()
      for (const changes of concerned) changes.get(path)!.pop()
    })
  }

  #later(takeBack: () => void): void {
    this.#undo?.push(takeBack)
  }
}

/** The first change after `zxid`, or null. */
export function firstAfter(changes: readonly Change[] | undefined, zxid: bigint): Change | null {
  if (changes === undefined) return null
  let low = 0
  let high = changes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (changes[middle]!.zxid <= zxid) low = middle + 1
    else high = middle
  }
  return changes[low] ?? null
}

function statOf(node: ModelNode): StatView {
  return {
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid: node.pzxid,
    version: node.version,
    aversion: node.aversion,
    cversion: 2 * node.creations - node.children.size,
    ephemeralOwner: node.life === 'ephemeral' ? node.owner : 0n,
    dataLength: node.data.length,
    numChildren: node.children.size,
  }
}

function newNode(data: string, life: Life, acl: Acl, { zxid, wallMs, session }: Moment): ModelNode {
  return {
    data,
    version: 0,
    acl,
    aversion: 0,
    creations: 0,
    czxid: zxid,
    mzxid: zxid,
    pzxid: zxid,
    mtimeMs: wallMs,
    life,
    owner: ownerOf(life, session),
    children: new Set(),
  }
}

/** As servers store it. Source: EphemeralType. */
function ownerOf(life: Life, session: bigint): bigint {
  if (life === 'persistent') return 0n
  if (life === 'ephemeral') return session
  return BigInt.asIntN(64, life === 'container' ? 1n << 63n : (0xffn << 56n) | BigInt(life.ttlMs))
}

function refused(err: number): Outcome {
  return { err, text: '' }
}

function isOtherVersion(wanted: number, version: number): boolean {
  return wanted !== ANY_VERSION && wanted !== version
}

function nameOfId({ scheme, id }: { readonly scheme: string; readonly id: string }): string {
  return `${scheme}:${id}`
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const known = lists.get(key)
  if (known === undefined) lists.set(key, [item])
  else known.push(item)
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
