/**
 * What the active controller reads and writes in ZooKeeper. Every write is a multi that first checks the version of
 * /controller_epoch: once another controller has been elected, nothing that this one still does takes effect
 * (KAFKA-6082). It is answered by `ControllerMovedError`.
 */
import { assert, equalBytes } from '#base'
import type { Logger } from '#platform'
import {
  ZkMultiError,
  isZkError,
  type MultiStep,
  type MultiStepResult,
  type RetryingZooKeeper,
  type Watcher,
} from '#zookeeper/client'
import {
  ZnodeFormatError,
  ZnodePath,
  decodeBroker,
  decodeConfig,
  decodeFeatures,
  decodePartitionState,
  decodeTopic,
  encodeFeatures,
  encodePartitionState,
  encodeTopic,
  type BrokerRegistration,
  type ConfigMap,
  type PartitionState,
  type TopicAssignment,
} from '#metadata/znodes'

import { ControllerMovedError, type ElectedEpoch } from './elector.ts'
import type { ControlledPartition, ControlledTopic, Leadership } from './context.ts'

export interface FirstState {
  readonly partition: ControlledPartition
  readonly state: PartitionState
}

export interface StateWrite extends FirstState {
  /** What the write replaces: it takes effect only on this version. */
  readonly partitionEpoch: number
}

/** `conflict`: somebody else wrote meanwhile; `failed`: ZooKeeper refused for another reason. */
export type StateWriteResult =
  | { readonly kind: 'written'; readonly leadership: Leadership }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'failed'; readonly reason: string }

/** A state's write takes 200 to 400 bytes: a multi stays far below ZooKeeper's limit of 1 MiB for a request. */
const WRITES_PER_MULTI = 100

export class ControllerStore {
  readonly zk: RetryingZooKeeper
  readonly #elected: ElectedEpoch
  readonly #logger: Logger

  constructor(zk: RetryingZooKeeper, elected: ElectedEpoch, logger: Logger) {
    this.zk = zk
    this.#elected = elected
    this.#logger = logger
  }

  /** All of the steps, or none; none when this controller has been replaced. */
  async fenced(steps: readonly MultiStep[]): Promise<MultiStepResult[]> {
    const check: MultiStep = { op: 'check', path: ZnodePath.controllerEpoch, version: this.#elected.zkVersion }
    try {
      const results = await this.zk.multi([check, ...steps])
      return results.slice(1)
    } catch (error) {
      if (error instanceof ZkMultiError && error.index === 0)
        throw new ControllerMovedError(`epoch ${this.#elected.epoch} is no longer the controller's`)
      throw error
    }
  }

  // ---- brokers ----

  /** Registered brokers with their epochs; one that vanishes while they are read is left out. */
  async readBrokers(watcher: Watcher): Promise<Map<number, { registration: BrokerRegistration; epoch: number }>> {
    const ids = await this.zk.childrenOf(ZnodePath.brokerIds, watcher)
    const read = await Promise.all(ids.map((id) => this.readBroker(Number(id))))
    return new Map(read.filter((broker) => broker !== null).map((broker) => [broker.registration.id, broker]))
  }

  async readBroker(id: number, watcher?: Watcher): Promise<{ registration: BrokerRegistration; epoch: number } | null> {
    const found = await this.zk.find(ZnodePath.broker(id), watcher)
    if (found === null) return null
    const epoch = Number(found.stat.czxid)
    assert(Number.isSafeInteger(epoch), `the epoch of broker ${id} is beyond 2^53`)
    return this.#readable(() => ({ registration: decodeBroker(id, found.data), epoch }))
  }

  // ---- topics ----

  async readTopics(watcher: Watcher): Promise<readonly string[]> {
    return await this.zk.childrenOf(ZnodePath.topics, watcher)
  }

  /** Null when there is no such topic. */
  async readTopic(topic: string, watcher?: Watcher): Promise<TopicAssignment | null> {
    const found = await this.zk.find(ZnodePath.topic(topic), watcher)
    return found === null ? null : this.#readable(() => decodeTopic(topic, found.data))
  }

  async writeTopic(topic: ControlledTopic): Promise<void> {
    const data = encodeTopic({ topicId: topic.topicId, partitions: topic.assignments() })
    await this.fenced([{ op: 'setData', path: ZnodePath.topic(topic.name), data, version: -1 }])
  }

  /** A topic whose creator gave it no id gets this one. */
  async writeTopicId(topic: string, topicId: string, assignment: TopicAssignment): Promise<void> {
    const data = encodeTopic({ ...assignment, topicId })
    await this.fenced([{ op: 'setData', path: ZnodePath.topic(topic), data, version: -1 }])
  }

  /** Everything that ZooKeeper holds of a topic, the request for its deletion last. */
  async deleteTopic(topic: string): Promise<void> {
    const [root, config] = [ZnodePath.topic(topic), ZnodePath.config('topics', topic)]
    await this.#deleteChildren(root)
    // Together: the name is free afterwards, and a configuration that is there then belongs to the next topic.
    const hasConfig = (await this.zk.exists(config)) !== null
    const deletions: MultiStep[] = [root, ...(hasConfig ? [config] : [])].map((path) => ({
      op: 'delete',
      path,
      version: -1,
    }))
    try {
      await this.fenced(deletions)
    } catch (error) {
      if (!isZkError(error, 'NONODE')) throw error
      for (const path of [root, config]) await this.deleteFenced(path)
    }
    await this.deleteFenced(ZnodePath.deleteTopic(topic))
  }

  async #deleteChildren(path: string): Promise<void> {
    const children = await this.zk.childrenOf(path)
    await Promise.all(
      children.map(async (child) => {
        await this.#deleteChildren(`${path}/${child}`)
        await this.deleteFenced(`${path}/${child}`)
      }),
    )
  }

  /** That it is gone already is fine. */
  async deleteFenced(path: string): Promise<void> {
    try {
      await this.fenced([{ op: 'delete', path, version: -1 }])
    } catch (error) {
      if (!isZkError(error, 'NONODE')) throw error
    }
  }

  async topicConfig(topic: string): Promise<ConfigMap> {
    const found = await this.zk.find(ZnodePath.config('topics', topic))
    return this.#readable(() => decodeConfig(found?.data ?? null)) ?? {}
  }

  // ---- partition states ----

  /** Null when the partition has none yet. */
  async readState(partition: ControlledPartition): Promise<Leadership | null> {
    const found = await this.zk.find(ZnodePath.partitionState(partition.topic.name, partition.index))
    if (found === null) return null
    const state = this.#readable(() => decodePartitionState(found.data, `state of ${String(partition)}`))
    return state === null ? null : { ...state, partitionEpoch: found.stat.version }
  }

  /** The first states of partitions, with the znodes above them; results in the order of the writes. */
  async createStates(writes: readonly FirstState[]): Promise<StateWriteResult[]> {
    const topics = new Set(writes.map(({ partition }) => partition.topic.name))
    await Promise.all([...topics].map((topic) => this.#ensureFenced(ZnodePath.partitions(topic))))
    return await this.#inMultis(
      writes,
      ({ partition, state }) => {
        const { name } = partition.topic
        const path = ZnodePath.partitionState(name, partition.index)
        return [
          { op: 'create', path: ZnodePath.partition(name, partition.index), data: null },
          { op: 'create', path, data: encodePartitionState(state) },
        ]
      },
      async (write) => {
        const { name } = write.partition.topic
        await this.#ensureFenced(ZnodePath.partition(name, write.partition.index))
        const path = ZnodePath.partitionState(name, write.partition.index)
        return await this.#writeAlone(write, { op: 'create', path, data: encodePartitionState(write.state) })
      },
    )
  }

  /** Results in the order of the writes: each succeeds or fails by itself. */
  async writeStates(writes: readonly StateWrite[]): Promise<StateWriteResult[]> {
    const stepOf = ({ partition, state, partitionEpoch }: StateWrite): MultiStep => ({
      op: 'setData',
      path: ZnodePath.partitionState(partition.topic.name, partition.index),
      data: encodePartitionState(state),
      version: partitionEpoch,
    })
    return await this.#inMultis(
      writes,
      (write) => [stepOf(write)],
      (write) => this.#writeAlone(write, stepOf(write)),
    )
  }

  /**
   * Many writes share a multi, and so a round trip and a sync. A multi does all or nothing: where one of its writes is refused, they are
   * done again one by one.
   */
  async #inMultis<Write extends FirstState>(
    writes: readonly Write[],
    stepsOf: (write: Write) => MultiStep[],
    alone: (write: Write) => Promise<StateWriteResult>,
  ): Promise<StateWriteResult[]> {
    const groups: Write[][] = []
    for (let start = 0; start < writes.length; start += WRITES_PER_MULTI)
      groups.push(writes.slice(start, start + WRITES_PER_MULTI))
    const results = await Promise.all(
      groups.map(async (group) => {
        try {
          const done = await this.fenced(group.flatMap(stepsOf))
          const stepsEach = done.length / group.length
          return group.map((write, index) => written(write, done[(index + 1) * stepsEach - 1]))
        } catch (error) {
          if (!isZkError(error, 'BADVERSION', 'NODEEXISTS', 'NONODE')) throw error
          return await Promise.all(group.map(alone))
        }
      }),
    )
    return results.flat()
  }

  async #writeAlone(write: FirstState, step: MultiStep): Promise<StateWriteResult> {
    try {
      const [result] = await this.fenced([step])
      return written(write, result)
    } catch (error) {
      // The state that is there already may be one's own, its answer lost: who wrote reads again.
      if (isZkError(error, 'BADVERSION', 'NODEEXISTS')) return { kind: 'conflict' }
      if (isZkError(error, 'NONODE')) return { kind: 'failed', reason: error.message }
      throw error
    }
  }

  async #ensureFenced(path: string, data: Uint8Array | null = null): Promise<void> {
    try {
      await this.fenced([{ op: 'create', path, data }])
    } catch (error) {
      if (!isZkError(error, 'NODEEXISTS')) throw error
    }
  }

  // ---- features ----

  /** The finalized features: enabled, and none, since 3.9 has none without KRaft. */
  async enableFeatures(): Promise<void> {
    const found = await this.zk.find(ZnodePath.features)
    const before = this.#readable(() => (found === null ? null : decodeFeatures(found.data)))
    const after = encodeFeatures({ enabled: true, features: before?.enabled === true ? before.features : {} })
    if (found === null) await this.#ensureFenced(ZnodePath.features, after)
    else if (found.data === null || !equalBytes(found.data, after))
      await this.fenced([{ op: 'setData', path: ZnodePath.features, data: after, version: -1 }])
  }

  /** What others wrote and cannot be read is named, and treated as absent. */
  #readable<T>(decode: () => T): T | null {
    try {
      return decode()
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#logger.error(error.message)
      return null
    }
  }
}

function written({ state }: FirstState, result: MultiStepResult | undefined): StateWriteResult {
  return { kind: 'written', leadership: { ...state, partitionEpoch: result?.stat?.version ?? 0 } }
}
