/** What stands in the way of a restart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ClusterDescription, TopicDescription } from '#client'

import { judgeRestart } from './restart-safety.ts'

const cluster: ClusterDescription = {
  clusterId: 'c',
  controllerId: 1,
  brokers: [1, 2, 3].map((nodeId) => ({ nodeId, host: 'h', port: nodeId, rack: null })),
}

function topic(name: string, ...partitions: readonly { replicas: number[]; isr: number[] }[]): TopicDescription {
  return {
    name,
    topicId: '',
    isInternal: false,
    partitionCount: partitions.length,
    partitions: partitions.map(({ replicas, isr }, partition) => ({
      partition,
      leader: isr[0] ?? -1,
      leaderEpoch: 0,
      replicas,
      isr,
      offlineReplicas: [],
    })),
  }
}

function reasonsAgainst(id: number, topics: readonly TopicDescription[], minIsr = 1): readonly string[] {
  return judgeRestart(id, cluster, topics, new Map(topics.map(({ name }) => [name, minIsr]))).reasons
}

test('a broker may go when everything stays available without it', () => {
  const topics = [topic('t', { replicas: [1, 2, 3], isr: [1, 2, 3] }, { replicas: [2, 3], isr: [2, 3] })]
  assert.deepEqual(judgeRestart(1, cluster, topics, new Map([['t', 2]])), { safe: true, reasons: [] })
})

test('it may not when it is the only replica, the last in sync, or one of the least that must be', () => {
  assert.match(reasonsAgainst(1, [topic('a', { replicas: [1], isr: [1] })]).join(), /nobody else has a replica of a:0/)
  assert.match(reasonsAgainst(1, [topic('b', { replicas: [1, 2], isr: [1] })]).join(), /nobody else is in sync in b:0/)
  const c = topic('c', { replicas: [1, 2, 3], isr: [1, 2] }, { replicas: [1, 2, 3], isr: [1, 2, 3] })
  assert.match(reasonsAgainst(1, [c], 2).join(), /fewer than min\.insync\.replicas would be in sync in c:0$/)
  assert.deepEqual(reasonsAgainst(1, [c], 1), [])
  assert.deepEqual(reasonsAgainst(3, [c], 2), [], 'one that lags is not missed')
})

test('a broker that is not there, and a cluster without a controller', () => {
  assert.match(reasonsAgainst(7, []).join(), /not in the cluster, which has 1, 2, 3/)
  const { reasons } = judgeRestart(1, { ...cluster, controllerId: null }, [], new Map())
  assert.match(reasons.join(), /no controller/)
})
