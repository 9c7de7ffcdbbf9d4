import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeUtf8 } from '#base'

import {
  ZnodeFormatError,
  decodeBroker,
  decodeConfig,
  decodeConfigChange,
  decodeConsumerOffset,
  decodeController,
  decodeControllerEpoch,
  decodeFeatures,
  decodePartitionList,
  decodePartitionState,
  decodeProducerIdBlock,
  decodeReassignments,
  decodeTopic,
  desanitizeEntity,
  encodeBroker,
  encodeClusterId,
  encodeConfig,
  encodeConfigChange,
  encodeController,
  encodeControllerEpoch,
  encodeFeatures,
  encodeLogDirEvent,
  encodePartitionList,
  encodePartitionState,
  encodeProducerIdBlock,
  encodeReassignments,
  encodeTopic,
  sanitizeEntity,
  sequenceNumberOf,
  type BrokerRegistration,
  type TopicAssignment,
} from './index.ts'

const broker: BrokerRegistration = {
  id: 1,
  endpoints: [
    { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host: 'h', port: 9092 },
    { listenerName: 'INTERNAL', securityProtocol: 'SASL_SSL', host: '::1', port: 9093 },
  ],
  rack: null,
  jmxPort: -1,
  features: {},
}

const topic: TopicAssignment = {
  topicId: 'hOYwHCdPTvqH7nCYZ5aYcA',
  partitions: new Map([
    [0, { replicas: [1, 2, 3], addingReplicas: [3], removingReplicas: [1] }],
    [1, { replicas: [2, 3], addingReplicas: [], removingReplicas: [] }],
  ]),
}

const state = { controllerEpoch: 9, leader: 1, leaderEpoch: 3, isr: [1, 2] }

/** What the encoders of Kafka 3.9.1 wrote for the same values. */
const KAFKA_WROTE: readonly [string, Uint8Array, string][] = [
  [
    'controller',
    encodeController(1, 1700000000000),
    '{"version":2,"brokerid":1,"timestamp":"1700000000000","kraftControllerEpoch":-1}',
  ],
  ['controller epoch', encodeControllerEpoch(5), '5'],
  [
    'partition state',
    encodePartitionState({ ...state, leaderRecoveryState: 0 }),
    '{"controller_epoch":9,"leader":1,"version":1,"leader_epoch":3,"isr":[1,2]}',
  ],
  [
    'partition state after an unclean election',
    encodePartitionState({ ...state, leaderRecoveryState: 1 }),
    '{"controller_epoch":9,"leader":1,"version":1,"leader_recovery_state":1,"leader_epoch":3,"isr":[1,2]}',
  ],
  [
    'broker',
    encodeBroker(broker, 1795528598030),
    '{"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT","INTERNAL":"SASL_SSL"},"endpoints":["PLAINTEXT://h:9092","INTERNAL://[::1]:9093"],"jmx_port":-1,"port":9092,"host":"h","version":5,"timestamp":"1795528598030"}',
  ],
  [
    'broker with a rack',
    encodeBroker({ ...broker, rack: 'r1' }, 1795528598061),
    '{"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT","INTERNAL":"SASL_SSL"},"endpoints":["PLAINTEXT://h:9092","INTERNAL://[::1]:9093"],"rack":"r1","jmx_port":-1,"port":9092,"host":"h","version":5,"timestamp":"1795528598061"}',
  ],
  [
    'topic',
    encodeTopic(topic),
    '{"partitions":{"0":[1,2,3],"1":[2,3]},"topic_id":"hOYwHCdPTvqH7nCYZ5aYcA","adding_replicas":{"0":[3]},"removing_replicas":{"0":[1]},"version":3}',
  ],
  ['cluster id', encodeClusterId('abc'), '{"version":"1","id":"abc"}'],
  ['config', encodeConfig({ a: '1' }), '{"version":1,"config":{"a":"1"}}'],
  ['config change', encodeConfigChange('topics/T'), '{"version":2,"entity_path":"topics/T"}'],
  ['log dir event', encodeLogDirEvent(1), '{"version":1,"broker":1,"event":1}'],
  ['features', encodeFeatures({ enabled: true, features: {} }), '{"features":{},"version":2,"status":1}'],
  [
    'producer ids',
    encodeProducerIdBlock({ brokerId: 1, start: 0, end: 999 }),
    '{"version":1,"broker":1,"block_start":"0","block_end":"999"}',
  ],
  [
    'reassignment',
    encodeReassignments([{ topic: 'T', partition: 0, replicas: [1, 2] }]),
    '{"version":1,"partitions":[{"topic":"T","partition":0,"replicas":[1,2]}]}',
  ],
  [
    'preferred election',
    encodePartitionList([{ topic: 'T', partition: 0 }]),
    '{"version":1,"partitions":[{"topic":"T","partition":0}]}',
  ],
]

for (const [what, written, expected] of KAFKA_WROTE)
  test(`${what} is written byte for byte as Kafka writes it`, () => {
    assert.equal(new TextDecoder().decode(written), expected)
  })

test('what is written is read again', () => {
  assert.deepEqual(decodeBroker(1, encodeBroker({ ...broker, rack: 'r' }, 1)), { ...broker, rack: 'r' })
  assert.deepEqual(decodeTopic('T', encodeTopic(topic)), topic)
  const recovering = { ...state, leaderRecoveryState: 1 } as const
  assert.deepEqual(decodePartitionState(encodePartitionState(recovering)), recovering)
  assert.equal(decodeController(encodeController(7, 1)), 7)
  assert.equal(decodeControllerEpoch(encodeControllerEpoch(12)), 12)
  assert.deepEqual(decodeConfig(encodeConfig({ 'segment.bytes': '1048576' })), { 'segment.bytes': '1048576' })
})

test('older versions are read too', () => {
  const version1 = { version: 1, host: 'old', port: 9092, jmx_port: 9999, timestamp: '1' }
  assert.deepEqual(decodeBroker(3, json(version1)).endpoints, [
    { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host: 'old', port: 9092 },
  ])
  const version3 = { version: 3, jmx_port: -1, endpoints: ['SSL://h:9093'], rack: 'dc1' }
  assert.deepEqual(decodeBroker(3, json(version3)).endpoints, [
    { listenerName: 'SSL', securityProtocol: 'SSL', host: 'h', port: 9093 },
  ])
  assert.deepEqual(decodeTopic('T', json({ version: 1, partitions: { '0': [1, 2] } })), {
    topicId: null,
    partitions: new Map([[0, { replicas: [1, 2], addingReplicas: [], removingReplicas: [] }]]),
  })
  assert.equal(decodeController(json({ version: 1, brokerid: 4, timestamp: '1' })), 4)
  assert.equal(decodeConfigChange(json({ version: 1, entity_type: 'topics', entity_name: 'T' })), 'topics/T')
})

test('absent and empty data stand for nothing', () => {
  assert.deepEqual(decodeConfig(null), {})
  assert.equal(decodeProducerIdBlock(null), null)
  assert.equal(decodeConsumerOffset(null), null)
  assert.equal(decodeConsumerOffset(encodeUtf8('17')), 17)
  assert.deepEqual(decodeFeatures(json({ version: 2, status: 0, features: {} })), { enabled: false, features: {} })
  assert.deepEqual(decodePartitionList(json({ version: 1 })), [])
})

test('what is something else is refused with the name of the znode', () => {
  for (const bytes of [null, encodeUtf8('no json'), encodeUtf8('[1]'), json({ version: 1 })]) {
    assert.throws(() => decodeTopic('T', bytes), { name: 'ZnodeFormatError', message: /topic T/ })
    assert.throws(() => decodeBroker(1, bytes), ZnodeFormatError)
    assert.throws(() => decodePartitionState(bytes), ZnodeFormatError)
    assert.throws(() => decodeController(bytes), ZnodeFormatError)
  }
  assert.throws(() => decodeReassignments(json({ partitions: [{ topic: 'T', partition: 0, replicas: ['x'] }] })))
  assert.throws(() => decodeControllerEpoch(encodeUtf8('five')), ZnodeFormatError)
})

test('entity names are encoded as Kafka encodes them', () => {
  assert.equal(sanitizeEntity("a b*c+d~e!'(x)"), 'a%20b%2Ac%2Bd%7Ee%21%27%28x%29')
  assert.equal(sanitizeEntity('ü'), '%C3%BC')
  assert.equal(desanitizeEntity(sanitizeEntity('ü a*~')), 'ü a*~')
})

test('a notification is ordered by the number at its end', () => {
  assert.equal(sequenceNumberOf('config_change_0000000042'), 42)
  assert.ok(Number.isNaN(sequenceNumberOf('something')))
})

function json(value: unknown): Uint8Array {
  return encodeUtf8(JSON.stringify(value))
}
