/**
 * Limits and use of quotas, summed over each part of the tree. Read from the znodes below `/zookeeper/quota` when they are asked for.
 * Source: QuotaMetricsUtils.
 */
import { LIMITS_NAME, QUOTA_PATH, QuotaText, STATS_NAME, type Znode, type ZnodeTree } from '#zookeeper/tree'

export interface QuotaGauge {
  readonly name: string
  /** By the first name of the paths. */
  readonly values: ReadonlyMap<string, number>
}

/** Their sum; a hard limit stands before the soft one. */
const GAUGES: readonly (readonly [name: string, leaf: string, figure: (text: QuotaText) => number])[] = [
  [
    'quota_count_limit_per_namespace',
    LIMITS_NAME,
    ({ count, countHardLimit }) => (countHardLimit > -1 ? countHardLimit : count),
  ],
  [
    'quota_bytes_limit_per_namespace',
    LIMITS_NAME,
    ({ bytes, byteHardLimit }) => (byteHardLimit > -1 ? byteHardLimit : bytes),
  ],
  ['quota_count_usage_per_namespace', STATS_NAME, ({ count }) => count],
  ['quota_bytes_usage_per_namespace', STATS_NAME, ({ bytes }) => bytes],
]

export function quotaGauges(tree: ZnodeTree): QuotaGauge[] {
  const sums = GAUGES.map(() => new Map<string, number>())
  for (const [namespace, folder] of tree.find(QUOTA_PATH)?.children ?? [])
    for (const [leaf, text] of textsIn(folder))
      for (const [index, [, wanted, figure]] of GAUGES.entries())
        if (leaf === wanted) sums[index]!.set(namespace, (sums[index]!.get(namespace) ?? 0) + figure(text))
  return GAUGES.map(([name], index) => ({ name, values: sums[index]! }))
}

function* textsIn(folder: Znode): Generator<[leaf: string, text: QuotaText]> {
  for (const [name, child] of folder.children ?? []) {
    if (name === LIMITS_NAME || name === STATS_NAME) yield [name, QuotaText.parse(child.data)]
    else yield* textsIn(child)
  }
}
