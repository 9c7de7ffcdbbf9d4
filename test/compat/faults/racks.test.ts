/** Six brokers in three racks: how a topic is laid out, and that preferred leaders come back with their broker. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Cluster, until } from '../../peers/index.ts'

const PARTITIONS = 12
const RACKS = ['a', 'a', 'b', 'b', 'c', 'c']

let cluster: Cluster

before(async () => {
  cluster = await Cluster.start({
    brokers: 6,
    racks: RACKS,
    heap: '384M',
    properties: { 'leader.imbalance.check.interval.seconds': 1, 'leader.imbalance.per.broker.percentage': 0 },
  })
  await cluster.createTopic({ name: 'laid-out', partitions: PARTITIONS, replicationFactor: 3 })
})

after(() => cluster?.close())

test('each partition has a replica in each rack, leaders and replicas are spread evenly', async () => {
  const partitions = await layout()
  const leaders = new Map<number, number>()
  const replicas = new Map<number, number>()
  for (const { leader, replicas: ids, isr } of partitions) {
    assert.deepEqual(new Set(ids.map((id) => RACKS[id - 1])), new Set(RACKS))
    assert.equal(leader, ids[0], 'the first replica leads')
    assert.equal(isr.length, 3)
    leaders.set(leader, (leaders.get(leader) ?? 0) + 1)
    for (const id of ids) replicas.set(id, (replicas.get(id) ?? 0) + 1)
  }
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map((id) => leaders.get(id)),
    Array<number>(6).fill(PARTITIONS / 6),
  )
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map((id) => replicas.get(id)),
    Array<number>(6).fill((PARTITIONS * 3) / 6),
  )
})

test('a killed broker loses its partitions, and has its preferred ones back after its return', async () => {
  const victim = cluster.byId(3)
  await victim.kill()
  await until('others out of the ISR lead its partitions, and it is out of every ISR', async () =>
    (await layout()).every(
      ({ leader, isr, replicas }) => isr.includes(leader) && replicas.includes(leader) && !isr.includes(3),
    ),
  )
  await victim.startAgain()
  await until(
    'the preferred replicas lead',
    async () => (await layout()).every(({ leader, replicas, isr }) => leader === replicas[0] && isr.length === 3),
    40_000,
  )
})

async function layout(): Promise<{ leader: number; replicas: number[]; isr: number[] }[]> {
  return (await cluster.metadata(['laid-out'])).topics[0]!.partitions
}
