import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ZnodePath, encodeConfig } from '#metadata/znodes'
import { silentLogger } from '#platform'
import type { RetryingZooKeeper } from '#zookeeper/client'

import { ConfigError, parseServerProperties } from './config/index.ts'
import { DynamicConfig } from './dynamic-config.ts'

const GIVEN = parseServerProperties('broker.id=1\nlog.dirs=/data\nzookeeper.connect=zookeeper:2181')

/** What `/config/brokers` holds, and what the broker says of it. */
function bench(): {
  dynamic: DynamicConfig
  lines: string[]
  reload: (perBroker: Record<string, string>, ofAll?: Record<string, string>) => Promise<void>
} {
  const stored = new Map<string, Uint8Array>()
  const zk = {
    find: (path: string) => Promise.resolve(stored.has(path) ? { data: stored.get(path)!, stat: {} } : null),
  } as unknown as RetryingZooKeeper
  const lines: string[] = []
  const logger = { ...silentLogger, warn: (line: string) => void lines.push(line) }
  const dynamic = new DynamicConfig(zk, logger, 1, GIVEN)
  return {
    dynamic,
    lines,
    async reload(perBroker, ofAll = {}) {
      stored.set(ZnodePath.config('brokers', '1'), encodeConfig(perBroker))
      stored.set(ZnodePath.config('brokers', '<default>'), encodeConfig(ofAll))
      await dynamic.reload()
    },
  }
}

test('a value that is none is left out with a warning, and the rest holds', async () => {
  const { dynamic, lines, reload } = bench()
  await reload({ 'message.max.bytes': 'many', 'max.connections': '7' }, { 'message.max.bytes': '2000' })
  assert.deepEqual([dynamic.config.maxConnections, dynamic.config.messageMaxBytes], [7, 2000])
  assert.deepEqual(lines, ['/config/brokers/1: message.max.bytes is ignored: expected a whole number, not "many"'])
})

test('what is taken and not carried out yet is named when it changes, and not again', async () => {
  const { dynamic, lines, reload } = bench()
  await reload({}, { 'log.retention.ms': '1000', 'num.io.threads': '16' })
  assert.equal(dynamic.config.logRetentionMs, 1000)
  await reload({ 'max.connections': '7' }, { 'log.retention.ms': '1000', 'num.io.threads': '16' })
  assert.deepEqual(lines, ['configurations that are not carried out yet: log.retention.ms'])
})

test('a change that cannot be prepared is not in force, is tried again, and nobody hears of it before', async () => {
  const { dynamic, lines, reload } = bench()
  const heard: number[] = []
  dynamic.onChange(({ maxConnections }) => heard.push(maxConnections))
  dynamic.prepare = () => Promise.reject(new ConfigError('the port is taken'))
  await reload({ 'max.connections': '7' })
  assert.notEqual(dynamic.config.maxConnections, 7)
  assert.deepEqual([heard, lines], [[], ['the changed configuration in ZooKeeper is not obeyed: the port is taken']])
  dynamic.prepare = () => Promise.resolve()
  await reload({ 'max.connections': '7' })
  assert.deepEqual([dynamic.config.maxConnections, heard], [7, [7]])
  await reload({ 'max.connections': '7' })
  assert.deepEqual(heard, [7], 'what is the same is no change')
})
