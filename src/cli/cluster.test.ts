import assert from 'node:assert/strict'
import { test } from 'node:test'

import { faultsOf, toText, viewOf } from './cluster.ts'

const BROKERS = [2, 1].map((nodeId) => ({ nodeId, host: 'h', port: 9090 + nodeId, rack: nodeId === 1 ? 'r' : null }))

function topic(name: string, partitions: [leader: number, replicas: number[], isr: number[]][]) {
  return {
    name,
    topicId: '',
    isInternal: false,
    partitionCount: partitions.length,
    partitions: partitions.map(([leader, replicas, isr], partition) => ({
      partition,
      leader,
      leaderEpoch: 0,
      replicas,
      isr,
      offlineReplicas: [],
    })),
  }
}

test('a cluster at a glance', () => {
  const view = viewOf({ clusterId: 'c', controllerId: 2, brokers: BROKERS }, [
    topic('a', [
      [1, [1, 2], [1, 2]],
      [1, [1, 2], [1]],
      [-1, [2], [2]],
    ]),
  ])
  assert.equal(
    toText(view),
    `Cluster     c
Controller  2
Partitions  3 in 1 topic, 1 under-replicated, 1 offline

BROKER  ADDRESS  RACK  REPLICAS  LEADS  WHICH
1       h:9091   r     2         2      a:0-1
2 *     h:9092   -     3         0

TOPIC  PARTITION  LEADER  REPLICAS  ISR  STATE
a      2          none    2         2    offline
a      1          1       1,2       1    under-replicated`,
  )
  assert.deepEqual(faultsOf(view), ['offline: a:2', 'under-replicated: a:1'])
})

test('a cluster that is well has no faults; one without a controller has', () => {
  const well = [topic('a', [[1, [1, 2], [2, 1]]])]
  assert.deepEqual(faultsOf(viewOf({ clusterId: 'c', controllerId: 1, brokers: BROKERS }, well)), [])
  assert.deepEqual(faultsOf(viewOf({ clusterId: 'c', controllerId: null, brokers: [] }, well)), [
    'the cluster has no controller',
  ])
})
