/** The learner, step by step. What each known trap is about is in the name of its test. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LoggedTxn, OpCode, zxidOf } from '#zookeeper/protocol'

import { NO_ENSEMBLE_FAULTS, type EnsembleFaults } from './faults.ts'
import { Learner, type LearnerEffect, type LearnerRole } from './learner.ts'
import { PacketType, ackEpochOf, packet, type QuorumPacket } from './packets.ts'

const zxid = (epoch: number, counter: number): bigint => zxidOf(epoch) + BigInt(counter)

function bytesOf(id: bigint): Uint8Array {
  return LoggedTxn.encode({
    header: { clientId: 1n, cxid: 1, zxid: id, time: 0, type: OpCode.error },
    txn: { type: OpCode.error, err: 0 },
    digest: null,
  })
}

const leaderInfo = (epoch: number): QuorumPacket =>
  packet(PacketType.leaderInfo, zxidOf(epoch), Uint8Array.of(0, 1, 0, 0))
const diff = (id: bigint): QuorumPacket => packet(PacketType.diff, id)
const proposal = (id: bigint): QuorumPacket => packet(PacketType.proposal, id, bytesOf(id))
const inform = (id: bigint): QuorumPacket => packet(PacketType.inform, id, bytesOf(id))
const commit = (id: bigint): QuorumPacket => packet(PacketType.commit, id)
const newLeader = (epoch: number): QuorumPacket => packet(PacketType.newLeader, zxidOf(epoch), new Uint8Array(0))
const upToDate = packet(PacketType.upToDate, -1n)

/** A learner at epoch 1 with transactions up to (1,3), and what it has been asked to do. */
class Stage {
  readonly learner: Learner
  nowMs = 0

  constructor({
    role = 'follower',
    acceptedEpoch = 1,
    currentEpoch = 1,
    lastZxid = zxid(1, 3),
    snapshotWantedIn = null,
    faults = {},
  }: {
    role?: LearnerRole
    acceptedEpoch?: number
    currentEpoch?: number
    lastZxid?: bigint
    snapshotWantedIn?: number | null
    faults?: Partial<EnsembleFaults>
  } = {}) {
    this.learner = new Learner(
      {
        sid: 1,
        role,
        acceptedEpoch,
        currentEpoch,
        lastZxid,
        configVersion: 0n,
        initLimitMs: 10_000,
        syncLimitMs: 5000,
        snapshotWantedIn,
        faults: { ...NO_ENSEMBLE_FAULTS, ...faults },
      },
      0,
    )
  }

  /** Hands packets in, and says what they led to. */
  receive(...packets: QuorumPacket[]): string[] {
    for (const each of packets) this.learner.onPacket(each, this.nowMs)
    return this.effects()
  }

  logged(id: bigint): string[] {
    this.learner.onLogged(id, this.nowMs)
    return this.effects()
  }

  acceptedEpochWritten(): string[] {
    this.learner.onAcceptedEpochWritten(this.nowMs)
    return this.effects()
  }

  currentEpochWritten(): string[] {
    this.learner.onCurrentEpochWritten(this.nowMs)
    return this.effects()
  }

  synchronised(last: bigint, wanted = last): string[] {
    this.learner.onSynchronised(last, wanted, this.nowMs)
    return this.effects()
  }

  tick(nowMs: number): string[] {
    this.nowMs = nowMs
    this.learner.onTick(nowMs)
    return this.effects()
  }

  effects(): string[] {
    return this.learner.takeEffects().map(shown)
  }

  /** To the moment after ACKEPOCH of epoch 2. */
  accepted(): this {
    this.receive(leaderInfo(2))
    this.acceptedEpochWritten()
    return this
  }

  /** To the moment after UPTODATE of epoch 2, nothing missing. */
  serving(): this {
    this.accepted().receive(diff(zxid(1, 3)), newLeader(2))
    this.currentEpochWritten()
    this.receive(upToDate)
    return this
  }
}

function shown(effect: LearnerEffect): string {
  const at = (id: bigint): string => `${id >> 32n}:${id & 0xffff_ffffn}`
  switch (effect.type) {
    case 'send': {
      const { type } = effect.packet
      const name = Object.entries(PacketType).find(([, code]) => code === type)![0]
      const epoch = type === PacketType.ackEpoch ? `, epoch ${ackEpochOf(effect.packet)}` : ''
      return `send ${name} ${at(effect.packet.zxid)}${epoch}`
    }
    case 'append':
    case 'commit':
      return `${effect.type} ${at(effect.proposal.zxid)}`
    case 'truncate':
    case 'loadSnapshot':
    case 'answerPing':
      return `${effect.type} ${at(effect.zxid)}`
    case 'writeAcceptedEpoch':
    case 'writeCurrentEpoch':
    case 'serve':
      return `${effect.type} ${effect.epoch}`
    case 'revalidated':
      return `revalidated ${effect.sessionId} ${effect.valid}`
    case 'synced':
      return 'synced'
    case 'over':
      return effect.fatal ? 'over, fatally' : 'over'
  }
}

test('a follower from its first word to the first write', () => {
  const stage = new Stage()
  assert.deepEqual(stage.effects(), ['send followerInfo 1:0'])
  assert.deepEqual(stage.receive(leaderInfo(2)), ['writeAcceptedEpoch 2'])
  assert.deepEqual(stage.acceptedEpochWritten(), ['send ackEpoch 1:3, epoch 1'])
  assert.deepEqual(stage.receive(diff(zxid(1, 4)), proposal(zxid(1, 4)), commit(zxid(1, 4)), newLeader(2)), [
    'append 1:4',
    'commit 1:4',
  ])
  assert.deepEqual(stage.logged(zxid(1, 4)), ['writeCurrentEpoch 2'])
  assert.deepEqual(stage.currentEpochWritten(), ['send ack 2:0'])
  assert.deepEqual(stage.receive(upToDate), ['send ack 2:0', 'serve 2'])
  assert.deepEqual(stage.receive(proposal(zxid(2, 1))), ['append 2:1'])
  assert.deepEqual(stage.logged(zxid(2, 1)), ['send ack 2:1'])
  assert.deepEqual(stage.receive(commit(zxid(2, 1))), ['commit 2:1'])
})

test('the accepted epoch is on disk before it is acknowledged (trap 57)', () => {
  const stage = new Stage()
  stage.effects()
  assert.deepEqual(stage.receive(leaderInfo(2)), ['writeAcceptedEpoch 2'])
  assert.deepEqual(stage.tick(1000), [])
  assert.deepEqual(stage.acceptedEpochWritten(), ['send ackEpoch 1:3, epoch 1'])
})

test('an epoch that was acknowledged before is not acknowledged as a promise again', () => {
  const stage = new Stage({ acceptedEpoch: 2 })
  stage.effects()
  assert.deepEqual(stage.receive(leaderInfo(2)), ['send ackEpoch 1:3, epoch -1'])
})

test('a leader of an epoch before the accepted one is not followed', () => {
  const stage = new Stage({ acceptedEpoch: 3 })
  stage.effects()
  assert.deepEqual(stage.receive(leaderInfo(2)), ['over'])
})

test('NEWLEADER is acknowledged only when everything before it is on disk, the current epoch last (traps 49, 51)', () => {
  const stage = new Stage().accepted()
  stage.receive(diff(zxid(1, 5)), proposal(zxid(1, 4)), commit(zxid(1, 4)), proposal(zxid(1, 5)), commit(zxid(1, 5)))
  assert.deepEqual(stage.receive(newLeader(2)), [])
  assert.deepEqual(stage.logged(zxid(1, 4)), [])
  assert.deepEqual(stage.logged(zxid(1, 5)), ['writeCurrentEpoch 2'])
  assert.deepEqual(stage.logged(zxid(1, 5)), [])
  assert.deepEqual(stage.currentEpochWritten(), ['send ack 2:0'])
})

test('what is proposed while a follower synchronises is on disk, too, before NEWLEADER is acknowledged, and is acknowledged after it', () => {
  const stage = new Stage().accepted()
  stage.receive(diff(zxid(1, 3)), proposal(zxid(2, 1)), newLeader(2))
  assert.deepEqual(stage.receive(proposal(zxid(2, 2))), ['append 2:2'])
  assert.deepEqual(stage.logged(zxid(2, 1)), ['writeCurrentEpoch 2'])
  assert.deepEqual(stage.currentEpochWritten(), ['send ack 2:0', 'send ack 2:1'])
  assert.deepEqual(stage.logged(zxid(2, 2)), ['send ack 2:2'])
  assert.deepEqual(stage.receive(commit(zxid(2, 1)), upToDate), ['commit 2:1', 'send ack 2:0', 'serve 2'])
  assert.deepEqual(stage.receive(commit(zxid(2, 2))), ['commit 2:2'])
})

test('with the fault in, NEWLEADER is acknowledged early', () => {
  const stage = new Stage({ faults: { acknowledgeNewLeaderEarly: true } }).accepted()
  stage.receive(diff(zxid(1, 4)), proposal(zxid(1, 4)), commit(zxid(1, 4)))
  assert.deepEqual(stage.receive(newLeader(2)), ['writeCurrentEpoch 2'])
})

test('a hole in what the leader sends is not taken (trap 50)', () => {
  for (const next of [zxid(1, 5), zxid(2, 2), zxid(0, 9)]) {
    const stage = new Stage().accepted()
    const effects = stage.receive(diff(next), proposal(next), commit(next), newLeader(2))
    assert.deepEqual(effects, next < zxid(1, 3) ? ['writeCurrentEpoch 2'] : ['over'])
  }
})

test('what is known already is passed over: Apache proposes again what is in its snapshot', () => {
  const stage = new Stage().accepted()
  assert.deepEqual(stage.receive(packet(PacketType.snap, zxid(1, 9))), ['loadSnapshot 1:9'])
  assert.deepEqual(stage.synchronised(zxid(1, 9)), [])
  const known = [proposal(zxid(1, 8)), commit(zxid(1, 8)), proposal(zxid(1, 9)), commit(zxid(1, 9))]
  assert.deepEqual(stage.receive(...known, proposal(zxid(1, 10)), commit(zxid(1, 10))), ['append 1:10', 'commit 1:10'])
})

test('after a snapshot that broke off nothing is acknowledged, and the next attempt begins with the old state (trap 52)', () => {
  const stage = new Stage().accepted()
  stage.receive(packet(PacketType.snap, zxid(1, 9)))
  stage.learner.onDisconnected('the leader died')
  assert.deepEqual(stage.effects(), ['over'])
  assert.deepEqual(stage.synchronised(zxid(1, 9)), [])
  const again = new Stage({ acceptedEpoch: 2 })
  again.effects()
  assert.deepEqual(again.receive(leaderInfo(3)), ['writeAcceptedEpoch 3'])
  assert.deepEqual(again.acceptedEpochWritten(), ['send ackEpoch 1:3, epoch 1'])
})

test('nothing is taken while a snapshot is not durable', () => {
  const stage = new Stage().accepted()
  stage.receive(packet(PacketType.snap, zxid(1, 9)))
  assert.deepEqual(stage.receive(newLeader(2)), ['over'])
})

test('a log that does not end where TRUNC says is no base to go on from', () => {
  for (const [last, wanted, effects] of [
    [zxid(1, 2), zxid(1, 2), []],
    [zxid(1, 1), zxid(1, 2), ['over']],
    [zxid(1, 3), zxid(1, 2), ['over']],
    // No log has the beginning of an epoch.
    [zxid(0, 7), zxid(1, 0), []],
  ] as const) {
    const stage = new Stage().accepted()
    stage.receive(packet(PacketType.trunc, wanted))
    assert.deepEqual(stage.synchronised(last, wanted), effects)
  }
})

test('a history that cannot be cut is told as none, to the leader of the same epoch only', () => {
  const again = new Stage({ acceptedEpoch: 2, snapshotWantedIn: 2 })
  assert.deepEqual(again.receive(leaderInfo(2)), ['send followerInfo 2:0', 'send ackEpoch 0:0, epoch -1'])
  assert.deepEqual(again.receive(packet(PacketType.snap, zxid(1, 2))), ['loadSnapshot 1:2'])
  assert.deepEqual(again.synchronised(zxid(1, 2)), [])
  assert.deepEqual(again.receive(newLeader(2)), ['writeCurrentEpoch 2'])

  const merged = new Stage({ acceptedEpoch: 2, snapshotWantedIn: 2 })
  merged.receive(leaderInfo(2))
  assert.deepEqual(merged.receive(diff(0n)), ['over, fatally'], 'nothing is added to what has not gone')

  const later = new Stage({ acceptedEpoch: 2, snapshotWantedIn: 2 })
  later.receive(leaderInfo(3))
  assert.deepEqual(later.acceptedEpochWritten(), ['send ackEpoch 1:3, epoch 1'], 'whose history counts')
})

test('UPTODATE before the acknowledgement is not believed (trap 53)', () => {
  const stage = new Stage().accepted()
  assert.deepEqual(stage.receive(diff(zxid(1, 3)), newLeader(2)), ['writeCurrentEpoch 2'])
  assert.deepEqual(stage.receive(upToDate), ['over'])
})

test('NEWLEADER of another epoch is not acknowledged', () => {
  const stage = new Stage().accepted()
  assert.deepEqual(stage.receive(diff(zxid(1, 3)), newLeader(3)), ['over'])
})

test('a commit that is not of the next proposal stops the server', () => {
  const stage = new Stage().serving()
  stage.receive(proposal(zxid(2, 1)), proposal(zxid(2, 2)))
  assert.deepEqual(stage.receive(commit(zxid(2, 2))), ['over, fatally'])
  assert.deepEqual(new Stage().serving().receive(commit(zxid(2, 1))), ['over, fatally'])
})

test('a proposal is acknowledged only once the own disk has it (trap 54), also if it is committed before', () => {
  const stage = new Stage().serving()
  assert.deepEqual(stage.receive(proposal(zxid(2, 1)), proposal(zxid(2, 2))), ['append 2:1', 'append 2:2'])
  assert.deepEqual(stage.receive(commit(zxid(2, 1))), ['commit 2:1'])
  assert.deepEqual(stage.logged(zxid(2, 2)), ['send ack 2:1', 'send ack 2:2'])
})

test('pings are answered from the acknowledgement of NEWLEADER on', () => {
  const ping = packet(PacketType.ping, zxid(2, 0))
  const stage = new Stage().accepted()
  assert.deepEqual(stage.receive(diff(zxid(1, 3)), ping), [])
  stage.receive(newLeader(2))
  stage.currentEpochWritten()
  assert.deepEqual(stage.receive(ping), ['answerPing 2:0'])
})

test('a silent leader is given up after initLimit, and after syncLimit once NEWLEADER is acknowledged', () => {
  const stage = new Stage()
  stage.effects()
  assert.deepEqual(stage.tick(10_000), [])
  assert.deepEqual(stage.tick(10_001), ['over'])
  const serving = new Stage().serving()
  assert.deepEqual(serving.tick(5000), [])
  assert.deepEqual(serving.tick(5001), ['over'])
})

test('while the own disk is busy it is not the leader who is silent', () => {
  const stage = new Stage()
  stage.receive(leaderInfo(2))
  assert.deepEqual(stage.tick(60_000), [])
  assert.deepEqual(stage.acceptedEpochWritten(), ['send ackEpoch 1:3, epoch 1'])
  assert.deepEqual(stage.tick(60_500), [])
})

test('an observer is informed, logs what is committed, and acknowledges no proposal', () => {
  const stage = new Stage({ role: 'observer' })
  assert.deepEqual(stage.effects(), ['send observerInfo 1:0'])
  stage.accepted()
  assert.deepEqual(stage.receive(diff(zxid(1, 4)), proposal(zxid(1, 4)), commit(zxid(1, 4))), [
    'append 1:4',
    'commit 1:4',
  ])
  // A leader of before 3.6 sends an observer what is outstanding, and informs it once that is committed.
  assert.deepEqual(stage.receive(proposal(zxid(2, 1))), [])
  assert.deepEqual(stage.receive(newLeader(2)), [])
  assert.deepEqual(stage.logged(zxid(1, 4)), ['writeCurrentEpoch 2'])
  assert.deepEqual(stage.currentEpochWritten(), ['send ack 2:0'])
  assert.deepEqual(stage.receive(upToDate), ['send ack 2:0', 'serve 2'])
  assert.deepEqual(stage.receive(inform(zxid(2, 1))), ['append 2:1', 'commit 2:1'])
  assert.deepEqual(stage.logged(zxid(2, 1)), [])
  const activate = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 3, ...bytesOf(zxid(2, 2))])
  assert.deepEqual(stage.receive(packet(PacketType.informAndActivate, zxid(2, 2), activate)), [
    'append 2:2',
    'commit 2:2',
  ])
  assert.deepEqual(stage.receive(inform(zxid(2, 4))), ['over'])
})

test('COMMITANDACTIVATE commits as COMMIT does', () => {
  const stage = new Stage().serving()
  stage.receive(proposal(zxid(2, 1)))
  assert.deepEqual(stage.receive(packet(PacketType.commitAndActivate, zxid(2, 1), new Uint8Array(8))), ['commit 2:1'])
})

test('what cannot be read ends the connection', () => {
  const stage = new Stage().serving()
  assert.deepEqual(stage.receive(packet(PacketType.proposal, zxid(2, 1), Uint8Array.of(1, 2, 3))), ['over'])
  assert.deepEqual(new Stage().serving().receive(packet(PacketType.proposal, zxid(2, 2), bytesOf(zxid(2, 1)))), [
    'over',
  ])
})
