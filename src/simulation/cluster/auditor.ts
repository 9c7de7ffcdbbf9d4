import {
  ZnodePath,
  decodePartitionState,
  decodeTopic,
  type PartitionState,
  type TopicAssignment,
} from '#metadata/znodes'
import { sleep, type Platform } from '#platform'
import { ZooKeeperClient, isZkError } from '#zookeeper/client'

import { differences, type BrokerView, type ClusterTruth, type FolderView } from '../checker/cluster-checks.ts'
import type { World } from '../world.ts'
import type { BrokerMachine, SimulatedCluster } from './cluster.ts'

/** How often it is looked whether everything has settled, ms. */
const EVERY_MS = 500

/**
 * Compares, after the last fault, what ZooKeeper says with what lies on the brokers' disks and what the brokers believe, until there is
 * no difference.
 */
export class Auditor {
  readonly #world: World
  readonly #cluster: SimulatedCluster
  #differences: readonly string[] = ['nobody has looked yet']
  #isDone = false

  constructor(world: World, cluster: SimulatedCluster) {
    this.#world = world
    this.#cluster = cluster
  }

  /** What is still different after that time. */
  async settle(timeoutMs: number): Promise<readonly string[]> {
    this.#world.process('auditor').start((platform) => this.#run(platform))
    await this.#world.runUntil(() => this.#isDone, timeoutMs, 100)
    this.#isDone = true
    return this.#differences
  }

  async #run(platform: Platform): Promise<void> {
    const connect = this.#cluster.zookeeperAddress
    const zk = await ZooKeeperClient.connect(platform, { connect, sessionTimeoutMs: 30_000 })
    // Only what two looks in a row find is a state, and no passage.
    let before: readonly string[] = []
    while (!this.#isDone) {
      this.#differences = differences(await read(zk), this.#cluster.brokers.map(viewOf))
      if (this.#differences.length === 0 && before.length === 0) this.#isDone = true
      before = this.#differences
      await sleep(platform.clock, EVERY_MS)
    }
    await new Promise(() => {})
  }
}

async function read({ retrying: zk }: ZooKeeperClient): Promise<ClusterTruth> {
  const topics = new Map<string, TopicAssignment>()
  const states = new Map<string, PartitionState>()
  for (const name of await zk.childrenOf(ZnodePath.topics)) {
    const found = await zk.find(ZnodePath.topic(name))
    if (found === null) continue
    const topic = decodeTopic(name, found.data)
    topics.set(name, topic)
    for (const partition of topic.partitions.keys()) {
      const state = await zk.find(ZnodePath.partitionState(name, partition))
      if (state !== null) states.set(`${name}-${partition}`, decodePartitionState(state.data))
    }
  }
  return {
    topics,
    states,
    configuredTopics: await zk.childrenOf(ZnodePath.configType('topics')),
    topicsToDelete: await zk.childrenOf(ZnodePath.deleteTopics),
    requests: await present(zk, [ZnodePath.reassignPartitions, ZnodePath.preferredReplicaElection]),
    registered: (await zk.childrenOf(ZnodePath.brokerIds)).map(Number),
  }
}

async function present(zk: ZooKeeperClient['retrying'], paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) {
    try {
      if ((await zk.exists(path)) !== null) found.push(path)
    } catch (error) {
      if (!isZkError(error, 'NONODE')) throw error
    }
  }
  return found
}

function viewOf({ id, broker, process, logDirectories }: BrokerMachine): BrokerView {
  const replicas = broker === null ? [] : [...broker.services.replicas.partitions]
  return {
    id,
    isRunning: broker !== null && process.isRunning,
    offlineDirectories:
      broker?.services.logs.directories.filter(({ isOffline }) => isOffline).map(({ path }) => path) ?? [],
    folders: logDirectories.flatMap((directory): FolderView[] => {
      const node = process.disk.find(directory)
      if (node?.kind !== 'directory') return []
      return [...node.entries].filter(([, { kind }]) => kind === 'directory').map(([name]) => ({ directory, name }))
    }),
    replicas: replicas.map((replica) => ({
      partition: `${replica.topic}-${replica.partition}`,
      topicId: replica.topicId,
      leaderEpoch: replica.leaderEpoch,
      isLeader: replica.isLeader,
      isr: [...replica.isr],
      hasLog: replica.log !== null && !replica.log.isOffline,
      logStartOffset: replica.log?.logStartOffset ?? -1,
    })),
  }
}
