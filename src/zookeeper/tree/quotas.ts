/**
 * Quotas: how many znodes and bytes of data a subtree may hold, and how many it holds. Both are texts in znodes:
 *
 *     /zookeeper/quota/a/b/zookeeper_limits   count=10,bytes=5000=;byteHardLimit=6000;countHardLimit=12
 *     /zookeeper/quota/a/b/zookeeper_stats    count=3,bytes=120
 *
 * No transaction brings the statistics: every server counts by itself, and so in the same way. A znode counts for the nearest
 * quota above it, and for none further up; when a quota begins, and when a snapshot is read, the whole subtree is counted.
 * Source: Quotas, StatsTrack, PathTrie, DataTree.updateQuotaStat, ZooKeeperServer.checkQuota.
 */
import { decodeUtf8 } from '#base'

export const LIMITS_NAME = 'zookeeper_limits'
export const STATS_NAME = 'zookeeper_stats'
const QUOTA_ROOT = '/zookeeper/quota'

export function limitsPathOf(path: string): string {
  return `${QUOTA_ROOT}${path}/${LIMITS_NAME}`
}

export function statsPathOf(path: string): string {
  return `${QUOTA_ROOT}${path}/${STATS_NAME}`
}

/** The path that a folder below `/zookeeper/quota` is about; null for other folders, and for the root, which has no quota. */
export function quotaPathOf(folder: string): string | null {
  return folder.startsWith(`${QUOTA_ROOT}/`) ? folder.slice(QUOTA_ROOT.length) : null
}

/** A text of limits or statistics. */
export class QuotaText {
  readonly #values = new Map<string, number>()

  /** Null data, and what is no number, is as good as nothing: Apache's server dies of the latter. */
  static parse(data: Uint8Array | null): QuotaText {
    const parsed = new QuotaText()
    if (data === null || data.length === 0) return parsed
    for (const part of decodeUtf8(data, 0, data.length).split(/[,;]+/)) {
      const [key = '', text = ''] = part.split('=')
      if (/^[+-]?\d+$/.test(text)) parsed.#values.set(key, Number(text))
    }
    return parsed
  }

  static of(count: number, bytes: number): QuotaText {
    const made = new QuotaText()
    made.#values.set('count', count)
    made.#values.set('bytes', bytes)
    return made
  }

  /** -1: not there, which for a limit means none. */
  get count(): number {
    return this.#of('count')
  }

  get bytes(): number {
    return this.#of('bytes')
  }

  get countHardLimit(): number {
    return this.#of('countHardLimit')
  }

  get byteHardLimit(): number {
    return this.#of('byteHardLimit')
  }

  add(count: number, bytes: number): void {
    this.#values.set('count', this.count + count)
    this.#values.set('bytes', this.bytes + bytes)
  }

  /** `count` and `bytes` first, as servers before 3.7 read them; the second `=` makes those pass over what follows. */
  toString(): string {
    const others = Array.from(this.#values).filter(([key]) => key !== 'count' && key !== 'bytes')
    const first = `count=${this.count},bytes=${this.bytes}`
    if (others.length === 0) return first
    others.sort(([a], [b]) => (a < b ? -1 : 1))
    return `${first}=${others.map(([key, value]) => `;${key}=${value}`).join('')}`
  }

  encode(): Uint8Array {
    return new TextEncoder().encode(this.toString())
  }

  #of(key: string): number {
    return this.#values.get(key) ?? -1
  }
}

/** The paths that have a quota. */
export class QuotaPaths {
  readonly #paths = new Set<string>()

  get size(): number {
    return this.#paths.size
  }

  add(path: string): void {
    this.#paths.add(path)
  }

  delete(path: string): void {
    this.#paths.delete(path)
  }

  clear(): void {
    this.#paths.clear()
  }

  /** The nearest one at or above a path, or null. */
  over(path: string): string | null {
    if (this.#paths.size === 0) return null
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const prefix = path.slice(0, end)
      if (this.#paths.has(prefix)) return prefix
    }
    return null
  }
}

/** A limit that a change would go beyond. A hard one may refuse it; of a soft one only the log tells. */
export interface QuotaExceeded {
  /** The path that has the quota. */
  readonly path: string
  readonly hard: boolean
  readonly what: 'count' | 'bytes'
  /** What the subtree would hold. */
  readonly value: number
  readonly limit: number
}

/** The limits that a change goes beyond, the count before the bytes; where there is a hard limit, the soft one does not count. */
export function exceededBy(
  path: string,
  limits: QuotaText,
  stats: QuotaText,
  change: { readonly count: number; readonly bytes: number },
): QuotaExceeded[] {
  const found: QuotaExceeded[] = []
  const check = (what: QuotaExceeded['what'], value: number, soft: number, hardLimit: number): void => {
    const hard = hardLimit > -1
    const limit = hard ? hardLimit : soft
    if (limit > -1 && value > limit) found.push({ path, hard, what, value, limit })
  }
  if (change.count !== 0) check('count', stats.count + change.count, limits.count, limits.countHardLimit)
  if (change.bytes !== 0) check('bytes', stats.bytes + change.bytes, limits.bytes, limits.byteHardLimit)
  return found
}
