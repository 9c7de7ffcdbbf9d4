/**
 * Brokers for tests of time and order: three of them in a simulated world, with Metadata, InitProducerId and Produce as a leader
 * carries them out, sequences checked as a broker checks them, and a hook where a test bends the answers.
 */
import { sleep, type Platform } from '#platform'
import { ErrorCode, ZERO_UUID, type AnyApi } from '#protocol'
import { ApiVersions } from '#protocol/messages/api-versions'
import { InitProducerId, type InitProducerIdResponseInput } from '#protocol/messages/init-producer-id'
import { Metadata, type MetadataRequest, type MetadataResponseInput } from '#protocol/messages/metadata'
import { Produce, type ProduceRequest, type ProduceResponseInput } from '#protocol/messages/produce'
import { RecordBatchView, sequenceAfter } from '#protocol/records'
import { RpcServer, type Answer, type RpcHandler, type RpcRequest } from '#rpc'

const PORT = 9092
/** Of a producer, for telling repeated batches from new ones. */
const BATCHES_REMEMBERED = 5
const decoder = new TextDecoder()

interface AppendedBatch {
  readonly producerId: number
  readonly epoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
}

export interface FakePartition {
  leader: number
  leaderEpoch: number
  /** Values in the order in which they were appended. */
  readonly values: string[]
  readonly batches: AppendedBatch[]
  logStartOffset: number
}

/** One batch that arrives: what a hook sees of it. */
export interface Arrival {
  readonly atMs: number
  readonly broker: number
  readonly topic: string
  readonly partition: number
  readonly values: readonly string[]
  readonly baseSequence: number
  readonly producerEpoch: number
  readonly sizeInBytes: number
  /** Requests that came before, of all brokers. */
  readonly request: number
}

export interface Bent {
  /** Instead of an append. */
  readonly errorCode?: number
  /** The append happens, and the answer says this all the same. */
  readonly answerCode?: number
  readonly logStartOffset?: number
  /** Before the answer. */
  readonly delayMs?: number
  readonly recordErrors?: { batchIndex: number; batchIndexErrorMessage: string }[]
}

/** An API that a test serves besides. */
export interface FakeHandler {
  readonly api: AnyApi
  readonly maxVersion?: number
  readonly handle: (request: RpcRequest, broker: number, platform: Platform) => Answer<unknown>
}

export class FakeCluster {
  readonly brokerIds: readonly number[]
  readonly handlers: FakeHandler[] = []
  readonly topics = new Map<string, FakePartition[]>()
  readonly arrivals: Arrival[] = []
  /** Brokers that metadata leaves out. */
  readonly hidden = new Set<number>()
  requestCount = 0
  metadataCount = 0
  /** Bends what becomes of a batch; null: nothing. */
  onBatch: (arrival: Arrival) => Bent | null = () => null
  /** The answer to InitProducerId, if not the usual. */
  initErrorCode: number = ErrorCode.NONE
  #nextProducerId = 1000

  constructor(brokerIds: readonly number[] = [1, 2, 3]) {
    this.brokerIds = brokerIds
  }

  get bootstrapServers(): string {
    return this.brokerIds.map((id) => `${hostOf(id)}:${PORT}`).join(',')
  }

  createTopic(name: string, partitionCount: number): FakePartition[] {
    const partitions = Array.from({ length: partitionCount }, (_, index) => ({
      leader: this.brokerIds[index % this.brokerIds.length]!,
      leaderEpoch: 0,
      values: [],
      batches: [],
      logStartOffset: 0,
    }))
    this.topics.set(name, partitions)
    return partitions
  }

  /** The program of one broker. */
  async run(platform: Platform, id: number): Promise<void> {
    const handlers: RpcHandler[] = [
      handler(ApiVersions, () => ({
        errorCode: ErrorCode.NONE,
        apiKeys: handlers.map(({ api, minVersion, maxVersion }) => ({ apiKey: api.key, minVersion, maxVersion })),
      })),
      handler(Metadata, ({ message }) => this.#metadata(message as MetadataRequest)),
      handler(InitProducerId, () => this.#initProducerId()),
      handler(Produce, ({ message }) => this.#produce(platform, id, message as ProduceRequest)),
      ...this.handlers.map(({ api, maxVersion, handle }) =>
        handler(api, (request) => handle(request, id, platform), maxVersion),
      ),
    ]
    const server = new RpcServer(platform, handlers, LIMITS)
    await server.listen('PLAINTEXT', '0.0.0.0', PORT)
    server.open()
  }

  #metadata({ topics }: MetadataRequest): MetadataResponseInput {
    this.metadataCount += 1
    const names = topics?.map(({ name }) => name ?? '') ?? [...this.topics.keys()]
    return {
      brokers: this.brokerIds
        .filter((nodeId) => !this.hidden.has(nodeId))
        .map((nodeId) => ({ nodeId, host: hostOf(nodeId), port: PORT })),
      clusterId: 'fake',
      controllerId: this.brokerIds[0]!,
      topics: names.map((name) => this.#describe(name)),
    }
  }

  #describe(name: string): MetadataResponseInput['topics'][number] {
    const known = this.topics.get(name)
    const errorCode = known === undefined ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.NONE
    const partitions = (known ?? []).map(({ leader, leaderEpoch }, partitionIndex) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex,
      leaderId: leader,
      leaderEpoch,
      replicaNodes: [...this.brokerIds],
      isrNodes: [...this.brokerIds],
      offlineReplicas: [],
    }))
    return { errorCode, name, topicId: ZERO_UUID, isInternal: false, partitions }
  }

  #initProducerId(): InitProducerIdResponseInput {
    if (this.initErrorCode !== ErrorCode.NONE)
      return { throttleTimeMs: 0, errorCode: this.initErrorCode, producerId: -1, producerEpoch: -1 }
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, producerId: this.#nextProducerId++, producerEpoch: 0 }
  }

  #produce(platform: Platform, broker: number, request: ProduceRequest): Answer<ProduceResponseInput> {
    let delayMs = 0
    this.requestCount += 1
    const responses = request.topicData.map(({ name, partitionData }) => ({
      name,
      partitionResponses: partitionData.map(({ index, records }) => {
        const batch = new RecordBatchView(records!.slice())
        const arrival = this.#arrival(platform, broker, name, index, batch)
        const bent = this.onBatch(arrival)
        delayMs = Math.max(delayMs, bent?.delayMs ?? 0)
        return { index, ...this.#outcome(broker, arrival, batch, bent) }
      }),
    }))
    if (request.acks === 0) return null
    return delayMs === 0 ? { responses } : sleep(platform.clock, delayMs).then(() => ({ responses }))
  }

  #arrival(platform: Platform, broker: number, topic: string, partition: number, batch: RecordBatchView): Arrival {
    const arrival = {
      atMs: platform.clock.monotonic(),
      broker,
      topic,
      partition,
      values: Array.from(batch.records(), ({ value }) => decoder.decode(value ?? new Uint8Array())),
      baseSequence: batch.baseSequence,
      producerEpoch: batch.producerEpoch,
      sizeInBytes: batch.sizeInBytes,
      request: this.requestCount,
    }
    this.arrivals.push(arrival)
    return arrival
  }

  #outcome(broker: number, arrival: Arrival, batch: RecordBatchView, bent: Bent | null) {
    const partition = this.topics.get(arrival.topic)?.[arrival.partition]
    const refuse = (errorCode: number) => ({
      errorCode,
      baseOffset: -1,
      logStartOffset: bent?.logStartOffset ?? partition?.logStartOffset ?? -1,
      recordErrors: bent?.recordErrors ?? [],
    })
    if (bent?.errorCode !== undefined) return refuse(bent.errorCode)
    if (partition === undefined) return refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if (partition.leader !== broker) return refuse(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    const appended = append(partition, batch, arrival.values)
    if (typeof appended === 'number') return refuse(appended)
    const errorCode = bent?.answerCode ?? ErrorCode.NONE
    return { errorCode, baseOffset: errorCode === ErrorCode.NONE ? appended.baseOffset : -1, recordErrors: [] }
  }
}

/** As a leader does it: a batch is the producer's next one, or one that is there already, or it is refused. */
function append(partition: FakePartition, batch: RecordBatchView, values: readonly string[]): AppendedBatch | number {
  const { producerId, producerEpoch: epoch, baseSequence, lastSequence } = batch
  if (producerId >= 0) {
    const before = partition.batches.filter((other) => other.producerId === producerId)
    const last = before.at(-1)
    if (last !== undefined && epoch < last.epoch) return ErrorCode.INVALID_PRODUCER_EPOCH
    const twin = before
      .slice(-BATCHES_REMEMBERED)
      .find(
        (other) => other.epoch === epoch && other.baseSequence === baseSequence && other.lastSequence === lastSequence,
      )
    if (twin !== undefined) return twin
    const isNext =
      last === undefined ||
      (epoch > last.epoch ? baseSequence === 0 : baseSequence === sequenceAfter(last.lastSequence, 1))
    if (!isNext) return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
  }
  const appended = { producerId, epoch, baseSequence, lastSequence, baseOffset: partition.values.length }
  partition.batches.push(appended)
  partition.values.push(...values)
  return appended
}

export function hostOf(id: number): string {
  return `broker-${id}`
}

const LIMITS = {
  socketRequestMaxBytes: 100 << 20,
  maxConnections: 1000,
  maxConnectionsPerIp: 1000,
  maxConnectionsPerIpByAddress: new Map<string, number>(),
  queuedMaxRequests: 500,
  connectionsMaxIdleMs: -1,
}

function handler(
  api: AnyApi,
  handle: (request: RpcRequest) => Answer<unknown>,
  maxVersion = api.versions[1],
): RpcHandler {
  return { api, minVersion: api.versions[0], maxVersion, pipelined: true, handle }
}
