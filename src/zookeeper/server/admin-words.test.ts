import assert from 'node:assert/strict'
import { test } from 'node:test'

import { adminWordOf, answerAdminWord } from './admin-words.ts'
import { ENSEMBLE_LINES, viewOfTest } from './admin/view-of-test.ts'
import type { EnsembleView } from './admin/view.ts'
import { SizeStats } from './stats.ts'

const LEADER: EnsembleView = {
  phase: 'broadcast',
  leaderSid: 2,
  leadership: {
    learners: [1, 3].map((sid) => ({
      sid,
      role: sid === 3 ? 'observer' : 'follower',
      remoteHost: '127.0.0.1',
      remotePort: 1000 + sid,
      establishedMs: 5,
      isSynced: true,
      queuedBytes: 0,
      packetsReceived: 1,
      packetsSent: 2,
      requests: 3,
      ackedZxid: 4n,
    })),
    uptimeMs: 100,
    proposals: sizes(90, 48),
  },
}

function sizes(...all: number[]): SizeStats {
  const stats = new SizeStats()
  for (const each of all) stats.add(each)
  return stats
}

test('words are told from lengths', () => {
  assert.equal(adminWordOf(0x72756f6b), 'ruok')
  assert.equal(adminWordOf(44), null)
})

test('only what the whitelist names is carried out, and what programs rely on', () => {
  const view = (words: string, more = '') => viewOfTest(`4lw.commands.whitelist=${words}\n${more}`)
  assert.equal(answerAdminWord(view('ruok, stat'), 'ruok'), 'imok')
  assert.equal(answerAdminWord(view('stat'), 'wchp'), 'wchp is not executed because it is not in the whitelist.\n')
  assert.match(answerAdminWord(view('stat'), 'srvr'), /^Zookeeper version/)
  assert.match(answerAdminWord(view('stat'), 'isro'), /not in the whitelist/)
  assert.equal(answerAdminWord(view('stat', 'readonlymode.enabled=true'), 'isro'), 'rw')
})

test('what scripts parse', () => {
  const all = viewOfTest()
  assert.match(
    answerAdminWord(all, 'srvr'),
    /^Zookeeper version: 3\.9\.\d+-.*\nLatency min\/avg\/max: 3\/3\.5\/4\nReceived: 7\nSent: 0\nConnections: 2\nOutstanding: 1\nZxid: 0x0\nMode: standalone\nNode count: 5\n$/,
  )
  for (const line of answerAdminWord(all, 'mntr').trimEnd().split('\n')) assert.match(line, /^zk_\w+\t\S/)
  for (const line of answerAdminWord(all, 'conf').trimEnd().split('\n')) assert.match(line, /^\w+=\S+$/)
  assert.equal(
    answerAdminWord(all, 'dump'),
    'SessionTracker dump:\nSession Sets (1)/(1):\n1 expire at Thu Jan 01 00:00:06 UTC 1970:\n\t0xa\n' +
      'ephemeral nodes dump:\nSessions with Ephemerals (0):\nConnections dump:\nConnections Sets (0)/(2):\n',
  )
  assert.equal(answerAdminWord(all, 'dirs'), 'datadir_size: 10\nlogdir_size: 20\n')
  assert.equal(answerAdminWord(all, 'wchs'), '0 connections watching 0 paths\nTotal watches:0\n')
  assert.equal(answerAdminWord(all, 'envi'), 'Environment:\nos.name=Linux\n')
  assert.equal(answerAdminWord(all, 'hash'), '')
  all.metrics.proposals.add()
  assert.equal(answerAdminWord(all, 'srst'), 'Server stats reset.\n')
  assert.deepEqual([all.stats.received, all.metrics.proposals.value], [0, 0])
})

test('the trace mask is kept and told', () => {
  const view = viewOfTest()
  assert.equal(answerAdminWord(view, 'gtmk'), '306')
  assert.equal(answerAdminWord(view, 'stmk', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 5)), '5')
  assert.equal(answerAdminWord(view, 'gtmk'), '5')
})

test('a leader tells of its ensemble', () => {
  const view = viewOfTest(ENSEMBLE_LINES, { role: 'leader', ensemble: LEADER })
  assert.match(
    answerAdminWord(view, 'srvr'),
    /\nMode: leader\nNode count: 5\nProposal sizes last\/min\/max: 48\/48\/90\n$/,
  )
  assert.ok(
    answerAdminWord(view, 'conf').endsWith(
      'serverId=2\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888\npeerType=0\nmembership: \n' +
        'server.1=h1:2888:3888:participant\nserver.2=h2:2888:3888:participant\nserver.3=h3:2888:3888:observer\nversion=0',
    ),
  )
  const mntr = answerAdminWord(view, 'mntr')
  for (const line of [
    'zk_server_state\tleader',
    'zk_peer_state\tleading - broadcast',
    'zk_quorum_size\t2',
    'zk_learners\t2',
    'zk_synced_followers\t1',
    'zk_synced_observers\t1',
    'zk_last_proposal_size\t48',
    'zk_leader_uptime\t100',
  ])
    assert.ok(mntr.includes(`${line}\n`), line)
})

test('a learner knows sessions, and not when they end', () => {
  const view = viewOfTest(ENSEMBLE_LINES, {
    role: 'follower',
    tracker: null,
    ensemble: { phase: 'broadcast', leaderSid: 1, leadership: null },
  })
  view.tree.sessions.set(10n, 4000)
  assert.match(
    answerAdminWord(view, 'dump'),
    /^SessionTracker dump:\nGlobal Sessions\(1\):\n0xa\t4000ms\nephemeral nodes/,
  )
  assert.doesNotMatch(answerAdminWord(view, 'mntr'), /zk_learners|zk_observer_master_id/)
})

test('a server that serves nobody says so', () => {
  const view = viewOfTest(ENSEMBLE_LINES, {
    role: null,
    ensemble: { phase: 'election', leaderSid: null, leadership: null },
  })
  const notServing = 'This ZooKeeper instance is not currently serving requests\n'
  for (const word of ['srvr', 'stat', 'mntr', 'cons', 'conf', 'dump', 'dirs', 'wchs', 'wchc', 'wchp', 'crst', 'srst'])
    assert.equal(answerAdminWord(view, word), notServing, word)
  assert.equal(answerAdminWord(view, 'isro'), 'null')
  assert.equal(answerAdminWord(view, 'ruok'), 'imok')
  assert.match(answerAdminWord(view, 'envi'), /^Environment:/)
})

test('a read-only server says so', () => {
  const view = viewOfTest(ENSEMBLE_LINES, {
    role: 'read-only',
    tracker: null,
    ensemble: { phase: 'election', leaderSid: null, leadership: null },
  })
  assert.equal(answerAdminWord(view, 'isro'), 'ro')
  assert.match(
    answerAdminWord(view, 'srvr'),
    /\nREAD-ONLY mode; serving only read-only clients\nLatency.*\nMode: read-only\n/s,
  )
  assert.doesNotMatch(answerAdminWord(view, 'conf'), /membership/)
  assert.doesNotMatch(answerAdminWord(view, 'mntr'), /peer_state|quorum_size/)
})
