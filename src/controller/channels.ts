/**
 * The way to each broker: a queue, one request in flight, sent again until it is answered or the broker is gone. An answer
 * may have been lost and the request be carried out twice; brokers see by the epochs that it is the same.
 */
import { sleep, type Clock, type Logger } from '#platform'
import type { LeaderAndIsrResponse } from '#protocol/messages/leader-and-isr'
import { LeaderAndIsr } from '#protocol/messages/leader-and-isr'
import { StopReplica, type StopReplicaResponse } from '#protocol/messages/stop-replica'
import { UpdateMetadata, type UpdateMetadataResponse } from '#protocol/messages/update-metadata'

import { CONTROL_VERSION, type ControlRequest } from './control-batch.ts'
import type { LiveBroker } from './context.ts'
import type { ControlChannel, ControllerPorts } from './ports.ts'

/** Between two attempts; Kafka's pause too. */
const RETRY_PAUSE_MS = 100

export type ControlResponse =
  | { readonly kind: 'leaderAndIsr'; readonly brokerId: number; readonly response: LeaderAndIsrResponse }
  | { readonly kind: 'updateMetadata'; readonly brokerId: number; readonly response: UpdateMetadataResponse }
  | {
      readonly kind: 'stopReplica'
      readonly brokerId: number
      readonly request: Extract<ControlRequest, { kind: 'stopReplica' }>['request']
      readonly response: StopReplicaResponse
    }

export class BrokerChannels {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #ports: ControllerPorts
  readonly #listenerName: string
  readonly #onResponse: (response: ControlResponse) => void
  readonly #queues = new Map<number, BrokerQueue>()

  constructor(
    platform: { clock: Clock; logger: Logger },
    ports: ControllerPorts,
    listenerName: string,
    onResponse: (response: ControlResponse) => void,
  ) {
    this.#clock = platform.clock
    this.#logger = platform.logger
    this.#ports = ports
    this.#listenerName = listenerName
    this.#onResponse = onResponse
  }

  /** A broker without an address on the listener between brokers cannot be told anything: it is named in the log. */
  add(broker: LiveBroker): void {
    const { id, endpoints } = broker.registration
    const endpoint = endpoints.find((each) => each.listenerName === this.#listenerName)
    if (endpoint === undefined)
      return this.#logger.error(`broker ${id} has no endpoint on listener ${this.#listenerName}: it gets no requests`)
    const channel = this.#ports.controlChannel({ brokerId: id, brokerEpoch: broker.epoch, endpoint })
    this.#queues.set(id, new BrokerQueue(id, channel, this.#clock, this.#logger, this.#onResponse))
  }

  /** The broker has other endpoints: what it was not told yet goes there. */
  readdress(broker: LiveBroker): void {
    const { id } = broker.registration
    const unanswered = this.#queues.get(id)?.unanswered ?? []
    this.remove(id)
    this.add(broker)
    this.send(unanswered)
  }

  /** What was queued for it is dropped. */
  remove(brokerId: number): void {
    this.#queues.get(brokerId)?.close()
    this.#queues.delete(brokerId)
  }

  close(): void {
    for (const brokerId of this.#queues.keys()) this.remove(brokerId)
  }

  send(requests: readonly ControlRequest[]): void {
    for (const request of requests) this.#queues.get(request.brokerId)?.push(request)
  }

  /** Requests that wait, over all brokers. */
  get queueSize(): number {
    let size = 0
    for (const queue of this.#queues.values()) size += queue.size
    return size
  }
}

class BrokerQueue {
  readonly #brokerId: number
  readonly #channel: ControlChannel
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #onResponse: (response: ControlResponse) => void
  readonly #waiting: ControlRequest[] = []
  readonly #closed = new AbortController()
  /** Under way; null: none. */
  #sent: ControlRequest | null = null
  #sending = false

  constructor(
    brokerId: number,
    channel: ControlChannel,
    clock: Clock,
    logger: Logger,
    onResponse: (response: ControlResponse) => void,
  ) {
    this.#brokerId = brokerId
    this.#channel = channel
    this.#clock = clock
    this.#logger = logger
    this.#onResponse = onResponse
  }

  get size(): number {
    return this.#waiting.length
  }

  /** In order; the first may have been carried out. */
  get unanswered(): ControlRequest[] {
    return this.#sent === null ? [...this.#waiting] : [this.#sent, ...this.#waiting]
  }

  push(request: ControlRequest): void {
    this.#waiting.push(request)
    if (!this.#sending) void this.#sendAll()
  }

  close(): void {
    this.#waiting.length = 0
    this.#closed.abort(new Error('the broker is gone'))
    this.#channel.close()
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted
  }

  async #sendAll(): Promise<void> {
    this.#sending = true
    for (let request = this.#waiting.shift(); request !== undefined; request = this.#waiting.shift()) {
      this.#sent = request
      const response = await this.#sendUntilAnswered(request)
      this.#sent = null
      if (this.#isClosed || response === null) break
      this.#onResponse(response)
    }
    this.#sending = false
  }

  /** Null when the broker has gone meanwhile. */
  async #sendUntilAnswered(request: ControlRequest): Promise<ControlResponse | null> {
    for (let attempt = 1; !this.#isClosed; attempt++) {
      try {
        return await this.#exchange(request)
      } catch (error) {
        // One line when it begins to fail, then silence: a dead broker is noticed by its session, not here.
        if (attempt === 1 && !this.#isClosed)
          this.#logger.info(`${request.kind} to broker ${this.#brokerId} failed, sending again: ${String(error)}`)
        await sleep(this.#clock, RETRY_PAUSE_MS, this.#closed.signal).catch(() => {})
      }
    }
    return null
  }

  async #exchange(sent: ControlRequest): Promise<ControlResponse> {
    const { kind, brokerId } = sent
    const version = CONTROL_VERSION[kind]
    switch (kind) {
      case 'leaderAndIsr':
        return { kind, brokerId, response: await this.#channel.send(LeaderAndIsr, version, sent.request) }
      case 'updateMetadata':
        return { kind, brokerId, response: await this.#channel.send(UpdateMetadata, version, sent.request) }
      case 'stopReplica': {
        const response = await this.#channel.send(StopReplica, version, sent.request)
        return { kind, brokerId, request: sent.request, response }
      }
    }
  }
}
