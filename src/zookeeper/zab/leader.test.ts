/** The leader, step by step. What each known trap is about is in the name of its test. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LoggedTxn, OpCode, zxidOf } from '#zookeeper/protocol'

import { NO_ENSEMBLE_FAULTS, type EnsembleFaults } from './faults.ts'
import { Leader, type LeaderEffect } from './leader.ts'
import type { LearnerRole } from './learner.ts'
import {
  PacketType,
  ackEpochPacket,
  learnerInfoPacket,
  packet,
  pingAnswerPacket,
  requestPacket,
  revalidatePacket,
  type QuorumPacket,
} from './packets.ts'
import { hierarchyOf, majorityOf, type Quorum } from './quorum.ts'

const zxid = (epoch: number, counter: number): bigint => zxidOf(epoch) + BigInt(counter)
const ack = (id: bigint): QuorumPacket => packet(PacketType.ack, id)
const pong = pingAnswerPacket(0n, [])

/** Server 1 leads; it is at epoch 1 with transactions up to (1,3). Learners have links of their own number. */
class Stage {
  readonly leader: Leader
  nowMs = 0
  #proposed = 0

  constructor({
    quorum = majorityOf([1, 2, 3]),
    acceptedEpoch = 1,
    faults = {},
  }: { quorum?: Quorum; acceptedEpoch?: number; faults?: Partial<EnsembleFaults> } = {}) {
    this.leader = new Leader(
      {
        sid: 1,
        quorum,
        acceptedEpoch,
        currentEpoch: 1,
        lastZxid: zxid(1, 3),
        configVersion: 0n,
        configText: new Uint8Array(0),
        tickMs: 1000,
        initLimitMs: 10_000,
        syncLimitMs: 5000,
        faults: { ...NO_ENSEMBLE_FAULTS, ...faults },
      },
      0,
    )
  }

  connect(
    link: number,
    {
      sid = link,
      role = 'follower',
      acceptedEpoch = 1,
    }: { sid?: number; role?: LearnerRole; acceptedEpoch?: number } = {},
  ): string[] {
    this.leader.onConnected(link, this.nowMs)
    return this.receive(link, learnerInfoPacket(role, { sid, acceptedEpoch, configVersion: 0n }))
  }

  receive(link: number, ...packets: QuorumPacket[]): string[] {
    for (const each of packets) this.leader.onPacket(link, each, this.nowMs)
    return this.effects()
  }

  /** Says its last transaction, and the epoch that it is of. */
  acknowledgeEpoch(link: number, id = zxid(1, 3), epoch = 1): string[] {
    return this.receive(link, ackEpochPacket(id, epoch))
  }

  acceptedEpochWritten(): string[] {
    this.leader.onAcceptedEpochWritten(this.nowMs)
    return this.effects()
  }

  currentEpochWritten(): string[] {
    this.leader.onCurrentEpochWritten(this.nowMs)
    return this.effects()
  }

  logged(id: bigint): string[] {
    this.leader.onLogged(id)
    return this.effects()
  }

  disconnect(link: number): string[] {
    this.leader.onDisconnected(link)
    return this.effects()
  }

  propose(count = 1): string[] {
    for (let index = 0; index < count; index++) {
      const logged: LoggedTxn = {
        header: { clientId: 1n, cxid: 1, zxid: zxid(2, ++this.#proposed), time: 0, type: OpCode.error },
        txn: { type: OpCode.error, err: 0 },
        digest: null,
      }
      this.leader.propose(logged, LoggedTxn.encode(logged), this.nowMs)
    }
    return this.effects()
  }

  tick(nowMs: number): string[] {
    this.nowMs = nowMs
    this.leader.onTick(nowMs)
    return this.effects()
  }

  /** Without pings. */
  quietTick(nowMs: number): string[] {
    return this.tick(nowMs).filter((effect) => !effect.includes('ping'))
  }

  effects(): string[] {
    return this.leader.takeEffects().map(shown)
  }

  /** To the moment in which server 2 has synchronised and the leader is in office. */
  serving(): this {
    this.connect(2)
    this.acceptedEpochWritten()
    this.acknowledgeEpoch(2)
    this.currentEpochWritten()
    this.receive(2, ack(zxid(2, 0)))
    return this
  }

  /** Another one comes and synchronises. */
  join(link: number, options: Parameters<Stage['connect']>[1] = {}): this {
    this.connect(link, options)
    this.acknowledgeEpoch(link)
    this.receive(link, ack(zxid(2, 0)))
    return this
  }
}

function shown(effect: LeaderEffect): string {
  const at = (id: bigint): string => `${id >> 32n}:${id & 0xffff_ffffn}`
  const named = ({ type, zxid: id }: QuorumPacket): string =>
    `${Object.entries(PacketType).find(([, code]) => code === type)![0]}${id < 0n ? '' : ` ${at(id)}`}`
  switch (effect.type) {
    case 'send':
      return `${effect.link} <- ${named(effect.packet)}`
    case 'forward':
      return `${effect.links.join()} <- ${named(effect.packet)}`
    case 'synchronise':
      return `${effect.link} <- synchronise ${at(effect.zxid)}`
    case 'writeAcceptedEpoch':
    case 'writeCurrentEpoch':
    case 'serve':
      return `${effect.type} ${effect.epoch}`
    case 'append':
    case 'commit':
      return `${effect.type} ${at(effect.proposal.zxid)}`
    case 'request':
      return `request of ${effect.link}, cxid ${effect.request.cxid}`
    case 'touched':
      return `touched by ${effect.link}: ${effect.sessions.join(' ')}`
    case 'revalidate':
      return `revalidate ${effect.sessionId} for ${effect.link}`
    case 'disconnect':
      return `disconnect ${effect.link}`
    case 'synced':
    case 'over':
      return effect.type
  }
}

test('a leader from being elected to its first commit', () => {
  const stage = new Stage()
  assert.deepEqual(stage.effects(), [])
  assert.deepEqual(stage.connect(2), ['writeAcceptedEpoch 2', '2 <- leaderInfo 2:0'])
  assert.deepEqual(stage.acceptedEpochWritten(), [])
  assert.deepEqual(stage.acknowledgeEpoch(2, zxid(1, 1)), [
    'writeCurrentEpoch 2',
    '2 <- synchronise 1:1',
    '2 <- newLeader 2:0',
  ])
  assert.deepEqual(stage.currentEpochWritten(), [])
  assert.deepEqual(stage.receive(2, ack(zxid(2, 0))), ['serve 2', '2 <- upToDate'])
  assert.deepEqual(stage.receive(2, ack(zxid(2, 0))), [])
  assert.deepEqual(stage.propose(), ['2 <- proposal 2:1', 'append 2:1'])
  assert.deepEqual(stage.logged(zxid(2, 1)), [])
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), ['2 <- commit 2:1', 'commit 2:1'])
})

test('the new epoch is after every one that was accepted', () => {
  const stage = new Stage({ quorum: majorityOf([1, 2, 3, 4, 5]), acceptedEpoch: 3 })
  assert.deepEqual(stage.connect(2, { acceptedEpoch: 7 }), [])
  assert.deepEqual(stage.connect(9, { role: 'observer' }), [])
  assert.deepEqual(stage.connect(3, { acceptedEpoch: 5 }), [
    'writeAcceptedEpoch 8',
    '2 <- leaderInfo 8:0',
    '9 <- leaderInfo 8:0',
    '3 <- leaderInfo 8:0',
  ])
})

test('the leader counts only with epochs that its own disk has (trap 57)', () => {
  const stage = new Stage()
  stage.connect(2)
  assert.deepEqual(stage.acknowledgeEpoch(2), [])
  assert.deepEqual(stage.acceptedEpochWritten(), ['writeCurrentEpoch 2', '2 <- synchronise 1:3', '2 <- newLeader 2:0'])
  assert.deepEqual(stage.receive(2, ack(zxid(2, 0))), [])
  assert.deepEqual(stage.currentEpochWritten(), ['serve 2', '2 <- upToDate'])
})

test('who has promised the epoch before does not count as a promise', () => {
  const stage = new Stage()
  stage.connect(2, { acceptedEpoch: 1 })
  stage.acceptedEpochWritten()
  assert.deepEqual(stage.acknowledgeEpoch(2, zxid(1, 3), -1), [])
  stage.connect(3)
  // Once there is a quorum without it, it is synchronised like all others.
  assert.deepEqual(stage.acknowledgeEpoch(3), [
    'writeCurrentEpoch 2',
    '2 <- synchronise 1:3',
    '2 <- newLeader 2:0',
    '3 <- synchronise 1:3',
    '3 <- newLeader 2:0',
  ])
})

test('a follower that is ahead ends it, an equal one does not', () => {
  for (const [id, epoch, effects] of [
    [zxid(1, 4), 1, ['over']],
    [zxid(0, 9), 2, ['over']],
    [zxid(9, 9), 0, []],
    [zxid(1, 3), 1, []],
  ] as const) {
    const stage = new Stage({ quorum: majorityOf([1, 2, 3, 4, 5]) })
    stage.connect(2)
    stage.connect(3)
    stage.acceptedEpochWritten()
    assert.deepEqual(stage.acknowledgeEpoch(2, id, epoch), effects)
  }
})

test('NEWLEADER goes to nobody before a quorum has promised the epoch (trap 53)', () => {
  const stage = new Stage({ quorum: majorityOf([1, 2, 3, 4, 5]) })
  stage.connect(2)
  stage.connect(3)
  stage.acceptedEpochWritten()
  assert.deepEqual(stage.acknowledgeEpoch(2), [])
  assert.deepEqual(
    stage.acknowledgeEpoch(3).filter((effect) => effect.includes('newLeader')),
    ['2 <- newLeader 2:0', '3 <- newLeader 2:0'],
  )
})

test('nothing is served before a quorum has acknowledged NEWLEADER of this epoch', () => {
  const stage = new Stage({ quorum: majorityOf([1, 2, 3, 4, 5]) })
  stage.connect(2)
  stage.connect(3)
  stage.acceptedEpochWritten()
  stage.acknowledgeEpoch(2)
  stage.acknowledgeEpoch(3)
  stage.currentEpochWritten()
  assert.deepEqual(stage.receive(2, ack(zxid(2, 0))), [])
  assert.deepEqual(stage.receive(3, ack(zxid(1, 0))), ['disconnect 3', 'over'])
})

test('who comes late is proposed to from its synchronisation on (traps 50, 51)', () => {
  const stage = new Stage().serving()
  stage.propose(2)
  stage.connect(3)
  assert.deepEqual(stage.acknowledgeEpoch(3), [
    '3 <- synchronise 1:3',
    '3 <- proposal 2:1',
    '3 <- proposal 2:2',
    '3 <- newLeader 2:0',
  ])
  assert.deepEqual(stage.propose(), ['2,3 <- proposal 2:3', 'append 2:3'])
  stage.logged(zxid(2, 1))
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), ['2,3 <- commit 2:1', 'commit 2:1'])
  // It does not count before it has acknowledged NEWLEADER, nor does that acknowledge any proposal.
  stage.logged(zxid(2, 3))
  assert.deepEqual(stage.receive(3, ack(zxid(2, 0))), ['3 <- upToDate'])
  assert.deepEqual(stage.receive(3, ack(zxid(2, 2))), ['2,3 <- commit 2:2', 'commit 2:2'])
})

test('with the fault in, proposals are forgotten while a learner synchronises', () => {
  const stage = new Stage({ faults: { forgetDuringSynchronisation: true } }).serving()
  stage.connect(3)
  stage.acknowledgeEpoch(3)
  assert.deepEqual(stage.propose(), ['2 <- proposal 2:1', 'append 2:1'])
})

test('the own disk counts like that of the others, and no sooner (trap 54)', () => {
  const stage = new Stage().serving().join(3)
  stage.propose()
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), [])
  assert.deepEqual(stage.receive(3, ack(zxid(2, 1))), ['2,3 <- commit 2:1', 'commit 2:1'])
  stage.propose()
  assert.deepEqual(stage.logged(zxid(2, 2)), [])
  assert.deepEqual(stage.receive(3, ack(zxid(2, 2))), ['2,3 <- commit 2:2', 'commit 2:2'])
})

test('commits come in order, one acknowledgement stands for what is before it', () => {
  const stage = new Stage().serving().join(3)
  stage.propose(3)
  stage.logged(zxid(2, 3))
  assert.deepEqual(stage.receive(3, ack(zxid(2, 2))), [
    '2,3 <- commit 2:1',
    'commit 2:1',
    '2,3 <- commit 2:2',
    'commit 2:2',
  ])
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), [])
})

test('what a follower acknowledged before it connected anew counts no longer: it may have cut that off', () => {
  const stage = new Stage({ quorum: majorityOf([1, 2, 3, 4, 5]) })
  for (const link of [2, 3]) stage.connect(link)
  stage.acceptedEpochWritten()
  for (const link of [2, 3]) stage.acknowledgeEpoch(link)
  stage.currentEpochWritten()
  for (const link of [2, 3]) stage.receive(link, ack(zxid(2, 0)))
  stage.propose()
  stage.logged(zxid(2, 1))
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), [])
  assert.deepEqual(stage.connect(12, { sid: 2 }), ['disconnect 2', '12 <- leaderInfo 2:0'])
  assert.deepEqual(stage.acknowledgeEpoch(12, zxid(2, 1)), [
    '12 <- synchronise 2:1',
    '12 <- proposal 2:1',
    '12 <- newLeader 2:0',
  ])
  stage.receive(12, ack(zxid(2, 0)))
  assert.deepEqual(stage.receive(12, ack(zxid(2, 1))), [])
  assert.deepEqual(stage.receive(3, ack(zxid(2, 1))), ['3,12 <- commit 2:1', 'commit 2:1'])
})

test('observers and strangers are told, and never counted', () => {
  const stage = new Stage().serving().join(7, { role: 'observer' }).join(8)
  assert.deepEqual(stage.propose(), ['2,8 <- proposal 2:1', 'append 2:1'])
  stage.logged(zxid(2, 1))
  assert.deepEqual(stage.receive(8, ack(zxid(2, 1))), [])
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), ['2,8 <- commit 2:1', '7 <- inform 2:1', 'commit 2:1'])
})

test('an observer that comes late gets no proposals, and is informed of their commits', () => {
  const stage = new Stage().serving()
  stage.propose()
  stage.connect(7, { role: 'observer' })
  assert.deepEqual(stage.acknowledgeEpoch(7), ['7 <- synchronise 1:3', '7 <- newLeader 2:0'])
  stage.logged(zxid(2, 1))
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), ['2 <- commit 2:1', '7 <- inform 2:1', 'commit 2:1'])
})

test('groups and weights decide', () => {
  const quorum = hierarchyOf([
    [1, 2, 3],
    [4, 5, 6],
    [7, 8, 9],
  ])
  const stage = new Stage({ quorum })
  for (const link of [2, 3, 4]) assert.deepEqual(stage.connect(link), [])
  assert.ok(stage.connect(5).includes('writeAcceptedEpoch 2'))
})

test('a sync waits for what was proposed before it', () => {
  const stage = new Stage().serving()
  stage.leader.sync(() => {})
  assert.deepEqual(stage.effects(), ['synced'])
  stage.propose()
  stage.leader.sync(() => {})
  stage.propose()
  assert.deepEqual(stage.effects(), [])
  stage.logged(zxid(2, 2))
  assert.deepEqual(stage.receive(2, ack(zxid(2, 1))), ['2 <- commit 2:1', 'commit 2:1', 'synced'])
})

test("learners' requests, touches and revalidations are handed on", () => {
  const stage = new Stage().serving()
  const request = { sessionId: 5n, cxid: 4, type: 1, body: new Uint8Array(0), ids: [] }
  assert.deepEqual(
    stage.receive(2, requestPacket(request), pingAnswerPacket(1n, [[5n, 6000]]), revalidatePacket(5n, 6000)),
    ['request of 2, cxid 4', 'touched by 2: 5,6000', 'revalidate 5 for 2'],
  )
})

test('every tick the living must be a quorum', () => {
  const stage = new Stage().serving()
  assert.deepEqual(stage.disconnect(2), [])
  assert.deepEqual([stage.quietTick(500), stage.quietTick(1000)].flat(), ['over'])
  const silent = new Stage().serving()
  assert.deepEqual([silent.quietTick(4500), silent.quietTick(5000)].flat(), [])
  assert.deepEqual([silent.quietTick(5001), silent.quietTick(5002)].flat(), ['disconnect 2', 'over'])
})

test('a learner that does not acknowledge a proposal for syncLimit is dropped, however much it says otherwise (trap 61)', () => {
  const stage = new Stage().serving().join(3)
  stage.propose()
  stage.logged(zxid(2, 1))
  assert.deepEqual(stage.receive(3, ack(zxid(2, 1))), ['2,3 <- commit 2:1', 'commit 2:1'])
  stage.nowMs = 5000
  stage.receive(2, pong)
  stage.receive(3, pong)
  assert.deepEqual(stage.quietTick(5000), [])
  assert.deepEqual(stage.quietTick(5001), ['disconnect 2'])
})

test('a slow learner that acknowledges one after the other stays', () => {
  const stage = new Stage().serving()
  for (let second = 1; second < 20; second++) {
    stage.nowMs = second * 1000
    stage.propose()
    if (second > 3) stage.receive(2, ack(zxid(2, second - 3)))
    assert.deepEqual(stage.quietTick(second * 1000), [])
  }
})

test('a leader that nobody follows gives up after initLimit, in each of its phases', () => {
  const alone = new Stage()
  assert.deepEqual(alone.tick(10_000), [])
  assert.deepEqual(alone.tick(10_001), ['over'])
  const promised = new Stage()
  promised.nowMs = 9000
  promised.connect(2)
  assert.deepEqual(promised.tick(18_000), [])
  assert.deepEqual(promised.tick(19_001), ['over'])
})

test('followers that leave before it is in office end it at once', () => {
  const stage = new Stage()
  stage.connect(2)
  assert.deepEqual(stage.disconnect(2), ['over'])
})

test('a follower that connects anew before the leader is in office ends nothing', () => {
  const stage = new Stage()
  stage.connect(2)
  stage.acceptedEpochWritten()
  stage.leader.onConnected(5, 0)
  const info = learnerInfoPacket('follower', { sid: 2, acceptedEpoch: 2, configVersion: 0n })
  const effects = stage.receive(5, info)
  assert.deepEqual(effects, ['disconnect 2', '5 <- leaderInfo 2:0'])
})

test('a stranger is given initLimit, and no byte prolongs it', () => {
  const stage = new Stage().serving()
  stage.leader.onConnected(9, 0)
  for (let nowMs = 1000; nowMs <= 10_000; nowMs += 1000) {
    stage.leader.onProgress(9, nowMs)
    assert.deepEqual(stage.quietTick(nowMs), [])
    stage.receive(2, pong)
  }
  assert.deepEqual(stage.quietTick(10_500), ['disconnect 9'])
})

test('nobody can claim an epoch that none comes after', () => {
  const stage = new Stage()
  for (const acceptedEpoch of [0x7fff_ffff, -1, -0x8000_0000])
    assert.deepEqual(stage.connect(4, { acceptedEpoch }), ['disconnect 4'])
  stage.connect(3, { acceptedEpoch: 0x7fff_fffe })
  assert.equal(stage.leader.epoch, 0x7fff_ffff)
})

test('voters that look anew end an election that led to nothing, and no other', () => {
  const stage = new Stage()
  stage.leader.onVoterLooksAnew(999)
  assert.deepEqual(stage.effects(), [])
  stage.leader.onVoterLooksAnew(1000)
  assert.deepEqual(stage.effects(), ['over'])
  const serving = new Stage().serving()
  serving.leader.onVoterLooksAnew(5000)
  assert.deepEqual(serving.effects(), [])
})

test('a voter that has accepted a later epoch can follow only in one after that: the leader makes way', () => {
  const stage = new Stage().serving()
  assert.deepEqual(stage.connect(3, { acceptedEpoch: 3 }), ['over'])
  const observed = new Stage().serving()
  assert.deepEqual(observed.connect(7, { role: 'observer', acceptedEpoch: 3 }), ['7 <- leaderInfo 2:0'])
})

test('the last number of an epoch is not given out: the leader goes out of office', () => {
  const stage = new Stage().serving()
  const last = zxid(2, 0xffff_ffff)
  const logged: LoggedTxn = {
    header: { clientId: 1n, cxid: 1, zxid: last, time: 0, type: OpCode.error },
    txn: { type: OpCode.error, err: 0 },
    digest: null,
  }
  stage.leader.propose(logged, new Uint8Array(0), 0)
  assert.deepEqual(stage.effects(), ['over'])
})

for (const [name, packets] of [
  ['does not begin with its name', [ack(zxid(2, 0))]],
  ['calls itself like the leader', [learnerInfoPacket('follower', { sid: 1, acceptedEpoch: 1, configVersion: 0n })]],
  ['has a later list of servers', [learnerInfoPacket('follower', { sid: 3, acceptedEpoch: 1, configVersion: 7n })]],
  ['is too old to know epochs', [packet(PacketType.followerInfo, 0n, new Uint8Array(12))]],
  ['sends what is none', [packet(PacketType.followerInfo, 0n, new Uint8Array(3))]],
] as const)
  test(`a learner that ${name} is sent away`, () => {
    const stage = new Stage().serving()
    stage.leader.onConnected(3, 0)
    assert.deepEqual(stage.receive(3, ...packets), ['disconnect 3'])
    assert.deepEqual(stage.propose(), ['2 <- proposal 2:1', 'append 2:1'])
  })

test('a learner that acknowledges what was not proposed is sent away', () => {
  const stage = new Stage().serving()
  assert.deepEqual(stage.receive(2, ack(zxid(2, 5))), ['disconnect 2'])
})
