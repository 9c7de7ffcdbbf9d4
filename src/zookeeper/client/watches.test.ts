import assert from 'node:assert/strict'
import { test } from 'node:test'

import { WatchEventType } from '#zookeeper/protocol'

import { parseConnectString } from './connect-string.ts'
import { WatchRegistry } from './watches.ts'

const EVENTS: readonly [type: keyof typeof WatchEventType, taken: string][] = [
  ['nodeCreated', 'data exist'],
  ['nodeDataChanged', 'data exist'],
  ['nodeChildrenChanged', 'child'],
  ['nodeDeleted', 'data exist child'],
]

for (const [type, taken] of EVENTS)
  test(`${type} uses up the watches for ${taken}`, () => {
    const registry = new WatchRegistry()
    const fired: string[] = []
    for (const target of ['data', 'exist', 'child'] as const) registry.add(target, '/a', () => fired.push(target))
    const event = { type: WatchEventType[type], state: 3, path: '/a' }
    registry.take(event)?.watchers.forEach((watcher) => watcher({ kind: 'created', path: '/a' }))
    assert.equal(fired.join(' '), taken)
    assert.equal(registry.size, 3 - fired.length)
    assert.deepEqual(registry.take({ ...event, path: '/b' })?.watchers, [])
  })

test('one function is called once, however often it was given', () => {
  const registry = new WatchRegistry()
  const watcher = (): void => {}
  registry.add('data', '/a', watcher)
  registry.add('data', '/a', watcher)
  registry.add('child', '/a', watcher)
  const event = { type: WatchEventType.nodeDeleted, state: 3, path: '/a' }
  assert.deepEqual(registry.take(event)?.watchers, [watcher])
})

test('many watches are set again in packets of bounded size, each path once', () => {
  const registry = new WatchRegistry()
  const paths = Array.from({ length: 100 }, (_, index) => `/watched/znode/${index}`)
  for (const path of paths) registry.add(path.endsWith('7') ? 'child' : 'data', path, () => {})
  const packets = registry.packets(42n, 500)
  assert.ok(packets.length > 3)
  for (const packet of packets) {
    const bytes = [...packet.dataWatches, ...packet.childWatches].reduce((sum, path) => sum + 4 + path.length, 0)
    assert.ok(bytes <= 500 && packet.relativeZxid === 42n)
  }
  const again = packets.flatMap(({ dataWatches, childWatches }) => [...dataWatches, ...childWatches])
  assert.deepEqual(again.sort(), paths.sort())
  assert.deepEqual(new WatchRegistry().packets(1n), [])
})

const CONNECT_STRINGS: readonly [string, string][] = [
  ['localhost:2181', 'localhost:2181 '],
  ['a:1,b:2/kafka', 'a:1 b:2 /kafka'],
  ['a, b:2 ,a/', 'a:2181 b:2 '],
  ['[::1]:2181/x/y', '::1:2181 /x/y'],
]

for (const [text, expected] of CONNECT_STRINGS)
  test(`connect string ${text}`, () => {
    const { hosts, chroot } = parseConnectString(text)
    assert.equal(`${hosts.map(({ host, port }) => `${host}:${port}`).join(' ')} ${chroot}`, expected)
  })

test('what is no connect string is refused', () => {
  for (const text of ['', '/kafka', 'a:x', 'a:99999', 'a/kafka/', 'a//b']) assert.throws(() => parseConnectString(text))
})
