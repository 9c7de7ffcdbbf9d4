import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Consumer, Producer } from '#client'

import { eventually, platform, startTestCluster } from './consumer-cluster.ts'

const RECORDS = 300

test('a group reads on when a broker leaves that led partitions or coordinated it; nothing is missed, and nothing read out of order', async () => {
  await using cluster = await startTestCluster(3)
  const { bootstrapServers } = cluster
  const topic = 'failover'
  await cluster.admin.createTopics([{ name: topic, partitions: 6, replicationFactor: 3 }])
  await using producer = new Producer(platform, { bootstrapServers })
  const seen = new Map<string, number[]>()
  const members = [0, 1].map(
    () =>
      new Consumer(platform, {
        bootstrapServers,
        groupId: 'failover-group',
        autoOffsetReset: 'earliest',
        autoCommitIntervalMs: 50,
        heartbeatIntervalMs: 100,
        sessionTimeoutMs: 6000,
        fetchMaxWaitMs: 50,
        partitionAssignmentStrategy: ['cooperative-sticky'],
      }),
  )
  const runs = members.map((member, index) => {
    member.subscribe(topic)
    return member.run({
      eachMessage({ partition, offset }) {
        const key = `${index} ${partition}`
        seen.set(key, [...(seen.get(key) ?? []), offset])
      },
    })
  })
  const send = async (from: number): Promise<void> => {
    for (let index = from; index < from + RECORDS / 3; index++)
      await producer.send(topic, { key: null, value: String(index), partition: index % 6 })
  }
  await send(0)
  await eventually('both share the partitions', () => members.every((member) => member.assignment().length === 3))
  const [{ coordinator } = { coordinator: -1 }] = await cluster.admin.groups.describe(['failover-group'])
  const leaving = cluster.brokers.findIndex((_, index) => index + 1 === coordinator)
  const left = cluster.brokers[leaving]!.close()
  await send(RECORDS / 3)
  await left
  await send((2 * RECORDS) / 3)
  const read = (): Set<string> =>
    new Set([...seen].flatMap(([key, offsets]) => offsets.map((offset) => `${key.split(' ')[1]}@${offset}`)))
  await eventually('all is read', () => read().size === RECORDS)
  await Promise.all(members.map((member) => member.close()))
  await Promise.all(runs)
  for (const offsets of seen.values())
    assert.deepEqual(
      [...offsets].sort((a, b) => a - b),
      offsets,
      'in order, at each member',
    )
  const lag = await cluster.admin.groups.lag('failover-group')
  assert.deepEqual(
    lag.map(({ lag: records }) => records),
    [0, 0, 0, 0, 0, 0],
  )
})
