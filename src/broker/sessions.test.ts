/** A broker whose sessions with ZooKeeper end, at every moment of the way back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ZnodePath } from '#metadata/znodes'
import { World } from '#simulation'
import { ZooKeeperServer, parseZooCfg } from '#zookeeper/server'

import { Broker } from './broker.ts'
import { parseServerProperties } from './config/index.ts'

const SESSION_MS = 3000
/** Registration, /controller and what follows are done by then, if nothing comes in between. */
const HEALING_MS = 10_000

interface Setting {
  readonly world: World
  readonly broker: Broker
  readonly lines: readonly string[]
  readonly cut: () => void
  readonly mend: () => void
  /** What ZooKeeper has at the path: its czxid and the session that it belongs to; null: nothing. */
  readonly lookAt: (path: string) => Promise<{ czxid: number; isOfThisSession: boolean } | null>
}

async function started(seed: number): Promise<Setting> {
  const world = new World(seed)
  const lines: string[] = []
  world.logSink = (_, line) => void lines.push(line)
  const [zookeeper, machine] = [world.process('zookeeper'), world.process('broker')]
  const { config: zooCfg } = parseZooCfg('dataDir=/data\nclientPort=2181\nadmin.enableServer=false\ntickTime=500')
  zookeeper.start(
    async (platform) => (await ZooKeeperServer.start(platform, zooCfg)).stopped,
    (error) => world.report('ZooKeeper ended', error),
  )
  const config = parseServerProperties(
    '',
    {},
    {
      'broker.id': '1',
      listeners: 'PLAINTEXT://broker:9092',
      'log.dirs': '/data',
      'zookeeper.connect': 'zookeeper:2181',
      'zookeeper.session.timeout.ms': String(SESSION_MS),
    },
  )
  let broker: Broker | null = null
  machine.start(
    async (platform) => (broker = await Broker.start(platform, config)),
    (error) => world.report('the broker ended', error),
  )
  assert.ok(await world.runUntil(() => broker?.isController === true, 30_000), lines.join('\n'))
  const running = broker as unknown as Broker
  return {
    world,
    broker: running,
    lines,
    cut: () => world.partition([machine], [zookeeper]),
    mend() {
      world.mend([machine], [zookeeper])
      world.mend([zookeeper], [machine])
    },
    async lookAt(path) {
      const { zk } = running.services
      let found: Awaited<ReturnType<typeof zk.exists>> | undefined
      machine.signal(() => void zk.exists(path).then((stat) => (found = stat)))
      assert.ok(await world.runUntil(() => found !== undefined, 1000), 'ZooKeeper answers')
      return found == null
        ? null
        : { czxid: Number(found.czxid), isOfThisSession: found.ephemeralOwner === zk.sessionId }
    },
  }
}

async function assertHealed({ world, broker, lookAt, lines }: Setting, epochBefore: number): Promise<void> {
  const { services } = broker
  const isBack = (): boolean => services.brokerEpoch > epochBefore && broker.isController
  // By then it has heard whether its session is still there.
  await world.run(SESSION_MS)
  assert.ok(await world.runUntil(isBack, HEALING_MS), lines.slice(-15).join('\n'))
  await world.run(1000)
  assert.deepEqual(await lookAt(ZnodePath.broker(1)), { czxid: services.brokerEpoch, isOfThisSession: true })
  assert.equal((await lookAt(ZnodePath.controller))?.isOfThisSession, true)
  assert.deepEqual([...services.metadata.image.brokers.keys()], [1])
  assert.deepEqual(world.findings, [])
}

test('a session ends, the next one too, and the broker is registered and controller in the one after', async () => {
  const setting = await started(101)
  const { world, broker, cut, mend } = setting
  for (let round = 0; round < 3; round++) {
    const epoch = broker.services.brokerEpoch
    cut()
    await world.run(SESSION_MS * 2)
    mend()
    await assertHealed(setting, epoch)
  }
})

/** The way back takes some ten ms. */
const WAY_BACK_MS = 12

for (const [what, cutMs] of [
  // The connection is given up after 2 s, and the session is still there.
  ['an answer is lost', 2500],
  ['the next session ends', SESSION_MS * 2],
] as const)
  test(`the way back is cut anywhere, so that ${what}, and the broker comes back (KAFKA-7165, 14845, 1029, 5473)`, async () => {
    const setting = await started(102)
    const { world, broker, lines, cut, mend } = setting
    for (let afterMs = 0; afterMs < WAY_BACK_MS; afterMs += 0.9) {
      const epoch = broker.services.brokerEpoch
      cut()
      await world.run(SESSION_MS * 2)
      const heard = lines.length
      mend()
      const isBeginning = (): boolean => lines.slice(heard).some((line) => line.includes('beginning a new one'))
      assert.ok(await world.runUntil(isBeginning, 5000, 0.1))
      assert.equal(broker.isController, false, 'the office ends with the session')
      await world.run(afterMs)
      cut()
      await world.run(cutMs)
      mend()
      await assertHealed(setting, epoch)
    }
  })
