export interface Place {
  readonly topic: string
  readonly partition: number
}

/** Many partitions in few characters: `orders:0-3,5 payments:1`. Pure. */
export function formatRanges(partitions: readonly Place[]): string {
  const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
  return Array.from(byTopic, ([topic, list]) => `${topic}:${runsOf(list.map(({ partition }) => partition))}`)
    .sort()
    .join(' ')
}

function runsOf(numbers: readonly number[]): string {
  const runs: { first: number; last: number }[] = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run !== undefined && number === run.last + 1) run.last = number
    else runs.push({ first: number, last: number })
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}
