/**
 * Three brokers' replica managers, each in a simulated process with a disk of its own, joined by calls instead of
 * sockets, under a controller of a few lines.
 */
import assert from 'node:assert/strict'

import { ByteReader, ByteWriter } from '#base'
import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'
import { AlterPartition, type AlterPartitionResponse } from '#protocol/messages/alter-partition'
import { Fetch } from '#protocol/messages/fetch'
import type { LeaderAndIsrRequest } from '#protocol/messages/leader-and-isr'
import type { ListOffsetsResponse } from '#protocol/messages/list-offsets'
import type { StopReplicaResponse } from '#protocol/messages/stop-replica'
import { RecordBatchBuilder, batchesOf } from '#protocol/records'
import { LogManager, logConfig, type LogConfig } from '#storage'

import type { Faults } from './faults.ts'
import type { LeaderEndpoint } from './ports.ts'
import { ReplicaManager } from './replica-manager.ts'
import { DEFAULT_REPLICATION_CONFIG, type ReplicationConfig } from './replication-config.ts'
import type { AppendResult } from './requests.ts'

/** The part of the simulated world that is needed here; only tests may import it. */
export interface TestWorld {
  process(name: string): {
    readonly isRunning: boolean
    start(program: (platform: Platform) => Promise<void>): void
    crash(): void
    powerFail(): void
  }
  /** What went wrong unseen. */
  readonly findings: readonly unknown[]
  run(ms: number): Promise<unknown>
  runUntil(holds: () => boolean, limitMs: number): Promise<boolean>
}

export const TOPIC = 't'
export const TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw'
const FETCH_VERSION = 17
const QUICK = { ...DEFAULT_REPLICATION_CONFIG, replicaLagTimeMaxMs: 2000, replicaFetchBackoffMs: 100 }

class TestBroker {
  readonly id: number
  manager: ReplicaManager | null = null
  logs: LogManager | null = null
  epoch = 0
  /** Fetches of others from this broker fail, and its own from others. */
  isCutOff = false
  constructor(id: number) {
    this.id = id
  }
}

export interface TestClusterOptions {
  readonly faults?: Partial<Faults>
  readonly config?: Partial<ReplicationConfig>
  readonly log?: Partial<LogConfig>
  readonly directories?: readonly string[]
}

export class TestCluster {
  readonly world: TestWorld
  readonly brokers = [1, 2, 3].map((id) => new TestBroker(id))
  readonly state = { leader: 1, leaderEpoch: 0, isr: [1, 2, 3], partitionEpoch: 0 }
  controllerEpoch = 1
  alterations = 0
  /** What the controller answers to AlterPartition instead of carrying it out. */
  alterError: number = ErrorCode.NONE
  readonly #faults: Partial<Faults>
  readonly #config: ReplicationConfig
  readonly #logConfig: LogConfig
  readonly #directories: readonly string[]

  constructor(
    world: TestWorld,
    { faults = {}, config = {}, log = {}, directories = ['/data'] }: TestClusterOptions = {},
  ) {
    this.world = world
    this.#faults = faults
    this.#config = { ...QUICK, ...config }
    this.#logConfig = logConfig(log)
    this.#directories = directories
  }

  static async started(world: TestWorld, options?: TestClusterOptions): Promise<TestCluster> {
    const cluster = new TestCluster(world, options)
    for (const { id } of cluster.brokers) await cluster.start(id)
    cluster.announce()
    await cluster.world.run(100)
    return cluster
  }

  broker(id: number): TestBroker {
    return this.brokers[id - 1]!
  }

  manager(id: number): ReplicaManager {
    return this.broker(id).manager!
  }

  isAlive(id: number): boolean {
    return this.world.process(`b${id}`).isRunning && this.broker(id).manager !== null
  }

  async start(id: number): Promise<void> {
    const broker = this.broker(id)
    broker.epoch += 1
    this.world.process(`b${id}`).start(async (platform) => {
      const topicConfig = (): LogConfig => this.#logConfig
      const logs = await LogManager.open({ platform, directories: this.#directories, topicConfig })
      broker.logs = logs
      broker.manager = new ReplicaManager({
        platform,
        brokerId: id,
        config: this.#config,
        logs,
        topicConfigs: { of: topicConfig },
        metadata: {
          aliveBroker: (other) => (this.isAlive(other) ? { id: other, host: `b${other}`, port: 1 } : null),
          rackOf: (other) => (this.isAlive(other) ? `rack-${other}` : null),
          hasPartition: (topic, partition) => topic === TOPIC && partition === 0,
        },
        leaders: { endpoint: (leader) => this.#endpoint(broker, this.broker(leader.id)) },
        alterPartitions: { send: (request) => this.#alterPartition(id, throughWire(AlterPartition, 3, request)) },
        isInternalTopic: () => false,
        brokerEpoch: () => broker.epoch,
        faults: this.#faults,
      })
      broker.manager.start()
    })
    assert.ok(await this.world.runUntil(() => broker.manager !== null, 10_000))
  }

  crash(id: number, powerFails = false): void {
    this.broker(id).manager = null
    const process = this.world.process(`b${id}`)
    if (powerFails) process.powerFail()
    else process.crash()
  }

  /** LeaderAndIsr with the present state to every broker that lives. */
  announce(to: readonly number[] = [1, 2, 3]): void {
    for (const id of to) if (this.isAlive(id)) this.manager(id).becomeLeaderOrFollower(this.leaderAndIsr(id))
    for (const id of to) if (this.isAlive(id)) this.manager(id).metadataChanged()
  }

  leaderAndIsr(receiver: number): LeaderAndIsrRequest {
    const { leader, leaderEpoch, isr, partitionEpoch } = this.state
    return {
      controllerId: 0,
      isKRaftController: false,
      controllerEpoch: this.controllerEpoch,
      brokerEpoch: this.broker(receiver).epoch,
      type: 0,
      ungroupedPartitionStates: [],
      liveLeaders: [],
      topicStates: [
        {
          topicName: TOPIC,
          topicId: TOPIC_ID,
          partitionStates: [
            {
              topicName: TOPIC,
              partitionIndex: 0,
              controllerEpoch: this.controllerEpoch,
              leader,
              leaderEpoch,
              isr: [...isr],
              partitionEpoch,
              replicas: [1, 2, 3],
              addingReplicas: [],
              removingReplicas: [],
              isNew: false,
              leaderRecoveryState: 0,
            },
          ],
        },
      ],
    }
  }

  /** StopReplica to a broker. */
  stopReplica(id: number, { deletes }: { deletes: boolean }): StopReplicaResponse {
    const partitionStates = [{ partitionIndex: 0, leaderEpoch: this.state.leaderEpoch, deletePartition: deletes }]
    return this.manager(id).stopReplicas({
      ...this.leaderAndIsr(id),
      deletePartitions: false,
      ungroupedPartitions: [],
      topics: [],
      topicStates: [{ topicName: TOPIC, partitionStates }],
    })
  }

  /** A new leader; dead ones leave the ISR. */
  elect(leader: number, isr = this.state.isr.filter((id) => this.isAlive(id))): void {
    Object.assign(this.state, {
      leader,
      isr,
      leaderEpoch: this.state.leaderEpoch + 1,
      partitionEpoch: this.state.partitionEpoch + 1,
    })
    this.announce()
  }

  async #alterPartition(
    from: number,
    request: ReturnType<typeof throughWire<typeof AlterPartition>>,
  ): Promise<AlterPartitionResponse> {
    if (this.broker(from).isCutOff) throw new Error('cut off')
    await Promise.resolve()
    this.alterations += 1
    const wanted = request.topics[0]!.partitions[0]!
    let errorCode = this.alterError
    if (errorCode === ErrorCode.NONE && wanted.leaderEpoch < this.state.leaderEpoch)
      errorCode = ErrorCode.FENCED_LEADER_EPOCH
    if (errorCode === ErrorCode.NONE && wanted.partitionEpoch !== this.state.partitionEpoch)
      errorCode = ErrorCode.INVALID_UPDATE_VERSION
    if (errorCode === ErrorCode.NONE) {
      this.state.isr = wanted.newIsrWithEpochs.map(({ brokerId }) => brokerId).sort(byId)
      this.state.partitionEpoch += 1
    }
    const { leader, leaderEpoch, isr, partitionEpoch } = this.state
    const partition = {
      partitionIndex: 0,
      errorCode,
      leaderId: leader,
      leaderEpoch,
      isr: [...isr],
      leaderRecoveryState: 0,
      partitionEpoch,
    }
    return { throttleTimeMs: 0, errorCode: 0, topics: [{ topicName: '', topicId: TOPIC_ID, partitions: [partition] }] }
  }

  #endpoint(own: TestBroker, leader: TestBroker): LeaderEndpoint {
    const reach = async (): Promise<ReplicaManager> => {
      await Promise.resolve()
      if (own.isCutOff || leader.isCutOff || !this.isAlive(leader.id))
        throw new Error(`broker ${leader.id} cannot be reached`)
      return leader.manager!
    }
    return {
      fetch: async (input) => {
        const manager = await reach()
        const request = throughWire(Fetch, FETCH_VERSION, input)
        const fetched = manager.fetch({
          replicaId: request.replicaState.replicaId,
          replicaEpoch: request.replicaState.replicaEpoch,
          maxWaitMs: request.maxWaitMs,
          minBytes: request.minBytes,
          maxBytes: request.maxBytes,
          isolation: 'logEnd',
          mayReadFromFollower: false,
          rackId: '',
          partitions: request.topics.flatMap(({ topicId, partitions }) =>
            partitions.map((partition) => ({
              ...partition,
              topic: TOPIC,
              topicId,
              maxBytes: partition.partitionMaxBytes,
            })),
          ),
        })
        const result = fetched instanceof Promise ? await fetched : fetched
        const answers = result.partitions.map((answer) => ({
          partitionIndex: answer.partition,
          errorCode: answer.errorCode,
          highWatermark: answer.highWatermark,
          lastStableOffset: answer.lastStableOffset,
          logStartOffset: answer.logStartOffset,
          abortedTransactions: null,
          preferredReadReplica: -1,
          records: answer.records.slice(),
          ...(answer.divergingEpoch === null ? {} : { divergingEpoch: answer.divergingEpoch }),
        }))
        result.release()
        const writer = new ByteWriter()
        Fetch.response.encode(writer, { responses: [{ topicId: TOPIC_ID, partitions: answers }] }, FETCH_VERSION)
        await reach()
        return Fetch.response.decode(new ByteReader(writer.toBytes()), FETCH_VERSION)
      },
      listOffsets: async (request) => {
        const manager = await reach()
        const wanted = request.topics[0]!.partitions[0]!
        const [answer] = manager.listOffsets({
          replicaId: request.replicaId,
          isolation: 'logEnd',
          partitions: [
            {
              topic: TOPIC,
              partition: 0,
              currentLeaderEpoch: wanted.currentLeaderEpoch ?? -1,
              timestamp: wanted.timestamp,
            },
          ],
        })
        return {
          topics: [{ name: TOPIC, partitions: [{ partitionIndex: 0, ...answer }] }],
        } as unknown as ListOffsetsResponse
      },
      offsetForLeaderEpoch: () => Promise.reject(new Error('not asked')),
      close: () => {},
    }
  }

  /** Produces on a broker; resolves with the answer when it comes. */
  produce(
    on: number,
    options: {
      acks?: number
      value?: number
      records?: number
      timeoutMs?: number
      sequence?: number
      bytes?: number
    } = {},
  ): Promise<AppendResult> {
    const { acks = -1, value = 1, records = 1, timeoutMs = 1000, sequence, bytes = 1 } = options
    const builder = new RecordBatchBuilder(
      sequence === undefined ? {} : { producerId: 7, producerEpoch: 0, baseSequence: sequence },
    )
    for (let index = 0; index < records; index++)
      builder.append({ timestamp: 1_900_000_000_000, key: null, value: new Uint8Array(bytes).fill(value) })
    const entries = [{ topic: TOPIC, partition: 0, records: builder.build() }]
    const answer = this.manager(on).appendRecords({
      acks,
      timeoutMs,
      origin: 'client',
      internalTopicsAllowed: false,
      entries,
    })
    return Promise.resolve(answer).then(([result]) => result!)
  }

  /** Produces and lets the world go on until the answer has come. */
  async produced(on: number, options: Parameters<TestCluster['produce']>[1] = {}): Promise<AppendResult> {
    let result: AppendResult | null = null
    void this.produce(on, options).then((answer) => (result = answer))
    assert.ok(await this.world.runUntil(() => result !== null, 60_000))
    return result!
  }

  log(id: number) {
    return this.manager(id).partition(TOPIC, 0)!.log!
  }

  /** The values of all records on a broker, from its log. */
  async values(id: number): Promise<number[]> {
    const log = this.log(id)
    const values: number[] = []
    for (let offset = log.logStartOffset; offset < log.logEndOffset;) {
      const read = log.read({ offset, maxBytes: 100_000, upTo: log.logEndOffset, minOneBatch: true })
      if (read instanceof Promise) await this.world.run(100)
      const { records } = await read
      for (const batch of batchesOf(records)) {
        for (const record of batch.records()) values.push(record.value![0]!)
        offset = batch.nextOffset
      }
    }
    return values
  }

  isr(): number[] {
    return [...this.state.isr].sort(byId)
  }
}

export function byId(a: number, b: number): number {
  return a - b
}

/** What comes out at the other end: proves that what the room sends can be sent. */
function throughWire<
  A extends {
    request: { encode(w: ByteWriter, m: never, v: number): void; decode(r: ByteReader, v: number): unknown }
  },
>(api: A, version: number, message: unknown): ReturnType<A['request']['decode']> {
  const writer = new ByteWriter()
  api.request.encode(writer, message as never, version)
  return api.request.decode(new ByteReader(writer.toBytes()), version) as ReturnType<A['request']['decode']>
}
