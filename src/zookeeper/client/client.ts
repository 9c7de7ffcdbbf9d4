/** The operations of ZooKeeper 3.9, over a session that is kept across connections. */
import type { Platform } from '#platform'
import {
  AddWatchMode,
  CreateMode,
  OpCode,
  WatcherType,
  ZkErrorCode,
  operations,
  type Acl,
  type ClientInfo,
  type MultiOp,
  type MultiResult,
  type Stat,
} from '#zookeeper/protocol'

import type { ZooKeeperAddress } from './connect-string.ts'
import { RetryingZooKeeper, type ReconnectingZooKeeper, type SessionEvent } from './retrying.ts'
import { ClientSession, type SessionState, type ZooKeeperOptions } from './session.ts'
import type { WatchTarget } from './watches.ts'
import {
  OPEN_ACL,
  ZkError,
  ZkMultiError,
  type CreateOptions,
  type MultiStep,
  type MultiStepResult,
  type ReadResult,
  type ReadStep,
  type Reconfiguration,
  type Watcher,
  type Znode,
  type ZnodeChildren,
} from './zookeeper.ts'

const CONFIG_PATH = '/zookeeper/config'

/** Which watches the client has for what the protocol can remove. */
const TARGETS_OF_TYPE: Readonly<Record<WatcherType, readonly WatchTarget[]>> = {
  [WatcherType.children]: ['child'],
  [WatcherType.data]: ['data', 'exist'],
  [WatcherType.any]: ['child', 'data', 'exist', 'persistent', 'recursive'],
  [WatcherType.persistent]: ['persistent'],
  [WatcherType.persistentRecursive]: ['recursive'],
}

export class ZooKeeperClient implements ReconnectingZooKeeper {
  /** The same operations, retried after a reconnection. */
  readonly retrying: RetryingZooKeeper
  readonly #session: ClientSession
  readonly #call: ClientSession['call']

  /** Resolves with a session; rejects when no server gave one in time. */
  static async connect(platform: Platform, options: ZooKeeperOptions): Promise<ZooKeeperClient> {
    const client = new ZooKeeperClient(new ClientSession(platform, options))
    await client.#session.begin()
    if (options.createChroot === true) await client.#createChroot()
    return client
  }

  private constructor(session: ClientSession) {
    this.#session = session
    this.#call = session.call.bind(session)
    this.retrying = new RetryingZooKeeper(this)
  }

  get sessionId(): bigint {
    return this.#session.id
  }

  get sessionPassword(): Uint8Array {
    return this.#session.password
  }

  /** As negotiated, ms. */
  get sessionTimeoutMs(): number {
    return this.#session.timeoutMs
  }

  get state(): SessionState {
    return this.#session.state
  }

  get isConnected(): boolean {
    return this.#session.state === 'connected'
  }

  /** Connected to a server that has lost its quorum: reads may be old, writes fail with NOTREADONLY. See `ZooKeeperOptions.readOnly`. */
  get isReadOnly(): boolean {
    return this.#session.isReadOnly
  }

  /** The server of the present connection; null without one. */
  get server(): ZooKeeperAddress | null {
    return this.#session.server
  }

  /** `''` or `/path`: what stands before every path. */
  get chroot(): string {
    return this.#session.chroot
  }

  /** Whether this client had that session before the present one: what it left behind may be removed. */
  isFormerSession(sessionId: bigint): boolean {
    return this.#session.isFormer(sessionId)
  }

  /** Returns the function that ends it. */
  onSession(listener: (event: SessionEvent) => void): () => void {
    return this.#session.onEvent(listener)
  }

  /** Resolves when connected with the present session; rejects with `ZkError` when that has ended. */
  connected(): Promise<void> {
    return this.#session.connected()
  }

  /** Begins a new session after the former expired. Rejects when no server gave one in time; then it may be tried again. */
  renew(): Promise<void> {
    return this.#session.renew()
  }

  /** Ends the session: its ephemeral znodes vanish at once. */
  close(): Promise<void> {
    return this.#session.close()
  }

  /**
   * Adds an identity to the session, for this connection and later ones: scheme `digest`, auth `user:password`. Rejects when the server
   * refuses it: then nothing works any more (`onSession` tells authFailed).
   */
  addAuth(scheme: string, auth: Uint8Array): Promise<void> {
    return this.#session.authenticate({ scheme, auth })
  }

  async create(path: string, data: Uint8Array | null, options: CreateOptions = {}): Promise<string> {
    const request = this.#createRequest(path, data, options)
    switch (request.type) {
      case OpCode.createContainer:
        return this.#short((await this.#call(operations.createContainer, path, request)).path)
      case OpCode.createTTL:
        return this.#short((await this.#call(operations.createTTL, path, request)).path)
      default:
        return this.#short((await this.#call(operations.create, path, request)).path)
    }
  }

  /** As `create`, with the new znode's stat: create2. */
  async createWithStat(
    path: string,
    data: Uint8Array | null,
    options: CreateOptions = {},
  ): Promise<{ path: string; stat: Stat }> {
    const request = this.#createRequest(path, data, options)
    const { path: created, stat } =
      request.type === OpCode.createTTL
        ? await this.#call(operations.createTTL, path, request)
        : await this.#call(
            request.type === OpCode.createContainer ? operations.createContainer : operations.create2,
            path,
            request,
          )
    return { path: this.#short(created), stat }
  }

  async delete(path: string, version = -1): Promise<void> {
    await this.#call(operations.delete, path, { path: this.#full(path), version })
  }

  async exists(path: string, watcher?: Watcher): Promise<Stat | null> {
    const request = { path: this.#full(path), watch: watcher !== undefined }
    try {
      const watch = this.#watching(path, watcher, (code) => (code === ZkErrorCode.OK ? 'data' : 'exist'))
      return (await this.#call(operations.exists, path, request, watch)).stat
    } catch (error) {
      if (error instanceof ZkError && error.code === ZkErrorCode.NONODE) return null
      throw error
    }
  }

  async getData(path: string, watcher?: Watcher): Promise<Znode> {
    const request = { path: this.#full(path), watch: watcher !== undefined }
    const watch = this.#watching(path, watcher, (code) => (code === ZkErrorCode.OK ? 'data' : null))
    return await this.#call(operations.getData, path, request, watch)
  }

  async setData(path: string, data: Uint8Array | null, version = -1): Promise<Stat> {
    return (await this.#call(operations.setData, path, { path: this.#full(path), data, version })).stat
  }

  async getChildren(path: string, watcher?: Watcher): Promise<ZnodeChildren> {
    const request = { path: this.#full(path), watch: watcher !== undefined }
    const watch = this.#watching(path, watcher, (code) => (code === ZkErrorCode.OK ? 'child' : null))
    return await this.#call(operations.getChildren2, path, request, watch)
  }

  /** How many znodes are below the path, however deep. */
  async getAllChildrenNumber(path: string): Promise<number> {
    return (await this.#call(operations.getAllChildrenNumber, path, { path: this.#full(path) })).totalNumber
  }

  /** Ephemeral znodes of this session whose path begins with the prefix. */
  async getEphemerals(prefix = '/'): Promise<string[]> {
    const { ephemerals } = await this.#call(operations.getEphemerals, prefix, { path: this.#full(prefix) })
    return ephemerals.map((path) => this.#short(path))
  }

  async getAcl(path: string): Promise<{ acl: Acl[]; stat: Stat }> {
    return await this.#call(operations.getACL, path, { path: this.#full(path) })
  }

  async setAcl(path: string, acl: readonly Acl[], aclVersion = -1): Promise<Stat> {
    const request = { path: this.#full(path), acl: [...acl], version: aclVersion }
    return (await this.#call(operations.setACL, path, request)).stat
  }

  async multi(steps: readonly MultiStep[]): Promise<MultiStepResult[]> {
    if (steps.length === 0) return []
    const results = await this.#call(
      operations.multi,
      steps[0]!.path,
      steps.map((step) => this.#multiOp(step)),
    )
    const codes = results.map((result) => (result.type === OpCode.error ? (result.err as ZkErrorCode) : ZkErrorCode.OK))
    const failed = codes.findIndex((code) => code !== ZkErrorCode.OK)
    if (failed >= 0) throw new ZkMultiError(codes, failed, steps[failed]?.path ?? '/')
    return results.map((result) => this.#multiStepResult(result))
  }

  /** Several reads in one request, each with an answer of its own: a `ZkError` where it failed. All see the same state. */
  async multiRead(steps: readonly ReadStep[]): Promise<ReadResult[]> {
    if (steps.length === 0) return []
    const results = await this.#call(
      operations.multiRead,
      steps[0]!.path,
      steps.map(({ op, path }) => ({ type: OpCode[op], path: this.#full(path), watch: false })),
    )
    return results.map((result, index) => readResult(result, steps[index]!.path))
  }

  async sync(path: string): Promise<void> {
    await this.#call(operations.sync, path, { path: this.#full(path) })
  }

  /**
   * Watches a path for good, whether it exists or not: `persistent` its data and children, `recursive` it and everything below it,
   * without `childrenChanged`. One mode per path: the later one counts. Events that happen while disconnected are not told.
   */
  async addWatch(path: string, mode: 'persistent' | 'recursive', watcher: Watcher): Promise<void> {
    const number = mode === 'persistent' ? AddWatchMode.persistent : AddWatchMode.persistentRecursive
    await this.#call(operations.addWatch, path, { path: this.#full(path), mode: number }, (code) => {
      if (code === ZkErrorCode.OK) this.#session.watches.add(mode, this.#full(path), watcher)
    })
  }

  /**
   * Removes all watches of the path that are of the type; their watchers are told (`dataWatchRemoved`, …). Rejects with NOWATCHER when
   * there is none. `local`: they are forgotten here even where the server could not be told.
   */
  async removeWatches(
    path: string,
    type: WatcherType = WatcherType.any,
    { local = false }: { local?: boolean } = {},
  ): Promise<void> {
    const { watches } = this.#session
    const full = this.#full(path)
    const targets = TARGETS_OF_TYPE[type]
    if (!targets.some((target) => watches.has(target, full))) throw new ZkError(ZkErrorCode.NOWATCHER, path)
    const remove = (): void => {
      for (const { kind, watchers } of watches.remove(targets, full))
        for (const watcher of watchers) watcher({ kind, path })
    }
    try {
      await this.#call(operations.removeWatches, path, { path: full, type }, (code) => {
        if (code === ZkErrorCode.OK) remove()
      })
    } catch (error) {
      if (!local) throw error
      remove()
    }
  }

  /** Whom the server takes this connection for: `ip`, `digest`, `sasl`, … */
  async whoAmI(): Promise<ClientInfo[]> {
    return (await this.#call(operations.whoAmI, '/', null)).clientInfo
  }

  /** The members of the ensemble as its servers wrote them down, at /zookeeper/config whatever the chroot. */
  async getConfig(watcher?: Watcher): Promise<Znode> {
    const watch = (code: number): void => {
      if (watcher !== undefined && code === ZkErrorCode.OK) this.#session.watches.add('data', CONFIG_PATH, watcher)
    }
    const request = { path: CONFIG_PATH, watch: watcher !== undefined }
    return await this.#call(operations.getData, CONFIG_PATH, request, watch)
  }

  /** Changes the members of the ensemble, where its servers allow that. */
  async reconfigure(change: Reconfiguration): Promise<Znode> {
    return await this.#call(operations.reconfig, CONFIG_PATH, {
      joiningServers: utf8OrNull(change.joining),
      leavingServers: utf8OrNull(change.leaving),
      newMembers: utf8OrNull(change.members),
      curConfigId: change.fromVersion ?? -1n,
    })
  }

  #createRequest(path: string, data: Uint8Array | null, options: CreateOptions): MultiOp & { type: CreateType } {
    const flags = options.mode ?? CreateMode.persistent
    const create = { path: this.#full(path), data, acl: [...(options.acl ?? OPEN_ACL)], flags }
    if (flags === CreateMode.container) return { type: OpCode.createContainer, ...create }
    if (flags === CreateMode.persistentTtl || flags === CreateMode.persistentSequentialTtl)
      return { type: OpCode.createTTL, ...create, ttl: options.ttlMs ?? 0 }
    return { type: OpCode.create, ...create }
  }

  #multiOp(step: MultiStep): MultiOp {
    const path = this.#full(step.path)
    switch (step.op) {
      case 'create':
        return this.#createRequest(step.path, step.data, step)
      case 'setData':
        return { type: OpCode.setData, path, data: step.data, version: step.version }
      case 'delete':
        return { type: OpCode.delete, path, version: step.version }
      case 'check':
        return { type: OpCode.check, path, version: step.version }
    }
  }

  #multiStepResult(result: MultiResult): MultiStepResult {
    if ('path' in result) return { path: this.#short(result.path) }
    if ('stat' in result) return { stat: result.stat }
    return {}
  }

  /** The server set the watch, since it answered; which kind depends on the answer. */
  #watching(
    path: string,
    watcher: Watcher | undefined,
    target: (code: number) => WatchTarget | null,
  ): ((code: number) => void) | undefined {
    if (watcher === undefined) return undefined
    return (code) => {
      const chosen = code === ZkErrorCode.OK || code === ZkErrorCode.NONODE ? target(code) : null
      if (chosen !== null) this.#session.watches.add(chosen, this.#full(path), watcher)
    }
  }

  async #createChroot(): Promise<void> {
    const parts = this.chroot.split('/').slice(1)
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = `/${parts.slice(0, depth).join('/')}`
      const request = { path, data: null, acl: [...OPEN_ACL], flags: CreateMode.persistent }
      await this.retrying.retry(() => this.#call(operations.create, path, request)).catch(ignoreNodeExists)
    }
  }

  #full(path: string): string {
    return this.#session.full(path)
  }

  #short(path: string): string {
    return this.#session.short(path)
  }
}

type CreateType = typeof OpCode.create | typeof OpCode.createContainer | typeof OpCode.createTTL

function readResult(result: MultiResult, path: string): ReadResult {
  switch (result.type) {
    case OpCode.getData:
      return { data: result.data, stat: result.stat }
    case OpCode.getChildren:
      return { children: result.children }
    case OpCode.error:
      return new ZkError(result.err, path)
    default:
      return new ZkError(ZkErrorCode.MARSHALLINGERROR, path)
  }
}

function utf8OrNull(text: string | undefined): Uint8Array | null {
  return text === undefined ? null : new TextEncoder().encode(text)
}

function ignoreNodeExists(error: unknown): void {
  if (!(error instanceof ZkError) || error.code !== ZkErrorCode.NODEEXISTS) throw error
}
