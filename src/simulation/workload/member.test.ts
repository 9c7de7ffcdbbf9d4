import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checkGroups } from '../checker/group-checks.ts'
import { SimulatedCluster } from '../cluster/cluster.ts'
import { World } from '../world.ts'
import { PlainMember } from './member.ts'
import { PlainCluster } from './plain-cluster.ts'
import { Recorder } from './recorder.ts'

test('who takes the place of a static member, in the same generation, is no second owner to the checker', async () => {
  const world = new World(71)
  const cluster = new SimulatedCluster(world, {
    brokerFaults: {},
    zookeeperAnswersEarly: false,
    brokersSync: false,
    logDirectories: [1, 1, 1],
  })
  cluster.startAll()
  const { bootstrap } = cluster
  const recorder = new Recorder()
  const partitions = [{ topic: 't', partition: 0 }]
  let isReady = false
  world.process('admin').start(async (platform) => {
    await new PlainCluster(platform, 'admin', bootstrap).createTopics([{ name: 't', partitions: 1 }], {})
    isReady = true
  })
  assert.ok(await world.runUntil(() => isReady, 60_000))
  const assigned = () => recorder.groupEvents.filter(({ kind }) => kind === 'assigned')
  const live = (): void =>
    world.process('member').start((platform) => {
      const options = { process: 'member', group: 'g', bootstrap, partitions, pauseMs: 50, instanceId: 'place-1' }
      return new PlainMember(platform, options, recorder).run()
    })
  live()
  assert.ok(await world.runUntil(() => assigned().length === 1, 60_000))
  world.process('member').crash()
  live()
  assert.ok(await world.runUntil(() => assigned().length === 2, 60_000))
  const generations = assigned().map((event) => event.kind === 'assigned' && [event.generation, event.keys.length])
  assert.deepEqual(generations, [
    [1, 1],
    [1, 1],
  ])
  assert.deepEqual(checkGroups(recorder.groupEvents), [])
  assert.deepEqual(world.findings, [])
})
