import { ByteReader } from '#base'
import { ApiKey, ErrorCode, decodeRequestHeader, decodeResponseHeader, errorOf } from '#protocol'
import { LeaderAndIsr, type LeaderAndIsrRequest } from '#protocol/messages/leader-and-isr'
import { StopReplica } from '#protocol/messages/stop-replica'
import { UpdateMetadata } from '#protocol/messages/update-metadata'

import { Frames } from '../frames.ts'
import type { Stream } from '../socket.ts'
import type { SimulatedCluster } from './cluster.ts'

const CONTROL_APIS = new Map(
  [LeaderAndIsr, UpdateMetadata, StopReplica].map(
    (api): [number, typeof LeaderAndIsr | typeof UpdateMetadata | typeof StopReplica] => [api.key, api],
  ),
)
const NO_EPOCH = -1

/** A request of a controller that must be refused, and the broker that has to. */
interface Forbidden {
  readonly broker: number
  readonly why: string
}

/**
 * Listens to the wire between controllers and brokers. A request of a controller that was replaced, or one that is meant
 * for an earlier life of the broker, must be refused (STALE_CONTROLLER_EPOCH, KAFKA-6082; STALE_BROKER_EPOCH, KIP-380).
 */
export class ControlTap {
  readonly #cluster: SimulatedCluster
  /** By connection. Null: it carries something else. */
  readonly #connections = new Map<object, ControlConnection | null>()
  readonly faults = new Set<string>()
  /** By topic id, partition and leader epoch: who accepted to lead. */
  readonly #leaders = new Map<string, number>()
  /** Requests that had to be refused, and were. */
  refused = 0

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster
    cluster.world.onBytes = (stream, bytes) => this.#onBytes(stream, bytes)
  }

  #onBytes(stream: Stream, bytes: Uint8Array): void {
    let connection = this.#connections.get(stream.names)
    if (connection === null) return
    if (connection === undefined) {
      const broker = this.#brokerAt(stream.to)
      connection = broker === null || !stream.isOfRequests ? null : new ControlConnection()
      this.#connections.set(stream.names, connection)
      if (connection === null) return
    }
    const direction = stream.isOfRequests ? connection.requests : connection.responses
    for (const frame of direction.add(bytes)) {
      const goesOn = stream.isOfRequests
        ? this.#onRequest(connection, frame, this.#brokerAt(stream.to)!)
        : this.#onResponse(connection, frame)
      if (!goesOn) return void this.#connections.set(stream.names, null)
    }
  }

  #brokerAt(address: string): number | null {
    return this.#cluster.brokers.find(({ process }) => process.address === address)?.id ?? null
  }

  /** False when the connection is not a controller's. */
  #onRequest(connection: ControlConnection, frame: Uint8Array, broker: number): boolean {
    const apiKey = new DataView(frame.buffer, frame.byteOffset).getInt16(0)
    const api = CONTROL_APIS.get(apiKey)
    if (api === undefined) return apiKey === ApiKey.ApiVersions
    const reader = new ByteReader(frame)
    const { apiVersion, correlationId } = decodeRequestHeader(reader)
    const request = api.request.decode(reader, apiVersion)
    const { controllerEpoch, brokerEpoch } = request
    if (api === LeaderAndIsr) connection.leads.set(correlationId, leadsOf(request as LeaderAndIsrRequest, broker))
    const why = this.#reasonToRefuse(broker, controllerEpoch, brokerEpoch)
    if (why !== null) connection.forbidden.set(correlationId, { broker, why: `${api.name} ${why}` })
    connection.versions.set(correlationId, [apiKey, apiVersion])
    return true
  }

  #reasonToRefuse(broker: number, controllerEpoch: number, brokerEpoch: number): string | null {
    const services = this.#cluster.brokers.find(({ id }) => id === broker)?.broker?.services
    if (services === undefined) return null
    if (controllerEpoch < services.replicas.controllerEpoch)
      return `of controller epoch ${controllerEpoch}, after ${services.replicas.controllerEpoch}`
    if (brokerEpoch !== NO_EPOCH && brokerEpoch < services.brokerEpoch)
      return `for broker epoch ${brokerEpoch}, before ${services.brokerEpoch}`
    return null
  }

  /** In one epoch of a partition one broker accepts to be the leader. */
  #checkLeads(connection: ControlConnection, correlationId: number, frame: Uint8Array, asked: [number, number]): void {
    const leads = connection.leads.get(correlationId)
    if (leads === undefined) return
    connection.leads.delete(correlationId)
    const reader = new ByteReader(frame)
    decodeResponseHeader(reader, ...asked)
    const { errorCode, topics } = LeaderAndIsr.response.decode(reader, asked[1])
    if (errorCode !== ErrorCode.NONE) return
    for (const { partition, topicId, index, leaderEpoch, broker } of leads) {
      const answers = topics.find((topic) => topic.topicId === topicId)?.partitionErrors
      if (answers?.find(({ partitionIndex }) => partitionIndex === index)?.errorCode !== ErrorCode.NONE) continue
      const key = `${topicId} ${index} ${leaderEpoch}`
      const other = this.#leaders.get(key) ?? broker
      this.#leaders.set(key, broker)
      if (other !== broker) this.faults.add(`${partition}: brokers ${other} and ${broker} lead in epoch ${leaderEpoch}`)
    }
  }

  #onResponse(connection: ControlConnection, frame: Uint8Array): boolean {
    const correlationId = new DataView(frame.buffer, frame.byteOffset).getInt32(0)
    const asked = connection.versions.get(correlationId)
    if (asked === undefined) return true
    connection.versions.delete(correlationId)
    this.#checkLeads(connection, correlationId, frame, asked)
    const forbidden = connection.forbidden.get(correlationId)
    if (forbidden === undefined) return true
    connection.forbidden.delete(correlationId)
    const [apiKey, version] = asked
    const reader = new ByteReader(frame)
    decodeResponseHeader(reader, apiKey, version)
    const { errorCode } = CONTROL_APIS.get(apiKey)!.response.decode(reader, version)
    if (errorCode === ErrorCode.STALE_CONTROLLER_EPOCH || errorCode === ErrorCode.STALE_BROKER_EPOCH) this.refused += 1
    else this.faults.add(`broker ${forbidden.broker} answered ${errorOf(errorCode).name} to ${forbidden.why}`)
    return true
  }
}

/** That this broker leads a partition in an epoch, as the controller says. */
interface Lead {
  readonly partition: string
  readonly topicId: string
  readonly index: number
  readonly leaderEpoch: number
  readonly broker: number
}

function leadsOf({ topicStates }: LeaderAndIsrRequest, broker: number): Lead[] {
  return topicStates.flatMap(({ topicName, topicId, partitionStates }) =>
    partitionStates
      .filter(({ leader }) => leader === broker)
      .map(({ partitionIndex, leaderEpoch }) => ({
        partition: `${topicName}-${partitionIndex}`,
        topicId,
        index: partitionIndex,
        leaderEpoch,
        broker,
      })),
  )
}

class ControlConnection {
  readonly requests = new Frames()
  readonly responses = new Frames()
  /** Requests without an answer yet: their API and version. */
  readonly versions = new Map<number, [apiKey: number, version: number]>()
  readonly forbidden = new Map<number, Forbidden>()
  readonly leads = new Map<number, readonly Lead[]>()
}
