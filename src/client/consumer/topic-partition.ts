import { KafkaError, checkTopicName, described } from '../errors.ts'

/** One partition of a topic, by name. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** For callers without types. Throws `KafkaError`. */
export function checkPartitions(partitions: readonly TopicPartition[]): void {
  if (!Array.isArray(partitions))
    throw new KafkaError(`partitions are a list of { topic, partition }, and not ${described(partitions)}`)
  for (const each of partitions as readonly (TopicPartition | null | undefined)[]) {
    checkTopicName(each?.topic)
    if (!Number.isInteger(each?.partition) || each.partition < 0)
      throw new KafkaError(`a partition is a whole number from 0 on, and not ${described(each?.partition)}`)
  }
}

/** As a key of maps and as people write it. A partition's number has no dash, so that the last one parts the two. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

/** By topic, as Java orders strings, then by number. */
export function compareTopicPartitions(a: TopicPartition, b: TopicPartition): number {
  return compareNames(a.topic, b.topic) || a.partition - b.partition
}

/** By UTF-16 units, as `String.compareTo` does. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Partitions by topic, as most requests want them; topics in the order of their first partition. */
export function byTopic<T extends TopicPartition>(partitions: Iterable<T>): Map<string, T[]> {
  const topics = new Map<string, T[]>()
  for (const partition of partitions) {
    const list = topics.get(partition.topic)
    if (list === undefined) topics.set(partition.topic, [partition])
    else list.push(partition)
  }
  return topics
}
