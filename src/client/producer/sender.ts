/**
 * Carries batches to the leaders of their partitions: in the background, at the end of the turn in which there is something to do.
 * It decides which batches are due, groups those of one broker into one Produce request, and judges the answers; what it needs to
 * know of time it asks the clock once per run.
 */
import type { Platform, Timer } from '#platform'
import { ErrorCode, errorOf } from '#protocol'
import { InitProducerId } from '#protocol/messages/init-producer-id'
import { Produce, type ProduceResponse } from '#protocol/messages/produce'

import { Backoff, type Cluster, type Leader } from '../cluster/index.ts'
import type { ProducerConfig } from '../config.ts'
import { KafkaError, RecordTooLargeError, TimeoutError, isRetriable, isStaleMetadata, kafkaError } from '../errors.ts'
import type { ClientFaults } from '../faults.ts'
import type { Accumulator } from './accumulator.ts'
import type { Outcome, ProducerBatch } from './batch.ts'
import { NodeStates } from './node-states.ts'
import type { PartitionQueue } from './partition-queue.ts'
import { ProducerIdentity } from './sequences.ts'

export interface SenderOwner {
  /** A batch has its outcome, and nobody of those told by it may be missing: `untold` records have no promise. */
  onOutcome(batch: ProducerBatch, outcome: Outcome, untold: number): void
  /** A batch was replaced by others. */
  onSplit(batch: ProducerBatch, parts: readonly ProducerBatch[]): void
  /** Memory has become free. */
  onMemory(): void
  /** Whether batches go out without waiting to be full. */
  isHurried(): boolean
  readonly faults: ClientFaults
}

type PartitionResponse = ProduceResponse['responses'][number]['partitionResponses'][number]

/** What is sent in one request, with the stamps under which it is sent. */
interface Sent {
  readonly batch: ProducerBatch
  readonly stamp: ProducerBatch['stamp']
}

const ACKS = { all: -1, 0: 0, 1: 1 } as const
const TRANSACTION_TIMEOUT_MS = 0x7fff_ffff

export class Sender {
  readonly #platform: Platform
  readonly #config: ProducerConfig
  readonly #cluster: Cluster
  readonly #accumulator: Accumulator
  readonly #owner: SenderOwner
  readonly #backoff: Backoff
  readonly #nodes: NodeStates
  /** Null without idempotence. */
  readonly #identity: ProducerIdentity | null
  #isAskingForId = false
  /** Nothing can be sent any more. */
  #fatalError: KafkaError | null = null
  #isScheduled = false
  #timer: Timer | null = null
  #timerAtMs = Infinity
  #isClosed = false

  constructor(
    platform: Platform,
    config: ProducerConfig,
    cluster: Cluster,
    accumulator: Accumulator,
    owner: SenderOwner,
  ) {
    this.#platform = platform
    this.#config = config
    this.#cluster = cluster
    this.#accumulator = accumulator
    this.#owner = owner
    this.#backoff = new Backoff(platform.random, config.retryBackoffMs, config.retryBackoffMaxMs)
    this.#nodes = new NodeStates(platform.clock)
    this.#identity = config.enableIdempotence ? new ProducerIdentity(owner.faults) : null
  }

  get fatalError(): KafkaError | null {
    return this.#fatalError
  }

  /** Requests without their answer. */
  get inFlightCount(): number {
    return this.#nodes.inFlightCount
  }

  isAvailable(nodeId: number): boolean {
    const limitMs = this.#config.partitionerAvailabilityTimeoutMs
    return limitMs === 0 || this.#nodes.stalledForMs(nodeId) < limitMs
  }

  /** There may be something to do: at the end of the turn, so that what the turn brings goes together. */
  wake(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    this.#platform.clock.endOfTurn(() => {
      this.#isScheduled = false
      if (!this.#isClosed) this.#run()
    })
  }

  /** What has no outcome yet fails with this error. */
  abort(error: KafkaError): void {
    for (const batch of this.#accumulator.incomplete) this.#finish(batch, { error })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
  }

  #run(): void {
    const now = this.#platform.clock.monotonic()
    this.#expire(now)
    if (this.#accumulator.active.size > 0) this.#sendDue(now)
    this.#armForExpiry()
  }

  #sendDue(now: number): void {
    // What waited for metadata or memory meanwhile has come in since.
    if (this.#fatalError !== null) return this.abort(this.#fatalError)
    if (this.#identity !== null) {
      this.#identity.advance()
      if (!this.#identity.isKnown) return this.#askForId()
    }
    let isLeaderMissing = false
    const byNode = new Map<number, { queues: PartitionQueue[]; isDue: boolean }>()
    for (const queue of this.#accumulator.active) {
      const leader = this.#cluster.leaderOf(queue.topic, queue.partition)
      if (leader === null) {
        isLeaderMissing = true
        continue
      }
      let node = byNode.get(leader.nodeId)
      if (node === undefined) byNode.set(leader.nodeId, (node = { queues: [], isDue: false }))
      node.queues.push(queue)
      node.isDue ||= this.#isDue(queue, leader, now)
    }
    if (isLeaderMissing) this.#cluster.metadata.requestUpdate()
    for (const [nodeId, { queues, isDue }] of byNode) if (isDue) this.#sendTo(nodeId, queues, now)
  }

  /** Whether the first batch of the queue should go now; when only time is missing, the timer is set. */
  #isDue(queue: PartitionQueue, leader: Leader, now: number): boolean {
    const first = queue.batches[0]!
    if (queue.isMuted || this.#identity?.mayDrain(first) === false) return false
    const waitsUntilMs = this.#backsOffUntilMs(first, leader)
    if (waitsUntilMs > now) {
      this.#armTimer(waitsUntilMs)
      return false
    }
    if (first.attempts > 0 || first.isFull || queue.batches.length > 1 || this.#owner.isHurried()) return true
    const dueMs = first.createdMs + this.#config.lingerMs
    if (dueMs <= now) return true
    this.#armTimer(dueMs)
    return false
  }

  /** A batch that failed pauses, unless another leader has taken over since. */
  #backsOffUntilMs(batch: ProducerBatch, leader: Leader): number {
    return batch.attempts > 0 && leader.leaderEpoch <= batch.leaderEpoch ? batch.retryAtMs : 0
  }

  /** Sends as many requests as may be in flight, while something is due for the broker. */
  #sendTo(nodeId: number, queues: readonly PartitionQueue[], now: number): void {
    const connection = this.#cluster.node(nodeId)
    if (connection === null) return this.#cluster.metadata.requestUpdate()
    if (!connection.isConnected) return this.#connect(nodeId)
    const throttledForMs = connection.throttledForMs
    if (throttledForMs > 0) {
      this.#nodes.stalls(nodeId)
      return this.#armTimer(now + throttledForMs)
    }
    while (this.#nodes.inFlightOf(nodeId) < this.#config.maxInFlightRequestsPerConnection) {
      const sent = this.#drain(nodeId, queues, now)
      if (sent.length === 0) return
      this.#request(nodeId, sent)
      const isMoreDue = queues.some((queue) => {
        const leader = queue.batches.length > 0 ? this.#cluster.leaderOf(queue.topic, queue.partition) : null
        return leader !== null && this.#isDue(queue, leader, now)
      })
      if (!isMoreDue) return
    }
    this.#nodes.stalls(nodeId)
  }

  /** After the pause that failures ask for; one attempt at a time. */
  #connect(nodeId: number): void {
    this.#nodes.stalls(nodeId)
    if (!this.#nodes.beginConnecting(nodeId)) return
    this.#cluster
      .node(nodeId)!
      .connect()
      .then(
        () => {
          this.#nodes.endConnecting(nodeId)
          this.wake()
        },
        (error: unknown) => {
          this.#nodes.endConnecting(nodeId)
          if (this.#cluster.isClosed) return
          for (const queue of this.#accumulator.active)
            if (error instanceof KafkaError && this.#cluster.leaderOf(queue.topic, queue.partition)?.nodeId === nodeId)
              queue.batches[0]!.lastError = error
          // The leaders of a broker that is gone are others, soon.
          this.#cluster.metadata.requestUpdate()
          this.wake()
        },
      )
  }

  /**
   * Takes the first batch of each queue, as many as one request may carry, the queues in turn. Those that still linger go along:
   * the request goes anyway.
   */
  #drain(nodeId: number, queues: readonly PartitionQueue[], now: number): Sent[] {
    const sent: Sent[] = []
    let bytes = 0
    const start = this.#nodes.nextTurn(nodeId) % queues.length
    for (let step = 0; step < queues.length; step++) {
      const queue = queues[(start + step) % queues.length]!
      const batch = queue.batches[0]
      if (batch === undefined || queue.isMuted || this.#identity?.mayDrain(batch) === false) continue
      const leader = this.#cluster.leaderOf(queue.topic, queue.partition)
      if (leader?.nodeId !== nodeId || this.#backsOffUntilMs(batch, leader) > now) continue
      if (sent.length > 0 && bytes + batch.sizeInBytes > this.#config.maxRequestSize) {
        this.#nodes.setTurn(nodeId, start + step)
        break
      }
      this.#accumulator.take(batch)
      this.#identity?.stamp(batch)
      bytes += batch.bytes().length
      if (batch.attempts === 0) this.#accumulator.shrink(batch)
      batch.isInFlight = true
      batch.attempts += 1
      batch.leaderEpoch = leader.leaderEpoch
      queue.isMuted = this.#config.maxInFlightRequestsPerConnection === 1
      sent.push({ batch, stamp: batch.stamp })
    }
    return sent
  }

  #request(nodeId: number, sent: readonly Sent[]): void {
    const byTopic = new Map<string, { index: number; records: Uint8Array }[]>()
    for (const { batch } of sent) {
      const { topic, partition } = batch.queue
      let partitions = byTopic.get(topic)
      if (partitions === undefined) byTopic.set(topic, (partitions = []))
      partitions.push({ index: partition, records: batch.bytes() })
    }
    const request = {
      acks: ACKS[this.#config.acks],
      timeoutMs: this.#config.requestTimeoutMs,
      topicData: Array.from(byTopic, ([name, partitionData]) => ({ name, partitionData })),
    }
    this.#nodes.begin(nodeId)
    this.#cluster.send(nodeId, Produce, request, { noAnswer: this.#config.acks === 0 }).then(
      (response: ProduceResponse | undefined) => {
        this.#nodes.end(nodeId)
        if (response === undefined) this.#onWritten(sent)
        else this.#onResponse(sent, response)
        this.wake()
      },
      (error: unknown) => {
        this.#nodes.end(nodeId)
        this.#onNoAnswer(sent, error)
        this.wake()
      },
    )
  }

  /** acks=0: no more is to be learned. */
  #onWritten(sent: readonly Sent[]): void {
    for (const { batch } of sent) {
      this.#returned(batch)
      this.#finish(batch, { error: null, baseOffset: -1, logAppendTimeMs: -1 })
    }
  }

  #onNoAnswer(sent: readonly Sent[], cause: unknown): void {
    this.#cluster.metadata.requestUpdate()
    const error = cause instanceof KafkaError ? cause : new KafkaError(String(cause), { cause })
    for (const one of sent) {
      this.#returned(one.batch)
      // Whatever its code, it is the connection's error and not the broker's answer.
      const errorCode = error.retriable ? ErrorCode.NETWORK_EXCEPTION : (error.code ?? ErrorCode.UNKNOWN_SERVER_ERROR)
      this.#onError(one, error, { errorCode, logStartOffset: -1 })
    }
  }

  #onResponse(sent: readonly Sent[], { responses, nodeEndpoints }: ProduceResponse): void {
    const byPartition = new Map<string, PartitionResponse>()
    for (const { name, partitionResponses } of responses)
      for (const answer of partitionResponses) byPartition.set(`${name}-${answer.index}`, answer)
    for (const endpoint of nodeEndpoints) this.#cluster.metadata.learnNode(endpoint)
    for (const one of sent) {
      this.#returned(one.batch)
      const answer = byPartition.get(one.batch.queue.name)
      if (answer !== undefined) this.#onAnswer(one, answer)
      else
        this.#onError(one, new KafkaError(`an answer to Produce leaves out ${one.batch.queue.name}`), {
          errorCode: ErrorCode.UNKNOWN_SERVER_ERROR,
          logStartOffset: -1,
        })
    }
  }

  #onAnswer(sent: Sent, answer: PartitionResponse): void {
    const { batch } = sent
    const { errorCode, baseOffset, logAppendTimeMs } = answer
    const { topic, partition, name } = batch.queue
    // A batch that the broker remembers only as had: it is there, but where, nobody can say.
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
      this.#identity?.acknowledged(batch, baseOffset)
      this.#finish(batch, { error: null, baseOffset: errorCode === ErrorCode.NONE ? baseOffset : -1, logAppendTimeMs })
      return
    }
    if (isStaleMetadata(errorCode)) {
      const { leaderId, leaderEpoch } = answer.currentLeader
      const isLearned = leaderId >= 0 && this.#cluster.metadata.learnLeader(topic, partition, leaderId, leaderEpoch)
      if (!isLearned) this.#cluster.metadata.requestUpdate()
    }
    // The gap may be that of a deposed leader.
    if (errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER) this.#cluster.metadata.requestUpdate()
    if (errorCode === ErrorCode.MESSAGE_TOO_LARGE) {
      if (batch.recordCount > 1 && !batch.isDone) return this.#split(batch)
      const error = new RecordTooLargeError(`a record for ${name} is larger than the topic's max.message.bytes allows`)
      return this.#onError(sent, error, answer)
    }
    this.#onError(sent, kafkaError(errorCode, answer.errorMessage ?? `${errorOf(errorCode).message} (${name})`), answer)
  }

  #onError(
    sent: Sent,
    error: KafkaError,
    answer: PartitionResponse | { errorCode: number; logStartOffset: number },
  ): void {
    const { batch, stamp } = sent
    if (batch.isDone) return
    batch.lastError = error
    const isRetriableNow =
      this.#identity === null || batch.stamp === null ? error.retriable : this.#identity.mayRetry(batch, stamp, answer)
    const now = this.#platform.clock.monotonic()
    const hasRetries = batch.attempts <= this.#config.retries
    if (isRetriableNow && hasRetries && !this.#isExpired(batch, now) && !this.#isClosed) {
      batch.retryAtMs = now + this.#backoff.afterFailures(batch.attempts)
      this.#accumulator.putBack(batch)
      return
    }
    // After the last retry nobody knows whether the broker has the batch.
    this.#identity?.failed(batch, !isRetriableNow)
    this.#finish(batch, { error, ...recordErrorsOf(answer, error) })
  }

  #split(batch: ProducerBatch): void {
    const parts = this.#accumulator.split(batch)
    this.#identity?.replace(batch, parts)
    this.#accumulator.release(batch)
    this.#owner.onSplit(batch, parts)
    this.#owner.onMemory()
  }

  /** The request that carried the batch is over. */
  #returned(batch: ProducerBatch): void {
    batch.isInFlight = false
    batch.queue.isMuted = false
    if (!batch.isDone) return
    this.#accumulator.release(batch)
    this.#owner.onMemory()
  }

  #finish(batch: ProducerBatch, outcome: Outcome): void {
    if (batch.isDone) return
    const untold = batch.settle(outcome)
    this.#accumulator.complete(batch)
    this.#owner.onOutcome(batch, outcome, untold)
    this.#owner.onMemory()
  }

  #isExpired(batch: ProducerBatch, now: number): boolean {
    return batch.createdMs + this.#config.deliveryTimeoutMs <= now
  }

  #expire(now: number): void {
    for (const batch of this.#accumulator.incomplete) {
      if (!this.#isExpired(batch, now)) break
      const { recordCount, queue, lastError, attempts } = batch
      const reason = lastError?.message ?? (attempts === 0 ? 'they were not sent' : 'no answer came')
      // Sent, perhaps appended, perhaps not: its sequences are in doubt.
      this.#identity?.failed(batch, attempts === 0)
      this.#finish(batch, {
        error: new TimeoutError(
          `${recordCount} records for ${queue.name} were not acknowledged within delivery.timeout.ms (${this.#config.deliveryTimeoutMs}): ${reason}`,
          { cause: lastError ?? undefined },
        ),
      })
    }
  }

  #armForExpiry(): void {
    const oldest = this.#accumulator.incomplete.values().next().value
    if (oldest !== undefined) this.#armTimer(oldest.createdMs + this.#config.deliveryTimeoutMs)
  }

  #armTimer(atMs: number): void {
    if (atMs >= this.#timerAtMs || atMs === Infinity) return
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#platform.clock.setTimer(atMs - this.#platform.clock.monotonic(), () => {
      this.#timer = null
      this.#timerAtMs = Infinity
      this.wake()
    })
  }

  /** Nothing is sent before the answer. A refusal for good ends the producer. */
  #askForId(): void {
    if (this.#isAskingForId) return
    this.#isAskingForId = true
    const request = { transactionalId: null, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS }
    const asking = this.#cluster.retry(
      'InitProducerId',
      async () => {
        const response = await this.#cluster.sendTo(null, InitProducerId, request)
        if (response.errorCode !== ErrorCode.NONE) throw kafkaError(response.errorCode, 'no producer id was given')
        return response
      },
      { timeoutMs: Infinity },
    )
    asking
      .then(
        ({ producerId, producerEpoch }) => this.#identity!.assign(producerId, producerEpoch),
        (error: unknown) => this.#onNoId(error),
      )
      .finally(() => {
        this.#isAskingForId = false
        this.wake()
      })
  }

  #onNoId(cause: unknown): void {
    if (this.#cluster.isClosed || isRetriable(cause)) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#fatalError = new KafkaError(`the producer cannot go on: ${reason}`, {
      ...(cause instanceof KafkaError && cause.code !== null ? { code: cause.code } : {}),
      fatal: true,
      cause,
    })
    this.abort(this.#fatalError)
  }
}

/** The broker may name the records that made it refuse a batch (KIP-467): the others are not to blame. */
function recordErrorsOf(
  answer: PartitionResponse | { errorCode: number; logStartOffset: number },
  error: KafkaError,
): { recordErrors?: ReadonlyMap<number, KafkaError> } {
  if (!('recordErrors' in answer) || answer.recordErrors.length === 0) return {}
  const { errorCode, recordErrors } = answer
  const named = recordErrors.map(
    ({ batchIndex, batchIndexErrorMessage }) => [batchIndex, kafkaError(errorCode, batchIndexErrorMessage)] as const,
  )
  return { recordErrors: new Map(named.length > 0 ? named : [[0, error]]) }
}
