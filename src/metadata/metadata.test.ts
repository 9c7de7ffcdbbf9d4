import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode, ZERO_UUID } from '#protocol'
import { UpdateMetadata, type UpdateMetadataRequest } from '#protocol/messages/update-metadata'

import { MetadataImage, applyUpdateMetadata, describeBrokers, describePartitions } from './index.ts'

const ID = 'hOYwHCdPTvqH7nCYZ5aYcA'

interface TopicInput {
  name: string
  topicId?: string
  /** Leader by partition; replicas are 1, 2, 3 for all. */
  leaders: Record<number, number>
}

/** A request as it comes off the wire. */
function update(brokers: readonly number[], topics: readonly TopicInput[], controllerId = 1): UpdateMetadataRequest {
  const request = {
    controllerId,
    isKRaftController: false,
    controllerEpoch: 5,
    brokerEpoch: 1,
    topicStates: topics.map(({ name, topicId = ID, leaders }) => ({
      topicName: name,
      topicId,
      partitionStates: Object.entries(leaders).map(([index, leader]) => ({
        partitionIndex: Number(index),
        controllerEpoch: 5,
        leader,
        leaderEpoch: 2,
        isr: [1, 2],
        zkVersion: 3,
        replicas: [1, 2, 3],
        offlineReplicas: [3],
      })),
    })),
    liveBrokers: brokers.map((id) => ({
      id,
      rack: id === 1 ? 'r1' : null,
      endpoints: [
        { port: 9092 + id, host: `h${id}`, listener: 'PLAINTEXT', securityProtocol: 0 },
        ...(id === 2 ? [] : [{ port: 9192 + id, host: `h${id}`, listener: 'EXTERNAL', securityProtocol: 0 }]),
      ],
    })),
  }
  return UpdateMetadata.request.decodeWhole(UpdateMetadata.request.encodeToBytes(request, 8), 8)
}

function imageOf(...updates: UpdateMetadataRequest[]): MetadataImage {
  return updates.reduce((image, request) => applyUpdateMetadata(image, request).image, MetadataImage.empty)
}

test('brokers are all that a request lists, partitions only those that it states', () => {
  const first = update([1, 2], [{ name: 'T', leaders: { 0: 1, 1: 2 } }])
  const { image, delta } = applyUpdateMetadata(MetadataImage.empty, first)
  assert.deepEqual([delta.newBrokers, delta.lostBrokers, delta.updated.length], [[1, 2], [], 2])
  assert.equal(delta.controllerChanged, true)

  const second = applyUpdateMetadata(image, update([2, 3], [{ name: 'T', leaders: { 1: 3 } }]))
  assert.deepEqual([second.delta.newBrokers, second.delta.lostBrokers], [[3], [1]])
  assert.deepEqual(
    second.delta.updated.map(({ partition, leader }) => [partition, leader]),
    [[1, 3]],
  )
  assert.equal(second.image.partition('T', 0)?.leader, 1)
  assert.equal(second.image.isAlive(1), false)
  assert.equal(second.image.liveControllerId, -1)
  // The former image is what it was.
  assert.equal(image.partition('T', 1)?.leader, 2)
  assert.deepEqual([...image.brokers.keys()], [1, 2])
})

test('a request without partitions changes brokers and controller only', () => {
  const image = imageOf(update([1], [{ name: 'T', leaders: { 0: 1 } }]))
  const { image: next, delta } = applyUpdateMetadata(image, update([1, 2], [], 2))
  assert.equal(next.topics, image.topics)
  assert.deepEqual([next.controllerId, delta.controllerChanged, delta.updated], [2, true, []])
})

test('leader −2 removes a partition, and the last one its topic with the id', () => {
  const image = imageOf(update([1], [{ name: 'T', leaders: { 0: 1, 1: 1 } }]))
  const once = applyUpdateMetadata(image, update([1], [{ name: 'T', leaders: { 0: -2 } }]))
  assert.deepEqual(once.delta.removed, [{ topic: 'T', partition: 0 }])
  assert.equal(once.image.topicById(ID)?.partitions.size, 1)
  const twice = applyUpdateMetadata(once.image, update([1], [{ name: 'T', leaders: { 1: -2 } }]))
  assert.equal(twice.image.topic('T'), undefined)
  assert.equal(twice.image.topicName(ID), undefined)
})

test('a topic of the same name with another id takes the place of the former', () => {
  const other = 'AAAAAAAAAAAAAAAAAAAAAQ'
  const image = imageOf(
    update([1], [{ name: 'T', leaders: { 0: 1 } }]),
    update([1], [{ name: 'T', topicId: other, leaders: { 0: 1 } }]),
  )
  assert.equal(image.topicName(ID), undefined)
  assert.equal(image.topicName(other), 'T')
  assert.equal(image.topicId('T'), other)
  assert.equal(image.topicId('unknown'), ZERO_UUID)
})

const LEADERS: readonly [leader: number, listenerName: string, version: number, errorCode: number, leaderId: number][] =
  [
    [1, 'PLAINTEXT', 12, ErrorCode.NONE, 1],
    [-1, 'PLAINTEXT', 12, ErrorCode.LEADER_NOT_AVAILABLE, -1],
    [3, 'PLAINTEXT', 12, ErrorCode.LEADER_NOT_AVAILABLE, -1],
    [2, 'EXTERNAL', 12, ErrorCode.LISTENER_NOT_FOUND, -1],
    [2, 'EXTERNAL', 5, ErrorCode.LEADER_NOT_AVAILABLE, -1],
    [1, 'PLAINTEXT', 0, ErrorCode.REPLICA_NOT_AVAILABLE, 1],
  ]

for (const [leader, listenerName, version, errorCode, leaderId] of LEADERS)
  test(`a partition led by ${leader} is described to ${listenerName} v${version} with error ${errorCode}`, () => {
    const image = imageOf(update([1, 2], [{ name: 'T', leaders: { 0: leader } }]))
    const [partition] = describePartitions(image, 'T', { listenerName, version })!
    assert.deepEqual([partition?.errorCode, partition?.leaderId], [errorCode, leaderId])
    assert.deepEqual(partition?.replicaNodes, version === 0 ? [1, 2] : [1, 2, 3])
    assert.deepEqual([partition?.leaderEpoch, partition?.offlineReplicas], [2, [3]])
  })

test('a client hears of the brokers that have its listener, and of nothing unknown', () => {
  const image = imageOf(update([1, 2], []))
  assert.deepEqual(describeBrokers(image, 'EXTERNAL'), [{ nodeId: 1, host: 'h1', port: 9193, rack: 'r1' }])
  assert.equal(describeBrokers(image, 'PLAINTEXT').length, 2)
  assert.equal(describePartitions(image, 'T', { listenerName: 'PLAINTEXT', version: 12 }), undefined)
})
