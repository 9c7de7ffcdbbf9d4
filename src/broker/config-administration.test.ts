/** Changes of a topic's configuration that meet its deletion, or another change, on the way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decodeConfig, encodeConfig } from '#metadata/znodes'
import { silentLogger } from '#platform'
import { ErrorCode } from '#protocol'
import { ZkErrorCode, ZkMultiError, type MultiStep, type RetryingZooKeeper } from '#zookeeper/client'

import { AlterOperation, ConfigAdministration, ResourceType } from './config-administration.ts'
import { parseServerProperties } from './config/index.ts'
import type { MetadataCache } from './metadata-cache.ts'

const TOPIC = '/brokers/topics/t'
const CONFIG = '/config/topics/t'

interface Bench {
  readonly nodes: Map<string, Uint8Array>
  /** Happens once, between what is read and what is written. */
  meanwhile: () => void
  readonly notes: string[]
  change(value: string): Promise<number>
}

/** ZooKeeper as far as it is needed: a topic that exists, and a multi that is carried out as a whole or not at all. */
function bench(): Bench {
  const nodes = new Map<string, Uint8Array>([[TOPIC, new Uint8Array(0)]])
  const notes: string[] = []
  const carryOut = (steps: readonly MultiStep[]): void => {
    for (const [index, { op, path }] of steps.entries()) {
      const isThere = nodes.has(path)
      if (op === 'create' ? !isThere : isThere) continue
      const code = op === 'create' ? ZkErrorCode.NODEEXISTS : ZkErrorCode.NONODE
      throw new ZkMultiError(
        steps.map((_, at) => (at === index ? code : ZkErrorCode.OK)),
        index,
        path,
      )
    }
    for (const step of steps) if (step.op === 'create' || step.op === 'setData') nodes.set(step.path, step.data!)
  }
  const setting: Bench = {
    nodes,
    notes,
    meanwhile() {},
    async change(value) {
      const changes = [{ name: 'segment.bytes', operation: AlterOperation.SET, value }]
      const { errorCode } = await administration.alterIncrementally(ResourceType.TOPIC, 't', changes, false)
      return errorCode
    },
  }
  const zk = {
    find: (path: string) => Promise.resolve(nodes.has(path) ? { data: nodes.get(path)!, stat: {} } : null),
    exists: (path: string) => Promise.resolve(nodes.has(path) ? {} : null),
    async multi(steps: readonly MultiStep[]) {
      await Promise.resolve()
      setting.meanwhile()
      setting.meanwhile = () => {}
      carryOut(steps)
    },
    create: (path: string) => Promise.resolve(void notes.push(path)),
  } as unknown as RetryingZooKeeper
  const config = parseServerProperties('broker.id=1\nlog.dirs=/data\nzookeeper.connect=zookeeper:2181')
  const administration = new ConfigAdministration(zk, silentLogger, {
    brokerId: 1,
    metadata: { image: { topic: () => ({}) } } as unknown as MetadataCache,
    config: () => config,
    readTopic: () => Promise.resolve(new Map()),
  })
  return setting
}

const stored = ({ nodes }: Bench): object => decodeConfig(nodes.get(CONFIG) ?? null)

test('a topic that is being deleted gets no configuration any more, which the next one of its name would meet', async () => {
  for (const hadConfig of [false, true]) {
    const setting = bench()
    if (hadConfig) setting.nodes.set(CONFIG, encodeConfig({ 'segment.bytes': '1000' }))
    setting.meanwhile = () => {
      setting.nodes.delete(TOPIC)
      setting.nodes.delete(CONFIG)
    }
    assert.equal(await setting.change('2000'), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert.deepEqual([[...setting.nodes.keys()], setting.notes], [[], []])
  }
})

test('a configuration that comes or goes meanwhile is written all the same, and told once', async () => {
  const coming = bench()
  coming.meanwhile = () => coming.nodes.set(CONFIG, encodeConfig({}))
  const going = bench()
  going.nodes.set(CONFIG, encodeConfig({}))
  going.meanwhile = () => going.nodes.delete(CONFIG)
  for (const setting of [bench(), coming, going]) {
    assert.equal(await setting.change('2000'), ErrorCode.NONE)
    assert.deepEqual(stored(setting), { 'segment.bytes': '2000' })
    assert.equal(setting.notes.length, 1)
  }
})
