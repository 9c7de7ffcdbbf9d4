/**
 * For tests: ZooKeeper as the controller sees it, in memory and without a clock. A tree with versions and zxids, ephemeral znodes,
 * sequence numbers, multi, one-shot watches that fire before the answer that shows the change, sessions that expire,
 * and answers that get lost.
 */
import {
  CreateMode,
  OPEN_ACL,
  ZkError,
  ZkErrorCode,
  ZkMultiError,
  type Acl,
  type CreateOptions,
  type MultiStep,
  type MultiStepResult,
  type ReconnectingZooKeeper,
  type SessionEvent,
  type Stat,
  type WatchKind,
  type Watcher,
  type Znode,
  type ZnodeChildren,
} from '#zookeeper/client'

interface Node {
  data: Uint8Array | null
  readonly czxid: bigint
  mzxid: bigint
  pzxid: bigint
  version: number
  /** Children created so far: the next sequence number. */
  created: number
  readonly owner: bigint
}

export class FakeEnsemble {
  readonly #nodes = new Map<string, Node>([['/', newNode(null, 0n, 0n)]])
  readonly #sessions = new Set<FakeZooKeeper>()
  #zxid = 0n
  #lastSession = 100n

  connect(): FakeZooKeeper {
    const zk = new FakeZooKeeper(this)
    this.begin(zk)
    return zk
  }

  /** @internal */
  begin(zk: FakeZooKeeper): void {
    this.#lastSession += 1n
    zk.begun(this.#lastSession)
    this.#sessions.add(zk)
  }

  /** The session ends: its ephemeral znodes vanish, its watches are forgotten. */
  expire(zk: FakeZooKeeper): void {
    this.#sessions.delete(zk)
    const { sessionId } = zk
    zk.ended()
    for (const [path, node] of this.#nodes) if (node.owner === sessionId) this.remove(path)
  }

  /** Data as text; null when there is no such znode. */
  text(path: string): string | null {
    const node = this.#nodes.get(path)
    return node === undefined ? null : new TextDecoder().decode(node.data ?? new Uint8Array(0))
  }

  version(path: string): number | null {
    return this.#nodes.get(path)?.version ?? null
  }

  children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`
    return [...this.#nodes.keys()]
      .filter((each) => each !== '/' && each.startsWith(prefix) && !each.slice(prefix.length).includes('/'))
      .map((each) => each.slice(prefix.length))
  }

  stat(path: string): Stat | null {
    const node = this.#nodes.get(path)
    if (node === undefined) return null
    const numChildren = this.children(path).length
    return {
      czxid: node.czxid,
      mzxid: node.mzxid,
      ctime: 0,
      mtime: 0,
      version: node.version,
      cversion: node.created * 2 - numChildren,
      aversion: 0,
      ephemeralOwner: node.owner,
      dataLength: node.data?.length ?? 0,
      numChildren,
      pzxid: node.pzxid,
    }
  }

  /** All or nothing, in one transaction. Throws `ZkMultiError`, or `ZkError` for a single step. */
  transact(steps: readonly MultiStep[], sessionId: bigint): MultiStepResult[] {
    const undo = new Map(this.#nodes)
    for (const [path, node] of undo) undo.set(path, { ...node })
    this.#zxid += 1n
    const events: [WatchKind, string][] = []
    const results: MultiStepResult[] = []
    for (const [index, step] of steps.entries()) {
      const result = this.#apply(step, sessionId, events)
      if (typeof result !== 'number') {
        results.push(result)
        continue
      }
      this.#nodes.clear()
      for (const [path, node] of undo) this.#nodes.set(path, node)
      const codes = steps.map((_, at) => (at < index ? 0 : at === index ? result : ZkErrorCode.RUNTIMEINCONSISTENCY))
      throw new ZkMultiError(codes, index, step.path)
    }
    for (const [kind, path] of events) this.#fire(kind, path)
    return results
  }

  #apply(step: MultiStep, sessionId: bigint, events: [WatchKind, string][]): MultiStepResult | ZkErrorCode {
    const node = this.#nodes.get(step.path)
    switch (step.op) {
      case 'create':
        return this.#create(step.path, step.data, step.mode ?? CreateMode.persistent, sessionId, events)
      case 'check':
        if (node === undefined) return ZkErrorCode.NONODE
        return isVersion(node, step.version) ? {} : ZkErrorCode.BADVERSION
      case 'setData':
        if (node === undefined) return ZkErrorCode.NONODE
        if (!isVersion(node, step.version)) return ZkErrorCode.BADVERSION
        node.data = step.data
        node.version += 1
        node.mzxid = this.#zxid
        events.push(['dataChanged', step.path])
        return { stat: this.stat(step.path)! }
      case 'delete':
        if (node === undefined) return ZkErrorCode.NONODE
        if (!isVersion(node, step.version)) return ZkErrorCode.BADVERSION
        if (this.children(step.path).length > 0) return ZkErrorCode.NOTEMPTY
        this.#nodes.delete(step.path)
        events.push(['deleted', step.path], ['childrenChanged', parentOf(step.path)])
        return {}
    }
  }

  #create(
    wanted: string,
    data: Uint8Array | null,
    mode: CreateMode,
    sessionId: bigint,
    events: [WatchKind, string][],
  ): MultiStepResult | ZkErrorCode {
    const parent = this.#nodes.get(parentOf(wanted))
    if (parent === undefined) return ZkErrorCode.NONODE
    const isSequential = mode === CreateMode.persistentSequential || mode === CreateMode.ephemeralSequential
    const path = isSequential ? wanted + String(parent.created).padStart(10, '0') : wanted
    if (this.#nodes.has(path)) return ZkErrorCode.NODEEXISTS
    if (parent.owner !== 0n) return ZkErrorCode.NOCHILDRENFOREPHEMERALS
    const isEphemeral = mode === CreateMode.ephemeral || mode === CreateMode.ephemeralSequential
    this.#nodes.set(path, newNode(data, this.#zxid, isEphemeral ? sessionId : 0n))
    parent.created += 1
    parent.pzxid = this.#zxid
    events.push(['created', path], ['childrenChanged', parentOf(path)])
    return { path }
  }

  remove(path: string): void {
    this.#zxid += 1n
    this.#nodes.delete(path)
    this.#fire('deleted', path)
    this.#fire('childrenChanged', parentOf(path))
  }

  get(path: string): Node | undefined {
    return this.#nodes.get(path)
  }

  #fire(kind: WatchKind, path: string): void {
    for (const session of this.#sessions) session.fire(kind, path)
  }
}

/** One client of the ensemble, over successive sessions. */
export class FakeZooKeeper implements ReconnectingZooKeeper {
  readonly #ensemble: FakeEnsemble
  #sessionId = 0n
  #alive = false
  readonly #former = new Set<bigint>()
  readonly #dataWatches = new Map<string, Set<Watcher>>()
  readonly #childWatches = new Map<string, Set<Watcher>>()
  readonly #listeners = new Set<(event: SessionEvent) => void>()
  /** Writes whose answers get lost, and whether they are carried out. */
  readonly #losses: { executed: boolean }[] = []
  /** Called before each write: what happens just then. */
  beforeWrite: ((steps: readonly MultiStep[]) => void) | null = null

  constructor(ensemble: FakeEnsemble) {
    this.#ensemble = ensemble
  }

  get sessionId(): bigint {
    return this.#sessionId
  }

  /** The next write is answered by CONNECTIONLOSS. */
  loseNextWrite(executed: boolean): void {
    this.#losses.push({ executed })
  }

  renew(): void {
    this.#ensemble.begin(this)
  }

  /** @internal */
  begun(sessionId: bigint): void {
    this.#sessionId = sessionId
    this.#alive = true
  }

  /** @internal */
  ended(): void {
    this.#former.add(this.#sessionId)
    this.#alive = false
    this.#dataWatches.clear()
    this.#childWatches.clear()
    for (const listener of this.#listeners) listener('expired')
  }

  /** @internal */
  fire(kind: WatchKind, path: string): void {
    const registries =
      kind === 'childrenChanged'
        ? [this.#childWatches]
        : kind === 'deleted'
          ? [this.#dataWatches, this.#childWatches]
          : [this.#dataWatches]
    const watchers = new Set<Watcher>()
    for (const registry of registries) {
      for (const watcher of registry.get(path) ?? []) watchers.add(watcher)
      registry.delete(path)
    }
    for (const watcher of watchers) watcher({ kind, path })
  }

  async connected(): Promise<void> {
    if (!this.#alive) throw new ZkError(ZkErrorCode.SESSIONEXPIRED, '/')
  }

  isFormerSession(sessionId: bigint): boolean {
    return this.#former.has(sessionId)
  }

  onSession(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async create(path: string, data: Uint8Array | null, options: CreateOptions = {}): Promise<string> {
    return (await this.#writeOne({ op: 'create', path, data, ...options })).path!
  }

  async delete(path: string, version = -1): Promise<void> {
    await this.#writeOne({ op: 'delete', path, version })
  }

  async setData(path: string, data: Uint8Array | null, version = -1): Promise<Stat> {
    return (await this.#writeOne({ op: 'setData', path, data, version })).stat!
  }

  async multi(steps: readonly MultiStep[]): Promise<MultiStepResult[]> {
    await this.#turn(steps[0]?.path ?? '/')
    this.beforeWrite?.(steps)
    const loss = this.#losses.shift()
    if (loss?.executed === false) throw new ZkError(ZkErrorCode.CONNECTIONLOSS, '/')
    const results = this.#ensemble.transact(steps, this.#sessionId)
    if (loss !== undefined) throw new ZkError(ZkErrorCode.CONNECTIONLOSS, '/')
    return results
  }

  async #writeOne(step: MultiStep): Promise<MultiStepResult> {
    try {
      return (await this.multi([step]))[0]!
    } catch (error) {
      throw error instanceof ZkMultiError ? new ZkError(error.code, step.path) : error
    }
  }

  async exists(path: string, watcher?: Watcher): Promise<Stat | null> {
    await this.#turn(path)
    if (watcher !== undefined) watch(this.#dataWatches, path, watcher)
    return this.#ensemble.stat(path)
  }

  async getData(path: string, watcher?: Watcher): Promise<Znode> {
    await this.#turn(path)
    const node = this.#ensemble.get(path)
    if (node === undefined) throw new ZkError(ZkErrorCode.NONODE, path)
    if (watcher !== undefined) watch(this.#dataWatches, path, watcher)
    return { data: node.data, stat: this.#ensemble.stat(path)! }
  }

  async getChildren(path: string, watcher?: Watcher): Promise<ZnodeChildren> {
    await this.#turn(path)
    const stat = this.#ensemble.stat(path)
    if (stat === null) throw new ZkError(ZkErrorCode.NONODE, path)
    if (watcher !== undefined) watch(this.#childWatches, path, watcher)
    return { children: this.#ensemble.children(path), stat }
  }

  async getAcl(path: string): Promise<{ acl: Acl[]; stat: Stat }> {
    return { acl: [...OPEN_ACL], stat: (await this.getData(path)).stat }
  }

  async setAcl(path: string): Promise<Stat> {
    return (await this.getData(path)).stat
  }

  async sync(path: string): Promise<void> {
    await this.#turn(path)
  }

  /** An answer never comes within the turn of its request. */
  async #turn(path: string): Promise<void> {
    await Promise.resolve()
    if (!this.#alive) throw new ZkError(ZkErrorCode.SESSIONEXPIRED, path)
  }
}

function newNode(data: Uint8Array | null, zxid: bigint, owner: bigint): Node {
  return { data, czxid: zxid, mzxid: zxid, pzxid: zxid, version: 0, created: 0, owner }
}

function isVersion(node: Node, version: number): boolean {
  return version === -1 || version === node.version
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === 0 ? '/' : path.slice(0, slash)
}

function watch(registry: Map<string, Set<Watcher>>, path: string, watcher: Watcher): void {
  const watchers = registry.get(path)
  if (watchers === undefined) registry.set(path, new Set([watcher]))
  else watchers.add(watcher)
}
