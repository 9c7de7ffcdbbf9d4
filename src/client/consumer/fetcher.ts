/**
 * Fetches ahead of the user: at most one fetch under way per broker, with a session each, and no more bytes than `fetch.max.bytes`
 * buffered and asked for together. What comes for a position that has changed meanwhile is dropped.
 */
import type { Platform, Timer } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'
import { Fetch, type FetchResponse } from '#protocol/messages/fetch'

import { Backoff, type Cluster } from '../cluster/index.ts'
import type { ConsumerConfig } from '../config.ts'
import { KafkaError, isStaleMetadata, kafkaError } from '../errors.ts'
import type { ClientFaults } from '../faults.ts'
import type { Assignment } from './assignment.ts'
import { FetchSession, type FetchTarget } from './fetch-session.ts'
import { FetchedData } from './fetched-data.ts'
import type { PartitionState } from './partition-state.ts'
import type { PositionFinder } from './position-finder.ts'
import { keyOf } from './topic-partition.ts'

interface NodeState {
  readonly nodeId: number
  readonly session: FetchSession
  isInFlight: boolean
  failures: number
  retryAtMs: number
}

type PartitionAnswer = FetchResponse['responses'][number]['partitions'][number]

/** Fetches name topics by id from version 13 on. */
const FETCH_BY_NAME_VERSION_MAX = 12
/** A session is given back in one short request, and nobody waits long for it. */
const CLOSE_TIMEOUT_MS = 500
/** A fetch that may bring less than this share of its broker's part waits until the user has read more. */
const SHARE_MIN = 0.25
/**
 * How long a broker may wait for data while some of its partitions are left out because enough of them is buffered: they can be named
 * again only when the answer has come, and a reader would run dry meanwhile.
 */
const CROWDED_WAIT_MS = 25

export class Fetcher {
  readonly #platform: Platform
  readonly #cluster: Cluster
  readonly #config: ConsumerConfig
  readonly #assignment: Assignment
  readonly #positions: PositionFinder
  readonly #faults: ClientFaults
  readonly #onChange: () => void
  readonly #backoff: Backoff
  readonly #nodes = new Map<number, NodeState>()
  #retryTimer: Timer | null = null
  #isClosed = false

  constructor(
    platform: Platform,
    cluster: Cluster,
    config: ConsumerConfig,
    assignment: Assignment,
    positions: PositionFinder,
    faults: ClientFaults,
    onChange: () => void,
  ) {
    this.#platform = platform
    this.#cluster = cluster
    this.#config = config
    this.#assignment = assignment
    this.#positions = positions
    this.#faults = faults
    this.#onChange = onChange
    this.#backoff = new Backoff(platform.random, config.retryBackoffMs, config.retryBackoffMaxMs)
  }

  /** Sends what may be sent now. To be called when anything has changed. */
  pump(): void {
    if (this.#isClosed) return
    const nowMs = this.#platform.clock.monotonic()
    let retryAtMs = Infinity
    const wanted = new Map<number, PartitionState[]>()
    let isCrowded = false
    for (const state of this.#assignment) {
      if (!state.isFetchable(nowMs)) {
        if (state.retryAtMs > nowMs) retryAtMs = Math.min(retryAtMs, state.retryAtMs)
        isCrowded ||= state.firstChunk !== undefined && !state.isPaused
        continue
      }
      const nodeId = this.#nodeFor(state, nowMs)
      if (nodeId === null) continue
      const list = wanted.get(nodeId)
      if (list === undefined) wanted.set(nodeId, [state])
      else list.push(state)
    }
    // Those that are being asked have their part too: or two brokers could take turns with all of it, and a third would never be asked.
    const asked = [...this.#nodes.values()].filter(({ nodeId, isInFlight }) => isInFlight && !wanted.has(nodeId))
    const nodeCount = wanted.size + asked.length
    for (const [nodeId, states] of wanted) {
      const node = this.#node(nodeId)
      if (node.isInFlight) continue
      if (node.retryAtMs > nowMs) retryAtMs = Math.min(retryAtMs, node.retryAtMs)
      else void this.#fetch(node, states, { nodeCount, isCrowded })
    }
    this.#retryAt(retryAtMs, nowMs)
  }

  /** Gives the brokers their sessions back. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#retryTimer?.cancel()
    const open = [...this.#nodes.values()].filter(({ session }) => session.isOpen)
    await Promise.allSettled(
      open.map(({ nodeId, session }) => {
        const request = { ...session.close(), maxWaitMs: 0, minBytes: 0 }
        return this.#cluster.send(nodeId, Fetch, request, { timeoutMs: CLOSE_TIMEOUT_MS })
      }),
    )
  }

  #nodeFor(state: PartitionState, nowMs: number): number | null {
    const preferred = state.preferredReplica
    if (preferred !== null) {
      if (preferred.untilMs > nowMs && this.#cluster.metadata.nodes.has(preferred.nodeId)) return preferred.nodeId
      state.preferredReplica = null
    }
    const leader = this.#cluster.leaderOf(state.topic, state.partition)
    if (leader === null) {
      this.#cluster.metadata.requestUpdate()
      return null
    }
    return leader.nodeId
  }

  #node(nodeId: number): NodeState {
    let node = this.#nodes.get(nodeId)
    if (node === undefined) {
      node = { nodeId, session: new FetchSession(), isInFlight: false, failures: 0, retryAtMs: 0 }
      this.#nodes.set(nodeId, node)
    }
    return node
  }

  async #fetch(
    node: NodeState,
    states: readonly PartitionState[],
    { nodeCount, isCrowded }: { nodeCount: number; isCrowded: boolean },
  ): Promise<void> {
    const maxBytes = this.#budget(nodeCount)
    if (maxBytes === 0) return
    const asked = new Map(states.map((state) => [state.key, { state, version: state.version }]))
    const targets = states.map((state) => this.#target(state))
    const namesTopics = targets.some(({ topicId }) => topicId === ZERO_UUID)
    const { fetchMaxWaitMs, fetchMinBytes, isolationLevel, clientRack } = this.#config
    const request = {
      ...node.session.next(targets),
      maxWaitMs: isCrowded ? Math.min(CROWDED_WAIT_MS, fetchMaxWaitMs) : fetchMaxWaitMs,
      minBytes: fetchMinBytes,
      maxBytes,
      isolationLevel: isolationLevel === 'read_committed' ? 1 : 0,
      rackId: clientRack,
    }
    for (const state of states) state.isInFlight = true
    this.#reservedBytes += maxBytes
    node.isInFlight = true
    try {
      const response = await this.#cluster.send(node.nodeId, Fetch, request, {
        purpose: 'fetch',
        timeoutMs: fetchMaxWaitMs + this.#config.requestTimeoutMs,
        ...(namesTopics ? { maxVersion: FETCH_BY_NAME_VERSION_MAX } : {}),
      })
      this.#settle(node, states, maxBytes)
      this.#onAnswer(node, response, asked)
    } catch (error) {
      this.#settle(node, states, maxBytes)
      this.#onFailure(node, states, error)
    }
    if (this.#isClosed) return
    this.#onChange()
    this.pump()
  }

  #reservedBytes = 0

  #settle(node: NodeState, states: readonly PartitionState[], maxBytes: number): void {
    for (const state of states) state.isInFlight = false
    this.#reservedBytes -= maxBytes
    node.isInFlight = false
  }

  /** What a fetch may bring now; 0 when it has to wait. Each broker has an equal part of the whole, so that none starves another. */
  #budget(nodeCount: number): number {
    const share = Math.ceil(this.#config.fetchMaxBytes / nodeCount)
    const left = (): number => Math.min(share, this.#config.fetchMaxBytes - this.bufferedBytes() - this.#reservedBytes)
    if (left() < share * SHARE_MIN) this.#dropPaused()
    const bytes = left()
    return bytes < share * SHARE_MIN ? 0 : bytes
  }

  /** Bytes of answers that wait for the user. */
  bufferedBytes(): number {
    let bytes = 0
    for (const state of this.#assignment) bytes += state.bufferedBytes
    return bytes
  }

  /** What is paused must not keep others from being read; it is fetched again when it is resumed. */
  #dropPaused(): void {
    for (const state of this.#assignment) if (state.isPaused && !state.isLeased) state.dropBuffered()
  }

  #target({ topic, partition, fetchOffset }: PartitionState): FetchTarget {
    return {
      topic,
      partition,
      topicId: this.#cluster.metadata.topic(topic)?.topicId ?? ZERO_UUID,
      fetchOffset,
      currentLeaderEpoch: this.#cluster.leaderOf(topic, partition)?.leaderEpoch ?? -1,
      partitionMaxBytes: this.#config.maxPartitionFetchBytes,
    }
  }

  #onAnswer(
    node: NodeState,
    response: FetchResponse,
    asked: ReadonlyMap<string, { state: PartitionState; version: number }>,
  ): void {
    if (!node.session.onAnswer(response)) {
      // An answer without a usable session says nothing of its partitions, and the next one begins anew.
      if (isStaleMetadata(response.errorCode)) this.#cluster.metadata.requestUpdate()
      this.#holdBack(node)
      return
    }
    node.failures = 0
    for (const { nodeId, host, port, rack } of response.nodeEndpoints)
      this.#cluster.metadata.learnNode({ nodeId, host, port, rack })
    for (const { topic, topicId, partitions } of response.responses) {
      const name = topic === '' ? node.session.topicNameOf(topicId) : topic
      if (name === null) continue
      for (const answer of partitions) {
        const entry = asked.get(keyOf({ topic: name, partition: answer.partitionIndex }))
        if (entry === undefined || entry.state.isGone) continue
        if (entry.state.version !== entry.version && !this.#faults.takeStaleAnswers) continue
        this.#onPartition(node, entry.state, answer)
      }
    }
  }

  #onPartition(node: NodeState, state: PartitionState, answer: PartitionAnswer): void {
    if (answer.errorCode !== ErrorCode.NONE) return this.#onPartitionError(node, state, answer)
    state.highWatermark = answer.highWatermark
    state.lastStableOffset = answer.lastStableOffset < 0 ? answer.highWatermark : answer.lastStableOffset
    state.logStartOffset = answer.logStartOffset
    if (answer.preferredReadReplica >= 0) {
      const untilMs = this.#platform.clock.monotonic() + this.#config.metadataMaxAgeMs
      state.preferredReplica = { nodeId: answer.preferredReadReplica, untilMs }
    }
    if (answer.records === null || answer.records.length === 0) return
    const chunk = new FetchedData({
      topic: state.topic,
      partition: state.partition,
      bytes: answer.records,
      fetchOffset: state.fetchOffset,
      abortedTransactions: this.#config.isolationLevel === 'read_committed' ? (answer.abortedTransactions ?? []) : null,
      checkCrcs: this.#config.checkCrcs,
    })
    state.addChunk(chunk)
    if (this.#faults.positionMovesEarly) state.give(chunk.endOffset, chunk.epoch)
  }

  #onPartitionError(node: NodeState, state: PartitionState, { errorCode, currentLeader }: PartitionAnswer): void {
    const { metadata } = this.#cluster
    state.retryAtMs = this.#platform.clock.monotonic() + this.#config.retryBackoffMs
    if (currentLeader.leaderId >= 0)
      metadata.learnLeader(state.topic, state.partition, currentLeader.leaderId, currentLeader.leaderEpoch)
    const hadPreferred = state.preferredReplica !== null
    if (hadPreferred) state.preferredReplica = null
    if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
      // A follower may lag; the leader has the last word. What is buffered goes to the user first.
      if (hadPreferred || state.fetchOffset !== state.position?.offset) return
      this.#platform.logger.info(`position ${state.fetchOffset} of ${state.key} is out of range`)
      this.#positions.reset(state, `position ${state.fetchOffset} is out of range`)
      return
    }
    if (isStaleMetadata(errorCode) || errorCode === ErrorCode.OFFSET_NOT_AVAILABLE) {
      metadata.requestUpdate()
      return
    }
    if (errorCode === ErrorCode.UNKNOWN_SERVER_ERROR || kafkaError(errorCode).retriable) {
      this.#platform.logger.warn(`${state.key}: ${kafkaError(errorCode).message} (broker ${node.nodeId})`)
      return
    }
    state.error = kafkaError(errorCode, `${state.key} at offset ${state.fetchOffset}`)
  }

  #onFailure(node: NodeState, states: readonly PartitionState[], error: unknown): void {
    if (!(error instanceof KafkaError)) throw error
    node.session.onFailure()
    if (this.#isClosed || this.#cluster.isClosed) return
    this.#cluster.metadata.requestUpdate()
    for (const state of states) state.preferredReplica = null
    if (!error.retriable) for (const state of states) state.error = error
    this.#holdBack(node)
  }

  #holdBack(node: NodeState): void {
    node.failures += 1
    node.retryAtMs = this.#platform.clock.monotonic() + this.#backoff.afterFailures(node.failures)
  }

  #retryAt(atMs: number, nowMs: number): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    if (atMs === Infinity) return
    this.#retryTimer = this.#platform.clock.setTimer(atMs - nowMs, () => {
      this.#retryTimer = null
      this.pump()
    })
  }
}
