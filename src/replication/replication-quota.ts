import type { Clock } from '#platform'

/** Over how long a rate is taken: `replication.quota.window.num` samples of `replication.quota.window.size.seconds`. */
export interface QuotaWindow {
  readonly samples: number
  readonly sampleMs: number
}

/**
 * How fast replicas are copied that are throttled, while they are not in sync (KIP-73). The rate is one over the last samples, the
 * one that is filling included. Source: ReplicationQuotaManager, Rate.
 */
export class ReplicationQuota {
  readonly #clock: Clock
  readonly #window: QuotaWindow
  /** Bytes by sample, the oldest first. */
  #samples: { readonly index: number; bytes: number }[] = []
  /** Bytes per second; `Infinity`: none. */
  limit = Infinity

  constructor(clock: Clock, window: QuotaWindow) {
    this.#clock = clock
    this.#window = window
  }

  record(bytes: number): void {
    if (this.limit === Infinity || bytes === 0) return
    const index = this.#dropOld()
    const last = this.#samples.at(-1)
    if (last?.index === index) last.bytes += bytes
    else this.#samples.push({ index, bytes })
  }

  get isExceeded(): boolean {
    if (this.limit === Infinity) return false
    this.#dropOld()
    let bytes = 0
    for (const sample of this.#samples) bytes += sample.bytes
    return (bytes * 1000) / this.#spanMs() > this.limit
  }

  /** Whole samples count even where they have just begun, so that a single burst right after the start is no rate yet. */
  #spanMs(): number {
    const { samples, sampleMs } = this.#window
    const first = this.#samples[0]
    const elapsedMs = first === undefined ? 0 : this.#clock.monotonic() - first.index * sampleMs
    return Math.max(elapsedMs, Math.max(1, samples - 1) * sampleMs)
  }

  /** Returns the index of the sample that is filling. */
  #dropOld(): number {
    const { samples, sampleMs } = this.#window
    const index = Math.floor(this.#clock.monotonic() / sampleMs)
    while (this.#samples.length > 0 && this.#samples[0]!.index <= index - samples) this.#samples.shift()
    return index
  }
}

/** Whether `leader.replication.throttled.replicas`, or the follower's, names the replica: `partition:broker`, or `*`. */
export function isThrottled(named: readonly string[], partition: number, brokerId: number): boolean {
  return named.length > 0 && (named.includes('*') || named.includes(`${partition}:${brokerId}`))
}
