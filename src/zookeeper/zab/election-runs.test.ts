/** Elections among several servers whose messages are late, lost or replaced, and which crash on the way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SimulatedRandom } from '#simulation'

import { Election, type Position } from './election.ts'
import type { Notification } from './notification.ts'
import { hierarchyOf, majorityOf, type Quorum } from './quorum.ts'
import { isBetter, type Vote } from './vote.ts'

/** How long a server goes on with a leader that has no quorum, or follows one that is not there. */
const PATIENCE_MS = 1500
const FAULTS_MS = 8000
/** After the faults: a minute is the longest that a server keeps silent. */
const CALM_MS = 130_000

class Server {
  readonly sid: number
  readonly role: 'participant' | 'observer'
  position: Position
  election: Election | null = null
  officeSinceMs = 0
  /** Its leader and a quorum have found each other. */
  established = false

  constructor(sid: number, role: 'participant' | 'observer', position: Position) {
    this.sid = sid
    this.role = role
    this.position = position
  }

  /** The leader of its office, itself included; null while it is looking or dead. */
  get leader(): number | null {
    return this.election === null || this.election.state === 'looking' ? null : this.election.currentVote.leader
  }
}

class Ensemble {
  readonly random: SimulatedRandom
  readonly quorum: Quorum
  readonly servers: Server[]
  nowMs = 0
  epoch = 3
  /** One at a time from one server to another, and the newest waits behind it: a link with its one slot. */
  readonly #links = new Map<
    string,
    { from: number; to: number; atMs: number; message: Notification; waiting: Notification | null }
  >()
  /** By round and leader: who voted so. */
  readonly #supporters = new Map<string, Set<number>>()
  #loss: number

  constructor(seed: number) {
    this.random = new SimulatedRandom(`election ${seed}`)
    const voters = this.random.chance(0.5) ? 3 : 5
    this.quorum =
      this.random.chance(0.2) && voters === 5 ? hierarchyOf([[1, 2, 3], [4], [5]]) : majorityOf(range(1, voters))
    this.servers = range(1, voters + 1).map((sid) => {
      const epoch = this.random.below(3) + 1
      const position = { peerEpoch: epoch, zxid: (BigInt(epoch) << 32n) + BigInt(this.random.below(3)) }
      return new Server(sid, sid > voters ? 'observer' : 'participant', position)
    })
    this.#loss = this.random.next() * 0.4
    for (const server of this.servers) this.boot(server)
  }

  boot(server: Server): void {
    server.election = new Election({
      sid: server.sid,
      role: server.role,
      quorum: this.quorum,
      configText: '',
      finalizeWaitMs: 50,
      notificationIntervalMinMs: 200,
      notificationIntervalMaxMs: 60_000,
    })
    this.#look(server)
  }

  crash(server: Server): void {
    server.election = null
    server.established = false
    for (const [key, { from, to }] of this.#links) if (from === server.sid || to === server.sid) this.#links.delete(key)
  }

  /** Off, or on again. */
  turn(server: Server): void {
    if (server.election === null) this.boot(server)
    else this.crash(server)
  }

  /** Ends the faults. */
  calm(): void {
    this.#loss = 0
    for (const server of this.servers) if (server.election === null) this.boot(server)
  }

  step(): void {
    this.nowMs += 5
    for (const [key, link] of Array.from(this.#links)) if (link.atMs <= this.nowMs) this.#deliver(key)
    for (const server of this.servers) {
      const { election } = server
      if (election === null) continue
      if (election.nextTickMs !== null && election.nextTickMs <= this.nowMs) election.onTick(this.nowMs)
      this.#carryOut(server)
      this.#lead(server)
    }
  }

  get isSettled(): boolean {
    const leaders = new Set(this.servers.map(({ leader }) => leader))
    return leaders.size === 1 && this.servers.every(({ established }) => established)
  }

  #look(server: Server): void {
    server.established = false
    server.election!.start(server.position, this.nowMs)
    this.#carryOut(server)
  }

  #carryOut(server: Server): void {
    for (const effect of server.election!.takeEffects()) {
      if (effect.type === 'send') {
        if (effect.notification.state === 'looking') this.#checkVote(server, effect.notification)
        this.#send(server.sid, effect.to, effect.notification)
      }
      if (effect.type !== 'decided') continue
      server.officeSinceMs = this.nowMs
      if (effect.role === 'leading') this.#checkChoice(effect.vote)
    }
  }

  /** Nobody votes for one who knows less than himself. */
  #checkVote({ sid, position, role }: Server, vote: Vote): void {
    if (role === 'observer') return
    assert.ok(
      !isBetter({ leader: sid, ...position, electionEpoch: 0 }, vote, this.quorum),
      `${sid} votes against itself`,
    )
    const votes = `${vote.electionEpoch} ${vote.leader}`
    this.#supporters.set(votes, (this.#supporters.get(votes) ?? new Set()).add(sid))
  }

  /** A quorum has voted for this leader in this round, maybe before it crashed: those who follow it bring it back. */
  #checkChoice(vote: Vote): void {
    const votes = `${vote.electionEpoch} ${vote.leader}`
    const sids = new Set([...(this.#supporters.get(votes) ?? []), vote.leader])
    assert.ok(this.quorum.containsQuorum(sids), `${vote.leader} leads with the votes of ${[...sids].join()} only`)
  }

  /** What the phases after the election come to: an epoch with a quorum, or another election. */
  #lead(server: Server): void {
    const election = server.election!
    if (election.state === 'looking') return
    const leader = this.servers.find(({ sid }) => sid === server.leader)!
    if (election.state === 'leading' && !server.established) {
      const followers = this.servers.filter((other) => other.leader === server.sid)
      if (this.quorum.containsQuorum(new Set(followers.map(({ sid }) => sid)))) {
        this.epoch += 1
        this.#establish(server, this.epoch)
      }
    } else if (leader.established && leader.election?.state === 'leading' && !server.established)
      this.#establish(server, leader.position.peerEpoch)
    const followers = this.servers.filter((other) => other.leader === server.sid)
    const isAlone =
      election.state === 'leading'
        ? !this.quorum.containsQuorum(new Set(followers.map(({ sid }) => sid)))
        : !(leader.established && leader.election?.state === 'leading') ||
          leader.position.peerEpoch !== server.position.peerEpoch
    if (isAlone && this.nowMs - server.officeSinceMs > PATIENCE_MS) this.#look(server)
    else if (!isAlone) server.officeSinceMs = this.nowMs
  }

  #establish(server: Server, epoch: number): void {
    server.established = true
    server.position = { peerEpoch: epoch, zxid: BigInt(epoch) << 32n }
    server.election!.epochEstablished(epoch)
  }

  #send(from: number, to: number, message: Notification): void {
    const key = `${from} ${to}`
    const link = this.#links.get(key)
    if (link !== undefined) link.waiting = message
    else this.#links.set(key, { from, to, atMs: this.#arrivalMs(), message, waiting: null })
  }

  #deliver(key: string): void {
    const link = this.#links.get(key)!
    if (link.waiting === null) this.#links.delete(key)
    else this.#links.set(key, { ...link, message: link.waiting, waiting: null, atMs: this.#arrivalMs() })
    const receiver = this.servers.find(({ sid }) => sid === link.to)!
    if (receiver.election === null || this.random.chance(this.#loss)) return
    receiver.election.onNotification(link.from, link.message, this.nowMs)
    this.#carryOut(receiver)
  }

  #arrivalMs(): number {
    return this.nowMs + (this.random.chance(0.1) ? this.random.below(300) : this.random.below(10))
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

test('whatever happens, in the end all follow one leader', () => {
  for (let seed = 1; seed <= 150; seed++) {
    const ensemble = new Ensemble(seed)
    while (ensemble.nowMs < FAULTS_MS) {
      ensemble.step()
      for (const server of ensemble.servers) if (ensemble.random.chance(0.003)) ensemble.turn(server)
    }
    ensemble.calm()
    const endMs = ensemble.nowMs + CALM_MS
    while (!ensemble.isSettled && ensemble.nowMs < endMs) ensemble.step()
    const leaders = ensemble.servers.map(({ leader }) => leader)
    assert.ok(ensemble.isSettled, `seed ${seed}: leaders ${leaders.join()}`)
  }
})
