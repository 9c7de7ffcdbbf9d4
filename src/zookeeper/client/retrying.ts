/**
 * ZooKeeper's operations, carried across lost connections: what failed with CONNECTIONLOSS is sent again as soon as the same
 * session is connected again, for ever; when the session has ended, it fails with SESSIONEXPIRED. A request may then have
 * been carried out twice: who creates or updates conditionally must recognise his own earlier success, and the recipes
 * below do. Source: `KafkaZkClient.retryRequestsUntilConnected` and what is built on it.
 */
import { equalBytes } from '#base'
import { CreateMode, ZkErrorCode, type Acl, type Stat } from '#zookeeper/protocol'

import {
  ZkError,
  isZkError,
  type CreateOptions,
  type MultiStep,
  type MultiStepResult,
  type Watcher,
  type Znode,
  type ZnodeChildren,
  type ZooKeeper,
} from './zookeeper.ts'

/** What retrying needs of a client beyond its operations. */
export interface ReconnectingZooKeeper extends ZooKeeper {
  /** Resolves when the present session is connected; rejects when it has ended. */
  connected(): Promise<void>
  isFormerSession(sessionId: bigint): boolean
  /** Returns the function that ends it. */
  onSession(listener: (event: SessionEvent) => void): () => void
}

/**
 * `connected`: a session is there, new or kept. `disconnected`: it may live on, nobody knows. `expired`: it is gone, see `renew`.
 * `authFailed`: the server refused an identity; nothing works any more. `closed`: by its owner.
 */
export type SessionEvent = 'connected' | 'disconnected' | 'expired' | 'authFailed' | 'closed'

export type ConditionalUpdate = { kind: 'updated'; version: number } | { kind: 'conflict' } | { kind: 'missing' }

export class RetryingZooKeeper implements ZooKeeper {
  readonly #zk: ReconnectingZooKeeper

  constructor(zk: ReconnectingZooKeeper) {
    this.#zk = zk
  }

  get sessionId(): bigint {
    return this.#zk.sessionId
  }

  async retry<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!isZkError(error, 'CONNECTIONLOSS')) throw error
        await this.#zk.connected()
      }
    }
  }

  create(path: string, data: Uint8Array | null, options?: CreateOptions): Promise<string> {
    return this.retry(() => this.#zk.create(path, data, options))
  }

  delete(path: string, version?: number): Promise<void> {
    return this.retry(() => this.#zk.delete(path, version))
  }

  exists(path: string, watcher?: Watcher): Promise<Stat | null> {
    return this.retry(() => this.#zk.exists(path, watcher))
  }

  getData(path: string, watcher?: Watcher): Promise<Znode> {
    return this.retry(() => this.#zk.getData(path, watcher))
  }

  setData(path: string, data: Uint8Array | null, version?: number): Promise<Stat> {
    return this.retry(() => this.#zk.setData(path, data, version))
  }

  getChildren(path: string, watcher?: Watcher): Promise<ZnodeChildren> {
    return this.retry(() => this.#zk.getChildren(path, watcher))
  }

  getAcl(path: string): Promise<{ acl: Acl[]; stat: Stat }> {
    return this.retry(() => this.#zk.getAcl(path))
  }

  setAcl(path: string, acl: readonly Acl[], aclVersion?: number): Promise<Stat> {
    return this.retry(() => this.#zk.setAcl(path, acl, aclVersion))
  }

  multi(steps: readonly MultiStep[]): Promise<MultiStepResult[]> {
    return this.retry(() => this.#zk.multi(steps))
  }

  sync(path: string): Promise<void> {
    return this.retry(() => this.#zk.sync(path))
  }

  /** As `getData`, but null when there is no such znode. */
  async find(path: string, watcher?: Watcher): Promise<Znode | null> {
    return await this.getData(path, watcher).catch(nullIf('NONODE'))
  }

  /** As `getChildren`, but none when there is no such znode; no watch is set then. */
  async childrenOf(path: string, watcher?: Watcher): Promise<readonly string[]> {
    const found = await this.getChildren(path, watcher).catch(nullIf('NONODE'))
    return found?.children ?? []
  }

  /** Creates a persistent znode and what is missing above it, empty. False when it was there already. */
  async ensurePath(path: string, data: Uint8Array | null = null): Promise<boolean> {
    try {
      await this.create(path, data)
      return true
    } catch (error) {
      if (isZkError(error, 'NODEEXISTS')) return false
      if (!isZkError(error, 'NONODE')) throw error
    }
    await this.ensurePath(path.slice(0, path.lastIndexOf('/')))
    return await this.ensurePath(path, data)
  }

  /** Whether there was something to delete. */
  async deleteIfPresent(path: string, version?: number): Promise<boolean> {
    try {
      await this.delete(path, version)
      return true
    } catch (error) {
      if (isZkError(error, 'NONODE')) return false
      throw error
    }
  }

  /** Deletes a znode with all that is below it; what appears meanwhile is deleted too. */
  async deleteRecursively(path: string): Promise<void> {
    for (;;) {
      const children = await this.childrenOf(path)
      await Promise.all(children.map((child) => this.deleteRecursively(`${path === '/' ? '' : path}/${child}`)))
      try {
        await this.deleteIfPresent(path)
        return
      } catch (error) {
        if (!isZkError(error, 'NOTEMPTY')) throw error
      }
    }
  }

  /**
   * Creates an ephemeral znode that surely belongs to the present session, and returns its stat: `czxid` tells one
   * registration from the next. Rejects with NODEEXISTS when another session holds the path. Its data version is 1.
   *
   * A lost connection hides whether the create happened (KAFKA-14845), and a session of this process that ended may have left the znode
   * behind (KAFKA-7165):
   * 1. the path exists, owned by the present session: an earlier attempt succeeded;
   * 2. owned by a former session of this client: it is deleted, and created again;
   * 3. it has vanished meanwhile: created again.
   */
  async createEphemeral(path: string, data: Uint8Array, options: Pick<CreateOptions, 'acl'> = {}): Promise<Stat> {
    for (;;) {
      const own = this.sessionId
      try {
        const results = await this.multi([
          { op: 'create', path, data: null, mode: CreateMode.ephemeral, ...options },
          { op: 'setData', path, data, version: 0 },
        ])
        return results[1]!.stat!
      } catch (error) {
        if (!isZkError(error, 'NODEEXISTS')) throw error
        const stat = await this.exists(path)
        if (stat !== null && stat.ephemeralOwner === own) return stat
        if (stat !== null && !this.#zk.isFormerSession(stat.ephemeralOwner)) throw error
        if (stat !== null) await this.deleteIfPresent(path, stat.version).catch(nullIf('BADVERSION'))
      }
    }
  }

  /**
   * Sets data where the version is the expected one. After a lost connection a conflict may be with one's own earlier success:
   * then what stands there is compared by `isOwn` (by default with the data written) and counts as updated.
   */
  async updateConditionally(
    path: string,
    data: Uint8Array,
    expectedVersion: number,
    isOwn: (stored: Uint8Array | null) => boolean = (stored) => stored !== null && equalBytes(stored, data),
  ): Promise<ConditionalUpdate> {
    try {
      const stat = await this.setData(path, data, expectedVersion)
      return { kind: 'updated', version: stat.version }
    } catch (error) {
      if (isZkError(error, 'NONODE')) return { kind: 'missing' }
      if (!isZkError(error, 'BADVERSION')) throw error
    }
    const stored = await this.find(path)
    if (stored !== null && isOwn(stored.data)) return { kind: 'updated', version: stored.stat.version }
    return { kind: 'conflict' }
  }

  /** Resolves when there is no such znode (any more). Rejects when the session ends before, or with the signal's reason. */
  async untilDeleted(path: string, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const changed = Promise.withResolvers<void>()
      const onAbort = (): void => changed.reject(signal!.reason as Error)
      const ended = this.#zk.onSession((event) => {
        if (event === 'expired' || event === 'authFailed' || event === 'closed')
          changed.reject(new ZkError(ZkErrorCode.SESSIONEXPIRED, path))
      })
      try {
        signal?.throwIfAborted()
        signal?.addEventListener('abort', onAbort)
        if ((await this.exists(path, () => changed.resolve())) === null) return
        await changed.promise
      } finally {
        ended()
        signal?.removeEventListener('abort', onAbort)
        changed.promise.catch(() => {})
      }
    }
  }
}

function nullIf(...codes: Parameters<typeof isZkError>[1][]): (error: unknown) => null {
  return (error) => {
    if (error instanceof ZkError && isZkError(error, ...codes)) return null
    throw error
  }
}
