/** Which replica a consumer is sent to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { World } from '#simulation'

import { chooseReadReplica } from './read-replica.ts'
import { RemoteReplica } from './remote-replica.ts'
import type { FetchPartitionResult } from './requests.ts'
import { TOPIC, TestCluster } from './test-cluster.ts'

function remote(brokerId: number, logEndOffset: number, logStartOffset = 0): RemoteReplica {
  const replica = new RemoteReplica(brokerId)
  replica.fetched(logEndOffset, logStartOffset, 100, 1)
  return replica
}

const RACKS: Readonly<Record<number, string>> = { 1: 'a', 2: 'b', 3: 'b', 4: 'c' }

function chosen(rack: string, fetchOffset: number, inSync: readonly RemoteReplica[]): number | null {
  return chooseReadReplica({ rack, leaderRack: 'a', fetchOffset, inSync, rackOf: (id) => RACKS[id] ?? null })
}

test('the furthest replica of the rack is chosen, among those that have the offset', () => {
  const replicas = [remote(2, 50), remote(3, 80), remote(4, 90)]
  assert.equal(chosen('b', 10, replicas), 3)
  assert.equal(chosen('b', 81, replicas), null)
  assert.equal(chosen('b', 10, [remote(2, 50), remote(3, 80, 20)]), 2)
  assert.equal(chosen('c', 10, replicas), 4)
  assert.equal(chosen('d', 10, replicas), null)
  assert.equal(chosen('', 10, replicas), null)
})

test('the leader is not left for a replica in its own rack', () => {
  assert.equal(chosen('a', 10, [remote(2, 50), remote(3, 80)]), null)
})

async function fetched(cluster: TestCluster, from: number, rackId: string): Promise<FetchPartitionResult> {
  const result = await cluster.manager(from).fetch({
    replicaId: -1,
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 10_000,
    isolation: 'highWatermark',
    mayReadFromFollower: true,
    rackId,
    partitions: [
      {
        topic: TOPIC,
        topicId: null,
        partition: 0,
        fetchOffset: 0,
        logStartOffset: -1,
        maxBytes: 10_000,
        currentLeaderEpoch: -1,
        lastFetchedEpoch: -1,
      },
    ],
  })
  result.release()
  return result.partitions[0]!
}

test('a consumer is sent to the replica in its rack, which answers it; without a selector it stays with the leader', async () => {
  const cluster = await TestCluster.started(new World(1), { config: { replicaSelector: 'rack-aware' } })
  await cluster.produced(1, { records: 3 })
  await cluster.world.run(1000)
  const atLeader = await fetched(cluster, 1, 'rack-2')
  assert.deepEqual([atLeader.preferredReadReplica, atLeader.records.length], [2, 0])
  const nearby = await fetched(cluster, 2, 'rack-2')
  assert.deepEqual([nearby.errorCode, nearby.preferredReadReplica], [ErrorCode.NONE, -1])
  assert.ok(nearby.records.length > 0)
  assert.ok((await fetched(cluster, 1, 'rack-1')).records.length > 0)

  const plain = await TestCluster.started(new World(2))
  await plain.produced(1)
  assert.equal((await fetched(plain, 1, 'rack-2')).preferredReadReplica, -1)
})

test('a replica outside the ISR is no choice', async () => {
  const cluster = await TestCluster.started(new World(3), { config: { replicaSelector: 'rack-aware' } })
  cluster.broker(2).isCutOff = true
  await cluster.world.run(5000)
  await cluster.produced(1)
  assert.deepEqual(cluster.isr(), [1, 3])
  assert.equal((await fetched(cluster, 1, 'rack-2')).preferredReadReplica, -1)
})
