/** For tests: brokers that run nothing but the controller's code, on a ZooKeeper in memory, and note what they are told. */
import { silentLogger, type Clock, type Random, type Timer } from '#platform'
import { ErrorCode, type Api } from '#protocol'
import type { LeaderAndIsrRequest } from '#protocol/messages/leader-and-isr'
import type { StopReplicaRequest } from '#protocol/messages/stop-replica'
import type { UpdateMetadataRequest } from '#protocol/messages/update-metadata'
import { MetadataImage, applyUpdateMetadata } from '#metadata'
import {
  PERSISTENT_PATHS,
  ZnodePath,
  decodePartitionState,
  encodeBroker,
  encodeTopic,
  type BrokerRegistration,
  type PartitionState,
} from '#metadata/znodes'
import { RetryingZooKeeper } from '#zookeeper/client'

import { Controller } from './controller.ts'
import { FakeEnsemble, type FakeZooKeeper } from './fake-zookeeper.ts'
import type { ControllerConfig } from './ports.ts'

const LISTENER = 'PLAINTEXT'

/** One line per request that a broker got, e.g. `LeaderAndIsr T-0 leader=1 epoch=0 isr=1,2 new`. */
export class FakeBroker {
  readonly id: number
  readonly zk: FakeZooKeeper
  readonly retrying: RetryingZooKeeper
  readonly controller: Controller
  epoch = -1
  metadata = MetadataImage.empty
  /** Highest controller epoch heard: requests with a lower one are refused. */
  controllerEpoch = 0
  received: string[] = []
  /** Replicas that the broker cannot open: LeaderAndIsr answers KAFKA_STORAGE_ERROR. */
  readonly brokenReplicas = new Set<string>()
  /** Deletions fail. */
  refusesDeletion = false
  /** Requests are not answered. */
  hanging = false
  readonly #cluster: FakeCluster

  constructor(cluster: FakeCluster, id: number, config: Partial<ControllerConfig>) {
    this.#cluster = cluster
    this.id = id
    this.zk = cluster.ensemble.connect()
    this.retrying = new RetryingZooKeeper(this.zk)
    const platform = { clock: cluster.clock, random: cluster.random, logger: silentLogger }
    this.controller = new Controller(
      platform,
      this.retrying,
      {
        brokerId: id,
        interBrokerListenerName: LISTENER,
        autoLeaderRebalanceEnable: false,
        leaderImbalanceCheckIntervalSeconds: 300,
        leaderImbalancePerBrokerPercentage: 10,
        uncleanLeaderElectionEnable: false,
        deleteTopicEnable: true,
        ...config,
      },
      {
        controlChannel: ({ brokerId, brokerEpoch }) => ({
          send: (api, version, request) => cluster.deliver(brokerId, brokerEpoch, api, version, request),
          close() {},
        }),
      },
    )
  }

  async register(rack: string | null = null): Promise<void> {
    const registration: BrokerRegistration = {
      id: this.id,
      endpoints: [{ listenerName: LISTENER, securityProtocol: 'PLAINTEXT', host: `host${this.id}`, port: 9092 }],
      rack,
      jmxPort: -1,
      features: {},
    }
    const stat = await this.retrying.createEphemeral(ZnodePath.broker(this.id), encodeBroker(registration, 0))
    this.epoch = Number(stat.czxid)
  }

  /** What was received since the last call. */
  take(): string[] {
    return this.received.splice(0)
  }

  receive<RequestOut, ResponseOut>(name: string, request: RequestOut): ResponseOut {
    const answer = this.#answer(name, request)
    return answer as ResponseOut
  }

  #answer(name: string, request: unknown): unknown {
    const { controllerEpoch } = request as { controllerEpoch: number }
    const isStale = controllerEpoch < this.controllerEpoch
    const errorCode = isStale ? ErrorCode.STALE_CONTROLLER_EPOCH : ErrorCode.NONE
    if (isStale) this.received.push(`${name} refused: controller epoch ${controllerEpoch} is stale`)
    else this.controllerEpoch = controllerEpoch
    switch (name) {
      case 'LeaderAndIsr':
        return {
          errorCode,
          partitionErrors: [],
          topics: isStale ? [] : this.#onLeaderAndIsr(request as LeaderAndIsrRequest),
        }
      case 'UpdateMetadata':
        if (!isStale) this.#onUpdateMetadata(request as UpdateMetadataRequest)
        return { errorCode }
      default:
        return { errorCode, partitionErrors: isStale ? [] : this.#onStopReplica(request as StopReplicaRequest) }
    }
  }

  #onLeaderAndIsr(request: LeaderAndIsrRequest) {
    return request.topicStates.map(({ topicName, topicId, partitionStates }) => ({
      topicId,
      partitionErrors: partitionStates.map((state) => {
        const name = `${topicName}-${state.partitionIndex}`
        this.received.push(
          `LeaderAndIsr ${name} leader=${state.leader} epoch=${state.leaderEpoch} isr=${state.isr.join()}` +
            (state.isNew ? ' new' : ''),
        )
        const errorCode = this.brokenReplicas.has(name) ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE
        return { topicName: '', partitionIndex: state.partitionIndex, errorCode }
      }),
    }))
  }

  #onUpdateMetadata(request: UpdateMetadataRequest): void {
    this.metadata = applyUpdateMetadata(this.metadata, request).image
    const partitions = request.topicStates.flatMap(({ topicName, partitionStates }) =>
      partitionStates.map((state) => `${topicName}-${state.partitionIndex}=${state.leader}`),
    )
    const brokers = request.liveBrokers.map((broker) => broker.id).sort((a, b) => a - b)
    this.received.push(`UpdateMetadata brokers=${brokers.join()} ${partitions.join(' ')}`.trimEnd())
  }

  #onStopReplica(request: StopReplicaRequest) {
    return request.topicStates.flatMap(({ topicName, partitionStates }) =>
      partitionStates.map(({ partitionIndex, leaderEpoch, deletePartition }) => {
        const what = deletePartition ? 'delete' : 'stop'
        this.received.push(`StopReplica ${topicName}-${partitionIndex} ${what} epoch=${leaderEpoch}`)
        const fails = deletePartition && this.refusesDeletion
        return { topicName, partitionIndex, errorCode: fails ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE }
      }),
    )
  }

  get cluster(): FakeCluster {
    return this.#cluster
  }
}

export class FakeCluster {
  readonly ensemble = new FakeEnsemble()
  readonly clock = new FakeClock()
  readonly random: Random = countingRandom()
  readonly brokers = new Map<number, FakeBroker>()
  readonly #dead = new Set<number>()

  /** Brokers 1 to `count`, the first of them the controller. */
  static async start(count: number, config: Partial<ControllerConfig> = {}): Promise<FakeCluster> {
    const cluster = new FakeCluster()
    const zk = new RetryingZooKeeper(cluster.ensemble.connect())
    for (const path of PERSISTENT_PATHS) await zk.ensurePath(path)
    for (let id = 1; id <= count; id++) await cluster.join(id, config)
    await cluster.settle()
    for (const broker of cluster.brokers.values()) broker.take()
    return cluster
  }

  async join(id: number, config: Partial<ControllerConfig> = {}): Promise<FakeBroker> {
    const broker = new FakeBroker(this, id, config)
    this.brokers.set(id, broker)
    this.#dead.delete(id)
    await broker.register()
    broker.controller.start()
    await this.settle()
    return broker
  }

  broker(id: number): FakeBroker {
    return this.brokers.get(id)!
  }

  /** The broker whose controller is active; there is at most one that ZooKeeper knows. */
  get controller(): Controller {
    return [...this.brokers.values()].find((broker) => broker.controller.isActive)!.controller
  }

  /** The process is gone; ZooKeeper notices at once. */
  async kill(id: number): Promise<void> {
    const broker = this.broker(id)
    this.brokers.delete(id)
    this.#dead.add(id)
    broker.controller.close()
    this.ensemble.expire(broker.zk)
    await this.settle()
  }

  /** A restart so quick that the controller never sees the broker gone. */
  async bounce(id: number): Promise<void> {
    const broker = this.broker(id)
    this.ensemble.expire(broker.zk)
    broker.zk.renew()
    await broker.register()
    await this.settle()
  }

  async createTopic(name: string, assignment: readonly (readonly number[])[]): Promise<void> {
    const partitions = new Map(
      assignment.map((replicas, index) => [index, { replicas, addingReplicas: [], removingReplicas: [] }]),
    )
    const topicId = `${name}AAAAAAAAAAAAAAAAAAAAAA`.slice(0, 21) + 'A'
    const zk = new RetryingZooKeeper(this.ensemble.connect())
    await zk.create(ZnodePath.topic(name), encodeTopic({ topicId, partitions }))
    await this.settle()
  }

  state(topic: string, partition: number): PartitionState | null {
    const text = this.ensemble.text(ZnodePath.partitionState(topic, partition))
    return text === null ? null : decodePartitionState(new TextEncoder().encode(text))
  }

  /** `leader/epoch/isr` as ZooKeeper has it. */
  stateText(topic: string, partition: number): string {
    const state = this.state(topic, partition)
    return state === null ? 'none' : `${state.leader}/${state.leaderEpoch}/${state.isr.join()}`
  }

  /** Every request goes through bytes, so that it is one that can be sent. */
  async deliver<RequestOut, RequestIn, ResponseOut, ResponseIn>(
    brokerId: number,
    brokerEpoch: number,
    api: Api<RequestOut, RequestIn, ResponseOut, ResponseIn>,
    version: number,
    request: RequestIn,
  ): Promise<ResponseOut> {
    const broker = this.brokers.get(brokerId)
    await Promise.resolve()
    if (broker?.hanging === true) return await new Promise(() => {})
    if (broker === undefined || this.#dead.has(brokerId) || broker.epoch > brokerEpoch)
      throw new Error(`broker ${brokerId} is not there`)
    const decoded = api.request.decodeWhole(api.request.encodeToBytes(request, version), version)
    return broker.receive<RequestOut, ResponseOut>(api.name, decoded)
  }

  /** Until nothing happens any more without time passing. */
  async settle(): Promise<void> {
    for (let round = 0; round < 200; round++) {
      await Promise.resolve()
      for (const broker of this.brokers.values()) await broker.controller.idle()
    }
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.settle()
  }
}

class FakeClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<{ atMs: number; fire: (lateMs: number) => void }>()

  now(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  setTimer(delayMs: number, fire: (lateMs: number) => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, fire }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  endOfTurn(run: () => void): void {
    void Promise.resolve().then(run)
  }

  nextTurn(run: () => void): void {
    void Promise.resolve().then(run)
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const timer of [...this.#timers].sort((a, b) => a.atMs - b.atMs)) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue
      timer.fire(0)
    }
  }
}

/** 0, 1, 2, … each within its bound. */
function countingRandom(): Random {
  let count = 0
  return {
    next: () => 0.5,
    below: (bound) => count++ % bound,
    bytes: (length) => Uint8Array.from({ length }, () => count++ & 0xff),
  }
}
