import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SessionTracker, ZnodeTree } from '#zookeeper/tree'

import { adminWordOf, answerAdminWord, type AdminView } from './admin-words.ts'
import { parseZooCfg } from './config.ts'
import { TrafficStats } from './stats.ts'

function view(whitelist: string): AdminView {
  const tree = ZnodeTree.fresh({ extendedTypes: false })
  const stats = new TrafficStats()
  stats.received = 7
  stats.latency.add(3)
  stats.latency.add(4)
  const sessions = new SessionTracker(1000, 0)
  sessions.track(10n, 5000, 0)
  return {
    config: parseZooCfg(`dataDir=/d\nclientPort=1\n4lw.commands.whitelist=${whitelist}`).config,
    tree,
    sessions,
    stats,
    connections: [],
    connectionCount: 2,
    outstanding: 1,
    port: 2181,
    uptimeMs: 12.5,
    syncs: { count: 0, totalMs: 0, maxMs: 0 },
    snapshotBytes: () => 10,
    logBytes: () => 20,
    wallOfSessionMs: (ms) => ms,
  }
}

test('words are told from lengths', () => {
  assert.equal(adminWordOf(0x72756f6b), 'ruok')
  assert.equal(adminWordOf(44), null)
})

test('only what the whitelist names is carried out', () => {
  assert.equal(answerAdminWord(view('srvr, ruok'), 'ruok'), 'imok')
  assert.equal(answerAdminWord(view('srvr'), 'wchp'), 'wchp is not executed because it is not in the whitelist.\n')
})

test('what scripts parse', () => {
  const all = view('*')
  assert.match(
    answerAdminWord(all, 'srvr'),
    /^Zookeeper version: 3\.9\.\d+-.*\nLatency min\/avg\/max: 3\/3\.5\/4\nReceived: 7\nSent: 0\nConnections: 2\nOutstanding: 1\nZxid: 0x0\nMode: standalone\nNode count: 5\n$/,
  )
  for (const line of answerAdminWord(all, 'mntr').trimEnd().split('\n')) assert.match(line, /^zk_\w+\t\S/)
  for (const line of answerAdminWord(all, 'conf').trimEnd().split('\n')) assert.match(line, /^\w+=\S+$/)
  assert.match(
    answerAdminWord(all, 'dump'),
    /^SessionTracker dump:\nSession Sets \(1\)\/\(1\):\n1 expire at .*:\n\t0xa\nephemeral nodes dump:/,
  )
  assert.equal(answerAdminWord(all, 'dirs'), 'datadir_size: 10\nlogdir_size: 20\n')
  assert.equal(answerAdminWord(all, 'wchs'), '0 connections watching 0 paths\nTotal watches:0\n')
  assert.equal(answerAdminWord(all, 'srst'), 'Server stats reset.\n')
  assert.equal(all.stats.received, 0)
})
