import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LoggedTxn, OpCode } from '#zookeeper/protocol'

import { World } from '../world.ts'
import { SimulatedEnsemble, type ServerMachine } from './ensemble.ts'
import { Invariants } from './invariants.ts'
import { Packet } from './wire.ts'

type Role = 'leader' | 'follower' | null

/** Three servers that are what the test says. */
class Stage {
  readonly world = new World(1)
  readonly ensemble = new SimulatedEnsemble(this.world, {
    voters: 3,
    observers: 0,
    groups: null,
    snapCount: 100,
    commitLogCount: 100,
    logKb: 0,
    separateLogs: false,
    settings: [],
    faults: {},
  })
  readonly invariants = new Invariants(this.ensemble)

  static async open(): Promise<Stage> {
    const stage = new Stage()
    for (const { process } of stage.ensemble.machines) process.start(() => new Promise(() => {}))
    await stage.world.run(1)
    return stage
  }

  machine(sid: number): ServerMachine {
    return this.ensemble.machines[sid - 1]!
  }

  is(sid: number, role: Role, epoch: number, lastZxid: bigint, digest = lastZxid): this {
    const machine = this.machine(sid)
    const term = role === null ? null : { role, firstZxid: BigInt(epoch) << 32n }
    machine.lives = Math.max(machine.lives, 1)
    machine.server = { term, tree: { lastZxid, digest, sessions: new Map() } } as unknown as ServerMachine['server']
    this.invariants.afterEvent()
    return this
  }

  proposes(leader: number, zxid: bigint, data = ''): this {
    const bytes = LoggedTxn.encode({
      header: { clientId: 7n, cxid: 1, zxid, time: 0, type: OpCode.setData },
      txn: { type: OpCode.setData, path: '/a', data: new TextEncoder().encode(data), version: 1 },
      digest: null,
    })
    return this.#hears(leader === 1 ? 2 : 1, true, leader, Packet.proposal, zxid, bytes)
  }

  acknowledges(learner: number, zxid: bigint): this {
    return this.#hears(learner, false, learner === 1 ? 2 : 1, Packet.ack, zxid, null)
  }

  #hears(
    learner: number,
    toLearner: boolean,
    leader: number,
    type: number,
    zxid: bigint,
    data: Uint8Array | null,
  ): this {
    const lifeOf = (sid: number): NonNullable<ServerMachine['process']['incarnation']> =>
      this.machine(sid).process.incarnation!
    this.invariants.onPacket(lifeOf(learner), toLearner, lifeOf(leader), { type, zxid, data })
    return this
  }

  /** Without the moment, the first words. */
  get faults(): string[] {
    return [...this.invariants.faults].map((fault) => fault.replace(/^\d+: /, '').replace(/[:,].*$/, ''))
  }
}

const E1 = 1n << 32n
const E2 = 2n << 32n

async function led(): Promise<Stage> {
  const stage = await Stage.open()
  stage.is(1, 'leader', 1, 0n).is(2, 'follower', 1, 0n).is(3, 'follower', 1, 0n)
  stage.proposes(1, E1 + 1n).acknowledges(2, E1 + 1n)
  return stage.is(1, 'leader', 1, E1 + 1n).is(2, 'follower', 1, E1 + 1n)
}

test('an epoch, and the next one that goes on from it', async () => {
  const stage = await led()
  stage
    .is(1, null, 0, E1 + 1n)
    .is(2, 'leader', 2, E1 + 1n)
    .is(3, 'follower', 2, E1 + 1n)
  stage
    .proposes(2, E2 + 1n)
    .acknowledges(3, E2 + 1n)
    .is(2, 'leader', 2, E2 + 1n)
  assert.deepEqual(stage.faults, [])
  assert.deepEqual(
    stage.invariants.committed.map(({ zxid }) => zxid),
    [E1 + 1n, E2 + 1n],
  )
})

test('two leaders of one epoch', async () => {
  const stage = await led()
  assert.deepEqual(stage.is(2, 'leader', 1, E1 + 1n).faults, ['Leadership'])
})

test('a leader that lacks what was delivered', async () => {
  const stage = await led()
  assert.deepEqual(stage.is(3, 'leader', 2, 0n).faults, ['PrimaryIntegrity'])
})

test('a follower that is ahead of all, and one that goes back', async () => {
  const ahead = await led()
  assert.deepEqual(ahead.is(3, 'follower', 1, E1 + 2n).faults, ['PrefixConsistency'])
  const back = await led()
  assert.deepEqual(back.is(2, 'follower', 1, 0n).faults, ['PrefixConsistency'])
})

test('different trees at one zxid', async () => {
  const stage = await led()
  assert.deepEqual(stage.is(3, 'follower', 1, E1 + 1n, 99n).faults, ['Agreement'])
})

test('a commit without a quorum', async () => {
  const stage = await led()
  assert.deepEqual(stage.proposes(1, E1 + 2n).is(1, 'leader', 1, E1 + 2n).faults, ['Agreement'])
})

test('a commit of what was never proposed, and one zxid for two transactions', async () => {
  const unknown = await led()
  assert.deepEqual(unknown.is(1, 'leader', 1, E1 + 2n).faults, ['Integrity'])
  const twice = await led()
  assert.deepEqual(twice.proposes(1, E1 + 1n, 'another').faults, ['Integrity'])
})

test('proposals of an epoch that nobody leads', async () => {
  const stage = await led()
  assert.deepEqual(stage.proposes(3, E2 + 1n).faults, ['Integrity'])
})
