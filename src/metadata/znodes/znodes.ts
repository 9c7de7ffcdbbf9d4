/**
 * What stands in Kafka's znodes. Written are the newest versions that 3.9 writes (inter.broker.protocol.version=3.9),
 * with the keys in the order in which the Java encoder puts them; read are all versions. Source: `kafka.zk.ZkData`.
 *
 * Decoding throws `ZnodeFormatError` where the bytes are something else.
 */
import { encodeUtf8 } from '#base'

import {
  ZnodeFormatError,
  integerOf,
  integersOf,
  isObject,
  parseObject,
  stringOf,
  textOf,
  toJsonBytes,
  type Json,
} from './json.ts'

// ---- brokers ----

export type SecurityProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'

/** As they stand in UpdateMetadata. */
export const SECURITY_PROTOCOL_ID: Readonly<Record<SecurityProtocol, number>> = {
  PLAINTEXT: 0,
  SSL: 1,
  SASL_PLAINTEXT: 2,
  SASL_SSL: 3,
}

export interface BrokerEndpoint {
  listenerName: string
  securityProtocol: SecurityProtocol
  host: string
  port: number
}

export interface BrokerRegistration {
  id: number
  endpoints: readonly BrokerEndpoint[]
  rack: string | null
  /** −1 when there is none. */
  jmxPort: number
  /** Features that the broker supports; a 3.9 broker on ZooKeeper has none. */
  features: Readonly<Record<string, unknown>>
}

/** `timestamp` is the wall clock in ms, for people. */
export function encodeBroker(broker: BrokerRegistration, timestamp: number): Uint8Array {
  const plain = broker.endpoints.find((endpoint) => endpoint.securityProtocol === 'PLAINTEXT')
  const protocols = broker.endpoints.map((endpoint) => [endpoint.listenerName, endpoint.securityProtocol])
  return toJsonBytes({
    features: broker.features,
    listener_security_protocol_map: Object.fromEntries(protocols) as Json,
    endpoints: broker.endpoints.map(formatEndpoint),
    ...(broker.rack === null ? {} : { rack: broker.rack }),
    jmx_port: broker.jmxPort,
    // For clients older than 0.9, which know one plain endpoint only.
    port: plain?.port ?? -1,
    host: plain?.host ?? null,
    version: 5,
    timestamp: String(timestamp),
  })
}

export function decodeBroker(id: number, data: Uint8Array | null): BrokerRegistration {
  const what = `registration of broker ${id}`
  const json = parseObject(data, what)
  const version = integerOf(json, 'version', what)
  if (version < 1) throw new ZnodeFormatError(`${what} has version ${version}`)
  return {
    id,
    endpoints: version === 1 ? [endpointOfVersion1(json, what)] : endpointsOf(json, what),
    rack: typeof json['rack'] === 'string' ? json['rack'] : null,
    jmxPort: integerOf(json, 'jmx_port', what, -1),
    features: isObject(json['features']) ? json['features'] : {},
  }
}

function endpointOfVersion1(json: Json, what: string): BrokerEndpoint {
  const host = stringOf(json, 'host', what)
  return { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host, port: integerOf(json, 'port', what) }
}

function endpointsOf(json: Json, what: string): BrokerEndpoint[] {
  const listed = json['endpoints']
  if (!Array.isArray(listed)) throw new ZnodeFormatError(`${what} has no endpoints`)
  const protocols = json['listener_security_protocol_map']
  return listed.map((text) => {
    const parts = parseEndpoint(String(text))
    if (parts === null) throw new ZnodeFormatError(`${what}: endpoint ${String(text)} is not NAME://host:port`)
    // Before version 4 a listener was named after its protocol.
    const protocol = isObject(protocols) ? protocols[parts.listenerName] : parts.listenerName
    if (!isSecurityProtocol(protocol))
      throw new ZnodeFormatError(`${what}: listener ${parts.listenerName} has the protocol ${String(protocol)}`)
    return { listenerName: parts.listenerName, securityProtocol: protocol, host: parts.host, port: parts.port }
  })
}

function isSecurityProtocol(value: unknown): value is SecurityProtocol {
  return typeof value === 'string' && Object.hasOwn(SECURITY_PROTOCOL_ID, value)
}

/** `NAME://host:port`, IPv6 in brackets. */
export function formatEndpoint(endpoint: { listenerName: string; host: string; port: number }): string {
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host
  return `${endpoint.listenerName}://${host}:${endpoint.port}`
}

export function parseEndpoint(text: string): { listenerName: string; host: string; port: number } | null {
  const match = /^(.+):\/\/(?:\[([^\]]*)\]|([^:/]*)):(-?\d+)$/.exec(text.trim())
  if (match === null) return null
  return { listenerName: match[1]!.toUpperCase(), host: match[2] ?? match[3]!, port: Number(match[4]) }
}

// ---- topics and partitions ----

/** Full replica list of one partition: during a reassignment the target, followed by those that are to go. */
export interface ReplicaAssignment {
  replicas: readonly number[]
  addingReplicas: readonly number[]
  removingReplicas: readonly number[]
}

export interface TopicAssignment {
  /** 22 characters of base64url; null when the creator was older than 2.8: the controller adds one. */
  topicId: string | null
  partitions: ReadonlyMap<number, ReplicaAssignment>
}

export function encodeTopic(topic: TopicAssignment): Uint8Array {
  const partitions: Record<string, readonly number[]> = {}
  const adding: Record<string, readonly number[]> = {}
  const removing: Record<string, readonly number[]> = {}
  for (const [partition, assignment] of topic.partitions) {
    partitions[partition] = assignment.replicas
    if (assignment.addingReplicas.length > 0) adding[partition] = assignment.addingReplicas
    if (assignment.removingReplicas.length > 0) removing[partition] = assignment.removingReplicas
  }
  return toJsonBytes({
    partitions,
    ...(topic.topicId === null ? {} : { topic_id: topic.topicId }),
    adding_replicas: adding,
    removing_replicas: removing,
    version: 3,
  })
}

export function decodeTopic(topic: string, data: Uint8Array | null): TopicAssignment {
  const what = `assignment of topic ${topic}`
  const json = parseObject(data, what)
  const listed = json['partitions']
  if (!isObject(listed)) throw new ZnodeFormatError(`${what} has no partitions`)
  const partitions = new Map<number, ReplicaAssignment>()
  for (const [key, replicas] of Object.entries(listed)) {
    partitions.set(Number(key), {
      replicas: integersOf(replicas, `${what}, partition ${key}`),
      addingReplicas: replicasAt(json['adding_replicas'], key, what),
      removingReplicas: replicasAt(json['removing_replicas'], key, what),
    })
  }
  return { topicId: typeof json['topic_id'] === 'string' ? json['topic_id'] : null, partitions }
}

function replicasAt(map: unknown, partition: string, what: string): number[] {
  if (!isObject(map) || map[partition] === undefined) return []
  return integersOf(map[partition], `${what}, partition ${partition}`)
}

/** How sure the ISR is after an unclean election (KIP-704). */
export const LeaderRecoveryState = { RECOVERED: 0, RECOVERING: 1 } as const
export type LeaderRecoveryState = (typeof LeaderRecoveryState)[keyof typeof LeaderRecoveryState]

/** …/partitions/P/state. The znode's version is the partition epoch. */
export interface PartitionState {
  /** Epoch of the controller that wrote it. */
  controllerEpoch: number
  /** −1: none. */
  leader: number
  leaderEpoch: number
  isr: readonly number[]
  leaderRecoveryState: LeaderRecoveryState
}

export function encodePartitionState(state: PartitionState): Uint8Array {
  const isRecovered = state.leaderRecoveryState === LeaderRecoveryState.RECOVERED
  return toJsonBytes({
    controller_epoch: state.controllerEpoch,
    leader: state.leader,
    version: 1,
    ...(isRecovered ? {} : { leader_recovery_state: state.leaderRecoveryState }),
    leader_epoch: state.leaderEpoch,
    isr: state.isr,
  })
}

export function decodePartitionState(data: Uint8Array | null, what = 'partition state'): PartitionState {
  const json = parseObject(data, what)
  const recovery = integerOf(json, 'leader_recovery_state', what, LeaderRecoveryState.RECOVERED)
  return {
    controllerEpoch: integerOf(json, 'controller_epoch', what),
    leader: integerOf(json, 'leader', what),
    leaderEpoch: integerOf(json, 'leader_epoch', what),
    isr: integersOf(json['isr'], `${what}, ISR`),
    leaderRecoveryState:
      recovery === LeaderRecoveryState.RECOVERING ? LeaderRecoveryState.RECOVERING : LeaderRecoveryState.RECOVERED,
  }
}

// ---- controller ----

/** `timestamp` is the wall clock in ms, for people. */
export function encodeController(brokerId: number, timestamp: number): Uint8Array {
  return toJsonBytes({ version: 2, brokerid: brokerId, timestamp: String(timestamp), kraftControllerEpoch: -1 })
}

/** The id of the broker that is the controller. */
export function decodeController(data: Uint8Array | null): number {
  return integerOf(parseObject(data, 'controller'), 'brokerid', 'controller')
}

export function encodeControllerEpoch(epoch: number): Uint8Array {
  return encodeUtf8(String(epoch))
}

export function decodeControllerEpoch(data: Uint8Array | null): number {
  const epoch = Number(textOf(data))
  if (data === null || !Number.isInteger(epoch)) throw new ZnodeFormatError(`controller epoch: ${textOf(data)}`)
  return epoch
}

// ---- cluster id, features, producer ids ----

export function encodeClusterId(id: string): Uint8Array {
  return toJsonBytes({ version: '1', id })
}

export function decodeClusterId(data: Uint8Array | null): string {
  return stringOf(parseObject(data, 'cluster id'), 'id', 'cluster id')
}

export interface FeatureZnode {
  enabled: boolean
  features: Readonly<Record<string, unknown>>
}

export function encodeFeatures(node: FeatureZnode): Uint8Array {
  return toJsonBytes({ features: node.features, version: 2, status: node.enabled ? 1 : 0 })
}

export function decodeFeatures(data: Uint8Array | null): FeatureZnode {
  const json = parseObject(data, 'features')
  return {
    enabled: integerOf(json, 'status', 'features') === 1,
    features: isObject(json['features']) ? json['features'] : {},
  }
}

/** Producer ids that one broker may hand out: from `start` to `end`, both included. */
export interface ProducerIdBlock {
  brokerId: number
  start: number
  end: number
}

export const PRODUCER_ID_BLOCK_SIZE = 1000

export function encodeProducerIdBlock(block: ProducerIdBlock): Uint8Array {
  return toJsonBytes({
    version: 1,
    broker: block.brokerId,
    block_start: String(block.start),
    block_end: String(block.end),
  })
}

/** Null before the first block was taken. */
export function decodeProducerIdBlock(data: Uint8Array | null): ProducerIdBlock | null {
  if (data === null || data.length === 0) return null
  const what = 'producer id block'
  const json = parseObject(data, what)
  return {
    brokerId: integerOf(json, 'broker', what),
    start: integerOf(json, 'block_start', what),
    end: integerOf(json, 'block_end', what),
  }
}

// ---- configuration ----

export type ConfigMap = Readonly<Record<string, string>>

export function encodeConfig(config: ConfigMap): Uint8Array {
  return toJsonBytes({ version: 1, config })
}

/** An entity without a znode, or with an empty one, has no configuration of its own. */
export function decodeConfig(data: Uint8Array | null): ConfigMap {
  if (data === null || data.length === 0) return {}
  const listed = parseObject(data, 'configuration')['config']
  if (!isObject(listed)) return {}
  return Object.fromEntries(Object.entries(listed).map(([key, value]) => [key, String(value)]))
}

/** `entityPath` is `topics/T`, `brokers/1`, `users/<default>`, `users/U/clients/C`, … */
export function encodeConfigChange(entityPath: string): Uint8Array {
  return toJsonBytes({ version: 2, entity_path: entityPath })
}

export function decodeConfigChange(data: Uint8Array | null): string {
  const what = 'notification of a configuration change'
  const json = parseObject(data, what)
  if (typeof json['entity_path'] === 'string') return json['entity_path']
  return `${stringOf(json, 'entity_type', what)}/${stringOf(json, 'entity_name', what)}`
}

// ---- requests and notifications for the controller ----

export interface TopicPartition {
  topic: string
  partition: number
}

/** /admin/preferred_replica_election and /isr_change_notification/…: a list of partitions. */
export function encodePartitionList(partitions: readonly TopicPartition[]): Uint8Array {
  return toJsonBytes({ version: 1, partitions: partitions.map(({ topic, partition }) => ({ topic, partition })) })
}

export function decodePartitionList(data: Uint8Array | null): TopicPartition[] {
  return partitionObjects(data, 'list of partitions').map((json) => topicPartitionOf(json))
}

export interface PartitionReassignment extends TopicPartition {
  replicas: readonly number[]
}

export function encodeReassignments(reassignments: readonly PartitionReassignment[]): Uint8Array {
  const partitions = reassignments.map(({ topic, partition, replicas }) => ({ topic, partition, replicas }))
  return toJsonBytes({ version: 1, partitions })
}

export function decodeReassignments(data: Uint8Array | null): PartitionReassignment[] {
  return partitionObjects(data, 'reassignment').map((json) => {
    const { topic, partition } = topicPartitionOf(json)
    return { topic, partition, replicas: integersOf(json['replicas'], `reassignment of ${topic}-${partition}`) }
  })
}

function partitionObjects(data: Uint8Array | null, what: string): Json[] {
  const listed = parseObject(data, what)['partitions']
  return Array.isArray(listed) ? listed.filter(isObject) : []
}

function topicPartitionOf(json: Json): TopicPartition {
  return {
    topic: stringOf(json, 'topic', 'list of partitions'),
    partition: integerOf(json, 'partition', 'list of partitions'),
  }
}

/** A broker tells that one of its log directories failed. */
export function encodeLogDirEvent(brokerId: number): Uint8Array {
  return toJsonBytes({ version: 1, broker: brokerId, event: 1 })
}

export function decodeLogDirEvent(data: Uint8Array | null): number {
  return integerOf(parseObject(data, 'log directory event'), 'broker', 'log directory event')
}

// ---- offsets of consumers older than the group protocol (OffsetCommit and OffsetFetch 0) ----

export function encodeConsumerOffset(offset: number): Uint8Array {
  return encodeUtf8(String(offset))
}

/** Null when there is none. */
export function decodeConsumerOffset(data: Uint8Array | null): number | null {
  const text = textOf(data)
  const offset = Number(text)
  return text === '' || !Number.isInteger(offset) ? null : offset
}
