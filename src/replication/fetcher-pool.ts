import type { Partition } from './partition.ts'
import type { BrokerEndpoint, LeaderConnector, MetadataView } from './ports.ts'
import { ReplicaFetcher, type ReplicaFetcherOptions } from './replica-fetcher.ts'

export interface FetcherPoolOptions extends Omit<ReplicaFetcherOptions, 'leaderId' | 'endpoint'> {
  readonly leaders: LeaderConnector
  readonly metadata: MetadataView
}

interface Running {
  readonly fetcher: ReplicaFetcher
  readonly address: BrokerEndpoint
}

/** The fetchers of a broker: `num.replica.fetchers` for each broker that it follows. */
export class FetcherPool {
  readonly #options: FetcherPoolOptions
  /** By `leader/fetcher`. */
  readonly #fetchers = new Map<string, Running>()
  /** Partitions that follow a leader whose address is not known yet. */
  readonly #waiting = new Map<string, Partition>()
  readonly #followed = new Map<string, Partition>()
  /** For each broker that is followed. */
  #fetcherCount: number
  #isClosed = false

  constructor(options: FetcherPoolOptions) {
    this.#options = options
    this.#fetcherCount = options.config.numReplicaFetchers
  }

  /** `num.replica.fetchers` has changed: partitions are spread anew. */
  resize(fetcherCount: number): void {
    if (fetcherCount === this.#fetcherCount) return
    this.#fetcherCount = fetcherCount
    for (const [key, partition] of new Map(this.#followed)) this.follow(key, partition)
    this.closeIdle()
  }

  /** Follows the partition's present leader in its present epoch. */
  follow(key: string, partition: Partition): void {
    this.remove(key)
    if (this.#isClosed || partition.leader < 0) return
    const address = this.#options.metadata.aliveBroker(partition.leader)
    if (address === null) {
      this.#waiting.set(key, partition)
      return
    }
    this.#followed.set(key, partition)
    this.#fetcherFor(address, fetcherIdOf(partition, this.#fetcherCount)).add(key, partition)
  }

  remove(key: string): void {
    this.#waiting.delete(key)
    if (!this.#followed.delete(key)) return
    for (const { fetcher } of this.#fetchers.values()) fetcher.remove(key)
  }

  /** Leaders may have become known, or come back at another address. */
  refresh(): void {
    for (const [id, { fetcher, address }] of this.#fetchers) {
      const now = this.#options.metadata.aliveBroker(address.id)
      if (now === null || (now.host === address.host && now.port === address.port)) continue
      this.#fetchers.delete(id)
      const moved = [...this.#followed].filter(([key]) => fetcher.follows(key))
      fetcher.close()
      for (const [key, partition] of moved) this.follow(key, partition)
    }
    for (const [key, partition] of this.#waiting)
      if (this.#options.metadata.aliveBroker(partition.leader) !== null) this.follow(key, partition)
  }

  closeIdle(): void {
    for (const [id, { fetcher }] of this.#fetchers)
      if (fetcher.size === 0) {
        this.#fetchers.delete(id)
        fetcher.close()
      }
  }

  close(): void {
    this.#isClosed = true
    for (const { fetcher } of this.#fetchers.values()) fetcher.close()
    this.#fetchers.clear()
    this.#waiting.clear()
    this.#followed.clear()
  }

  #fetcherFor(address: BrokerEndpoint, fetcherId: number): ReplicaFetcher {
    const id = `${address.id}/${fetcherId}`
    const running = this.#fetchers.get(id)
    if (running !== undefined) return running.fetcher
    const endpoint = this.#options.leaders.endpoint(address, fetcherId)
    const fetcher = new ReplicaFetcher({ ...this.#options, leaderId: address.id, endpoint })
    this.#fetchers.set(id, { fetcher, address })
    return fetcher
  }
}

/** As Kafka spreads partitions: 31 times Java's hash of the topic, plus the partition. */
function fetcherIdOf({ topic, partition }: Partition, fetchers: number): number {
  let hash = 0
  for (let index = 0; index < topic.length; index++) hash = (Math.imul(31, hash) + topic.charCodeAt(index)) | 0
  const mixed = (Math.imul(31, hash) + partition) | 0
  return mixed === -(2 ** 31) ? 0 : Math.abs(mixed) % fetchers
}
