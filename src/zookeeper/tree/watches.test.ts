import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AddWatchMode, WatchEventType, WatcherType } from '#zookeeper/protocol'

import { OPEN_ACL } from './acl.ts'
import { Watches, type Watcher } from './watches.ts'

const NAMES = new Map(Object.entries(WatchEventType).map(([name, type]) => [type, name]))

interface Listening extends Watcher {
  heard: string[]
}

function watcher(sessionId = 1n): Listening {
  const heard: string[] = []
  return { sessionId, heard, notify: ({ type, path }) => heard.push(`${NAMES.get(type)} ${path}`) }
}

function fire(watches: Watches): void {
  watches.created('/a/b', '/a', 1n, OPEN_ACL, OPEN_ACL)
  watches.changed('/a/b', 2n, OPEN_ACL)
  watches.deleted('/a/b', '/a', 3n, OPEN_ACL, OPEN_ACL)
}

test('a watch is told once', () => {
  const [watches, one] = [new Watches(), watcher()]
  watches.watchData('/a/b', one)
  watches.watchChildren('/a', one)
  fire(watches)
  assert.deepEqual(one.heard, ['nodeCreated /a/b', 'nodeChildrenChanged /a'])
  assert.equal(watches.count, 0)
})

test('who watches data and children of a node hears of its end once', () => {
  const [watches, one] = [new Watches(), watcher()]
  watches.watchData('/a/b', one)
  watches.watchChildren('/a/b', one)
  watches.deleted('/a/b', '/a', 1n, OPEN_ACL, OPEN_ACL)
  assert.deepEqual(one.heard, ['nodeDeleted /a/b'])
  assert.equal(watches.count, 0)
})

test('persistent watches stay, recursive ones hear of descendants and of no children', () => {
  const watches = new Watches()
  const [persistent, recursive] = [watcher(1n), watcher(2n)]
  watches.add('/a', persistent, AddWatchMode.persistent)
  watches.add('/', recursive, AddWatchMode.persistentRecursive)
  fire(watches)
  fire(watches)
  const children = ['nodeChildrenChanged /a', 'nodeChildrenChanged /a']
  assert.deepEqual(persistent.heard, [...children, ...children])
  const changes = ['nodeCreated /a/b', 'nodeDataChanged /a/b', 'nodeDeleted /a/b']
  assert.deepEqual(recursive.heard, [...changes, ...changes])
})

test('removing asks for the kind', () => {
  const [watches, one] = [new Watches(), watcher()]
  watches.watchData('/a', one)
  watches.add('/a', one, AddWatchMode.persistent)
  assert.ok(!watches.remove('/a', one, WatcherType.children))
  assert.ok(!watches.remove('/a', one, WatcherType.persistentRecursive))
  assert.ok(watches.has('/a', one, WatcherType.data))
  assert.ok(watches.remove('/a', one, WatcherType.data))
  assert.ok(!watches.has('/a', one, WatcherType.data))
  assert.ok(watches.remove('/a', one, WatcherType.any))
  assert.equal(watches.count, 0)
})

test('what a connection watched goes with it', () => {
  const watches = new Watches()
  const [one, two] = [watcher(1n), watcher(2n)]
  for (const each of [one, two]) watches.watchData('/a', each)
  watches.add('/a', one, AddWatchMode.persistentRecursive)
  assert.deepEqual(watches.summary(), { connections: 2, paths: 1, watches: 2 })
  watches.forget(one)
  watches.changed('/a', 1n, OPEN_ACL)
  assert.deepEqual([one.heard, two.heard], [[], ['nodeDataChanged /a']])
  assert.equal(watches.count, 0)
})
