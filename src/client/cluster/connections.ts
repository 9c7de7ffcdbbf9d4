/**
 * The connections of a client: one per broker and purpose. What waits long at the broker (a fetch, a join) has a purpose of its
 * own where it must not hold up something else, since answers come in the order of the requests.
 */
import { type Platform, type Timer } from '#platform'

import type { ClusterConfig } from '../config.ts'
import { ClosedError, KafkaError } from '../errors.ts'
import type { Address } from './addresses.ts'
import { NodeConnection } from './node-connection.ts'

export type Purpose = 'data' | 'coordinator' | 'fetch' | 'membership'

/** While a broker does not answer the next one is tried after so long, besides it. */
export const STAGGER_MS = 1000

export class Connections {
  readonly #platform: Platform
  readonly #config: ClusterConfig
  readonly #inFlightMax: number
  /** By purpose and address: a broker that comes back elsewhere gets a new connection. */
  readonly #open = new Map<string, NodeConnection>()
  #sweepTimer: Timer | null = null
  #isClosed = false

  constructor(platform: Platform, config: ClusterConfig, inFlightMax: number) {
    this.#platform = platform
    this.#config = config
    this.#inFlightMax = inFlightMax
  }

  to({ host, port }: Address, purpose: Purpose = 'data'): NodeConnection {
    if (this.#isClosed) throw new ClosedError('the client is closed')
    const key = `${purpose} ${host}:${port}`
    const known = this.#open.get(key)
    if (known !== undefined) return known
    const connection = new NodeConnection(this.#platform, this.#config, host, port, this.#inFlightMax)
    this.#open.set(key, connection)
    this.#sweepLater()
    return connection
  }

  /**
   * A connection to some broker: one that stands and has the least to do, or else the first that comes about. One that hangs costs
   * a second, not its whole timeout; one that has owed an answer for so long is the last resort. Rejects with a retriable `KafkaError`
   * when none comes about.
   */
  any(nodes: readonly Address[], bootstrap: readonly Address[]): Promise<NodeConnection> {
    const first = nodes.length === 0 ? 0 : this.#platform.random.below(nodes.length)
    const addresses = [...nodes.slice(first), ...nodes.slice(0, first), ...bootstrap]
    const candidates = [...new Set(addresses.map((address) => this.to(address)))]
    const standing = candidates.filter(({ isConnected, silentForMs }) => isConnected && silentForMs < STAGGER_MS)
    if (standing.length > 0)
      return Promise.resolve(standing.reduce((one, other) => (other.inFlightCount < one.inFlightCount ? other : one)))
    const silent = candidates.filter(({ isConnected }) => isConnected)
    return this.#firstOf([...candidates.filter(({ isConnected }) => !isConnected), ...silent])
  }

  /** Closes those to addresses that are no broker's any more. */
  retain(addresses: readonly Address[]): void {
    const kept = new Set(addresses.map(({ host, port }) => `${host}:${port}`))
    this.#closeWhere(({ host, port, isBusy }) => !kept.has(`${host}:${port}`) && !isBusy)
  }

  close(): void {
    this.#isClosed = true
    this.#sweepTimer?.cancel()
    this.#closeWhere(() => true)
  }

  #firstOf(candidates: readonly NodeConnection[]): Promise<NodeConnection> {
    const { clock } = this.#platform
    const failures: string[] = []
    return new Promise((resolve, reject) => {
      let next = 0
      let timer: Timer | null = null
      const tryNext = (): void => {
        timer?.cancel()
        const candidate = candidates[next++]
        if (candidate === undefined) return
        timer = clock.setTimer(STAGGER_MS, tryNext)
        candidate.connect().then(
          () => {
            timer?.cancel()
            next = candidates.length
            resolve(candidate)
          },
          (error: unknown) => {
            failures.push((error as Error).message)
            if (failures.length === candidates.length) {
              timer?.cancel()
              const reasons = [...new Set(failures)].join('; ')
              reject(new KafkaError(`no broker can be reached: ${reasons}`, { retriable: true, cause: error }))
            } else tryNext()
          },
        )
      }
      tryNext()
    })
  }

  #closeWhere(isDue: (connection: NodeConnection) => boolean): void {
    for (const [key, connection] of this.#open) {
      if (!isDue(connection)) continue
      this.#open.delete(key)
      connection.close()
    }
  }

  /** Idle connections go; those without a deadline of their own would hold a socket for ever. */
  #sweepLater(): void {
    const idleMs = this.#config.connectionsMaxIdleMs
    if (idleMs < 0 || this.#sweepTimer !== null) return
    this.#sweepTimer = this.#platform.clock.setTimer(idleMs, () => {
      this.#sweepTimer = null
      const usedSinceMs = this.#platform.clock.monotonic() - idleMs
      this.#closeWhere(({ isBusy, lastUsedMs }) => !isBusy && lastUsedMs <= usedSinceMs)
      if (this.#open.size > 0) this.#sweepLater()
    })
  }
}
