import type { PartitionState, TopicAssignment } from '#metadata/znodes'

/** What ZooKeeper says. */
export interface ClusterTruth {
  readonly topics: ReadonlyMap<string, TopicAssignment>
  /** By partition. */
  readonly states: ReadonlyMap<string, PartitionState>
  readonly configuredTopics: readonly string[]
  readonly topicsToDelete: readonly string[]
  /** Paths of requests that wait for the controller. */
  readonly requests: readonly string[]
  readonly registered: readonly number[]
}

/** What one broker has and believes. */
export interface BrokerView {
  readonly id: number
  readonly isRunning: boolean
  readonly offlineDirectories: readonly string[]
  /** In its log directories. */
  readonly folders: readonly FolderView[]
  readonly replicas: readonly ReplicaView[]
}

export interface FolderView {
  readonly directory: string
  readonly name: string
}

export interface ReplicaView {
  readonly partition: string
  readonly topicId: string | null
  readonly leaderEpoch: number
  readonly isLeader: boolean
  readonly isr: readonly number[]
  readonly hasLog: boolean
  readonly logStartOffset: number
}

/**
 * What is not as it must be once nothing is under way any more: every reassignment is done or called off, what was deleted is
 * gone everywhere, replicas lie where they are assigned and nowhere else, all of them in sync, and the brokers know what ZooKeeper says.
 */
export function differences(truth: ClusterTruth, brokers: readonly BrokerView[]): string[] {
  return [
    ...truth.topicsToDelete.map((topic) => `${topic} is still to be deleted`),
    ...truth.requests.map((path) => `${path} is still there`),
    ...truth.configuredTopics
      .filter((topic) => !truth.topics.has(topic))
      .map((topic) => `the configuration of ${topic} is still there, and the topic is not`),
    ...brokers.flatMap((broker) => [...differencesOf(truth, broker)]),
    ...[...truth.topics].flatMap(([topic, assignment]) => [...differencesOfTopic(truth, brokers, topic, assignment)]),
  ]
}

function* differencesOf(truth: ClusterTruth, broker: BrokerView): Generator<string> {
  const who = `broker ${broker.id}`
  if (!broker.isRunning || !truth.registered.includes(broker.id)) yield `${who} is not there`
  for (const path of broker.offlineDirectories) yield `${who}: ${path} is offline`
  const seen = new Set<string>()
  for (const { directory, name } of broker.folders) {
    if (name.endsWith('-stray')) continue
    if (seen.has(name)) yield `${who}: ${name} lies in two directories`
    seen.add(name)
    if (!assignedTo(truth, name)?.includes(broker.id)) yield `${who}: ${directory}/${name} is nobody's`
  }
  for (const { partition } of broker.replicas)
    if (!assignedTo(truth, partition)?.includes(broker.id))
      yield `${who} has a replica of ${partition}, which is not assigned to it`
}

function assignedTo({ topics }: ClusterTruth, partition: string): readonly number[] | undefined {
  const dash = partition.lastIndexOf('-')
  return topics.get(partition.slice(0, dash))?.partitions.get(Number(partition.slice(dash + 1)))?.replicas
}

function* differencesOfTopic(
  { states }: ClusterTruth,
  brokers: readonly BrokerView[],
  topic: string,
  { topicId, partitions }: TopicAssignment,
): Generator<string> {
  for (const [index, { replicas, addingReplicas, removingReplicas }] of partitions) {
    const name = `${topic}-${index}`
    if (addingReplicas.length + removingReplicas.length > 0)
      yield `${name} is still being reassigned: ${replicas.join()}, adding ${addingReplicas.join()}, removing ${removingReplicas.join()}`
    const state = states.get(name)
    if (state === undefined) {
      yield `${name} has no state`
      continue
    }
    const { leader, leaderEpoch, isr } = state
    if (!sameMembers(isr, replicas)) yield `${name}: the ISR is ${isr.join()}, the replicas are ${replicas.join()}`
    const starts = new Map<number, number>()
    for (const id of replicas) {
      const replica = brokers.find((broker) => broker.id === id)?.replicas.find(({ partition }) => partition === name)
      const who = `${name} on broker ${id}`
      if (replica === undefined || !replica.hasLog) yield `${who} is not there`
      else if (replica.topicId !== topicId) yield `${who} is of topic id ${replica.topicId}, not ${topicId}`
      else if (replica.leaderEpoch !== leaderEpoch)
        yield `${who} has leader epoch ${replica.leaderEpoch}, not ${leaderEpoch}`
      else if (replica.isLeader !== (id === leader))
        yield `${who} ${replica.isLeader ? 'leads' : 'does not lead'}, the leader is ${leader}`
      else if (replica.isLeader && !sameMembers(replica.isr, isr))
        yield `${who} knows ISR ${replica.isr.join()}, which is ${isr.join()}`
      if (replica !== undefined) starts.set(id, replica.logStartOffset)
    }
    // A leader that died before the others heard of a new start comes back with the later one, and nobody goes back.
    const start = starts.get(leader) ?? -1
    for (const [id, other] of starts)
      if (other < start) yield `${name}: broker ${id} starts at ${other}, before its leader's ${start}`
  }
}

function sameMembers(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((member) => other.includes(member))
}
