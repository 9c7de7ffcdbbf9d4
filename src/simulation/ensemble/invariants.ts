/**
 * What must hold of an ensemble at every moment, by the names of ZooKeeper's TLA+ specifications:
 *
 * - Leadership1, Leadership2: an epoch has at most one leader that a quorum has acknowledged, in one life.
 * - Integrity: what is delivered was proposed by the leader of its epoch, and a zxid stands for one transaction.
 * - PrefixConsistency, TotalOrder, Agreement: all servers deliver from one history; whoever is at the same zxid has the same tree.
 * - PrimaryIntegrity, GlobalPrimaryOrder: a leader begins with everything that earlier epochs have delivered.
 * - LocalPrimaryOrder: the transactions of an epoch are delivered in the order of their proposal, without a gap.
 *
 * A history is told by its last zxid alone: a transaction follows the one before it in its epoch, and the first of an epoch follows
 * what its leader had when a quorum acknowledged it. What was delivered is therefore, per epoch, a count; each step
 * costs a few comparisons, so that they are made after every event.
 *
 * The other half is heard on the wire (`onPacket`): a commit has its quorum of acknowledgements, and a server never comes
 * back with an epoch that is older than the one it acknowledged.
 */
import { equalBytes } from '#base'

import type { Incarnation } from '../incarnation.ts'
import type { ServerMachine, SimulatedEnsemble } from './ensemble.ts'
import type { Committed } from './history.ts'
import { decidedOf } from './log-files.ts'
import { hex } from './outcome.ts'
import { viewOf, type ServerView } from './server-view.ts'
import { Packet, type WirePacket } from './wire.ts'

/** A term of a server in which clients were answered. */
export interface Office {
  readonly server: string
  readonly role: ServerView['role']
  readonly epoch: number
  readonly fromMs: number
  /** Infinity while it lasts. */
  toMs: number
}

interface Leader {
  readonly machine: ServerMachine
  readonly life: number
  /** The last transaction of earlier epochs that it began with. */
  readonly baseZxid: bigint
}

/** What was last seen of a server. */
interface Seen {
  server: ServerMachine['server']
  term: object | null
  lastZxid: bigint | null
  life: number
  view: ServerView | null
  /** The last zxid that was a transaction's. */
  lastTxn: bigint
  office: Office | null
}

interface Proposed {
  readonly bytes: Uint8Array
  readonly decided: Omit<Committed, 'atMs'>
}

interface Epochs {
  accepted: bigint
  current: bigint
}

/** How long a server may take to stop after its log could not be written. */
const STOP_MS_MAX = 1500

export class Invariants {
  readonly faults = new Set<string>()
  readonly committed: Committed[] = []
  readonly offices: Office[] = []
  readonly #ensemble: SimulatedEnsemble
  readonly #seen = new Map<ServerMachine, Seen>()
  readonly #leaders = new Map<number, Leader>()
  /** The last transaction that any server in office has delivered, and of each epoch how many. */
  #lastDelivered = 0n
  readonly #delivered = new Map<bigint, bigint>()
  readonly #trees = new Map<bigint, { digest: bigint; sessions: number; server: string }>()
  readonly #proposed = new Map<bigint, Proposed>()
  /** By follower: the highest zxid that it has acknowledged to the leader of the epoch of that zxid. */
  readonly #acknowledged = new Map<string, bigint>()
  /** What each life of a learner has acknowledged, and the epoch of the last LEADERINFO that it was sent. */
  readonly #epochs = new Map<Incarnation, Epochs>()
  readonly #offered = new Map<Incarnation, bigint>()

  constructor(ensemble: SimulatedEnsemble) {
    this.#ensemble = ensemble
    for (const machine of ensemble.machines)
      this.#seen.set(machine, {
        server: null,
        term: null,
        lastZxid: null,
        life: 0,
        view: null,
        lastTxn: 0n,
        office: null,
      })
  }

  get elections(): number {
    return this.#leaders.size
  }

  /** To be called when everything that followed from an event has happened. */
  afterEvent(): void {
    for (const machine of this.#ensemble.machines) this.#look(machine)
  }

  /** The terms of a server that were in force at some moment between these. */
  officesOf(server: string, fromMs: number, toMs: number): Office[] {
    return this.offices.filter((office) => office.server === server && office.fromMs <= toMs && office.toMs >= fromMs)
  }

  #look(machine: ServerMachine): void {
    const seen = this.#seen.get(machine)!
    if (machine.logFailedMs !== null) this.#checkStops(machine)
    if (!this.#hasChanged(machine, seen)) return
    const view = viewOf(machine)
    if (view === null || view.role === null) {
      this.#leaveOffice(seen)
      this.#note(seen, machine, view)
      return
    }
    const before = seen.life === machine.lives && seen.office !== null ? seen.view : null
    if (
      before !== null &&
      before.epoch === view.epoch &&
      before.lastZxid === view.lastZxid &&
      before.role === view.role
    )
      return
    if (seen.office === null || seen.office.epoch !== view.epoch || seen.office.role !== view.role)
      this.#takeOffice(machine, seen, view)
    else if (view.lastZxid < before!.lastZxid)
      this.#add(
        `PrefixConsistency: ${machine.process.name} goes back from ${hex(before!.lastZxid)} to ${hex(view.lastZxid)}`,
      )
    this.#note(seen, machine, view)
    if (view.role === 'leader') this.#deliver(seen.lastTxn, view.epoch)
    this.#checkDelivered(machine, seen.lastTxn)
    this.#checkTree(machine, seen.lastTxn, view)
  }

  /** After most events nothing has. */
  #hasChanged({ server, process }: ServerMachine, seen: Seen): boolean {
    const running = process.isRunning ? server : null
    const term = running?.term ?? null
    const lastZxid = running?.tree.lastZxid ?? null
    if (running === seen.server && term === seen.term && lastZxid === seen.lastZxid) return false
    seen.server = running
    seen.term = term
    seen.lastZxid = lastZxid
    return true
  }

  #note(seen: Seen, machine: ServerMachine, view: ServerView | null): void {
    seen.life = machine.lives
    seen.view = view
    if (view !== null && isTxn(view.lastZxid)) seen.lastTxn = view.lastZxid
    if (view !== null && view.lastZxid === 0n) seen.lastTxn = 0n
  }

  #takeOffice(machine: ServerMachine, seen: Seen, view: ServerView): void {
    this.#leaveOffice(seen)
    const { world } = this.#ensemble
    const { role, epoch } = view
    seen.office = { server: machine.process.name, role, epoch, fromMs: world.nowMs, toMs: Infinity }
    this.offices.push(seen.office)
    if (role === 'leader') this.#lead(machine, seen, view)
    else if (role !== 'standalone' && !this.#leaders.has(epoch))
      this.#add(`Leadership: ${machine.process.name} is ${role} in epoch ${epoch}, which nobody leads`)
  }

  #leaveOffice(seen: Seen): void {
    if (seen.office !== null) seen.office.toMs = this.#ensemble.world.nowMs
    seen.office = null
  }

  #lead(machine: ServerMachine, seen: Seen, { epoch, lastZxid }: ServerView): void {
    const known = this.#leaders.get(epoch)
    if (known !== undefined && (known.machine !== machine || known.life !== machine.lives))
      this.#add(
        `Leadership: epoch ${epoch} is led by ${known.machine.process.name} and by ${machine.process.name}, in its life ${machine.lives}`,
      )
    if (known !== undefined) return
    for (const later of this.#leaders.keys())
      if (later > epoch) this.#add(`Leadership: ${machine.process.name} begins to lead epoch ${epoch} after ${later}`)
    const baseZxid = isTxn(lastZxid) && epochOf(lastZxid) < epoch ? lastZxid : seen.lastTxn
    this.#leaders.set(epoch, { machine, life: machine.lives, baseZxid })
    this.#deliver(baseZxid, epoch)
  }

  /** What a leader has in its tree is delivered. */
  #deliver(zxid: bigint, epoch: number): void {
    if (zxid <= this.#lastDelivered) {
      if (
        zxid < this.#lastDelivered &&
        this.#leaders.get(epoch)?.baseZxid === zxid &&
        epochOf(this.#lastDelivered) < epoch
      )
        this.#add(
          `PrimaryIntegrity: the leader of epoch ${epoch} begins at ${hex(zxid)}, and ${hex(this.#lastDelivered)} has been delivered`,
        )
      return
    }
    const segments: [from: bigint, to: bigint][] = []
    let end = zxid
    for (;;) {
      const first = (end >> 32n) << 32n
      if (first <= this.#lastDelivered) break
      segments.push([first, end])
      const leader = this.#leaders.get(epochOf(end))
      if (leader === undefined) {
        if (end !== 0n) this.#add(`Integrity: ${hex(end)} is delivered, and nobody has led its epoch`)
        break
      }
      end = leader.baseZxid
    }
    const isContinued = end >= this.#lastDelivered && epochOf(end) === epochOf(this.#lastDelivered)
    if (!isContinued && this.#lastDelivered > 0n)
      this.#add(
        `PrefixConsistency: the history of ${hex(zxid)} leaves that of ${hex(this.#lastDelivered)}, which has been delivered, at ${hex(end)}`,
      )
    if (end > this.#lastDelivered) this.#commit(this.#lastDelivered, end)
    for (const [from, to] of segments.reverse()) this.#commit(from, to)
    this.#lastDelivered = zxid
  }

  /** Everything after `from` up to `to`, of one epoch. */
  #commit(from: bigint, to: bigint): void {
    this.#delivered.set(to >> 32n, to)
    let logged: Map<bigint, Uint8Array> | null = null
    for (let zxid = from + 1n; zxid <= to; zxid++) {
      let proposed = this.#proposed.get(zxid)
      if (proposed === undefined) {
        logged ??= this.#logged(epochOf(to))
        const bytes = logged.get(zxid)
        if (bytes !== undefined) this.#proposed.set(zxid, (proposed = { bytes, decided: decidedOf(bytes) }))
      }
      if (proposed === undefined) {
        this.#add(`Integrity: ${hex(zxid)} is delivered, and was not proposed to anybody`)
        continue
      }
      this.#checkQuorum(zxid)
      this.committed.push({ ...proposed.decided, atMs: this.#ensemble.world.nowMs })
    }
  }

  /**
   * What the leader of an epoch has logged. It may have died before anybody else had it, and come back with it: to lead again, or to
   * give it to another, who then leads, in a snapshot.
   */
  #logged(epoch: number): Map<bigint, Uint8Array> {
    const leader = this.#leaders.get(epoch)
    return leader === undefined ? new Map() : this.#ensemble.logOf(leader.machine.sid)
  }

  /** In the epoch of its proposal a transaction is committed by acknowledgements; in later ones by the history of a leader. */
  #checkQuorum(zxid: bigint): void {
    const epoch = epochOf(zxid)
    if (Math.max(...this.#leaders.keys()) !== epoch) return
    const leader = this.#leaders.get(epoch)!.machine
    const has = this.#ensemble.voters.filter(
      ({ process }) => process === leader.process || (this.#acknowledged.get(process.name) ?? 0n) >= zxid,
    )
    if (!this.#ensemble.isQuorum(new Set(has.map(({ sid }) => sid))))
      this.#add(
        `Agreement: ${hex(zxid)} is delivered with the acknowledgements of ${has.map(({ process }) => process.name).join()} only`,
      )
  }

  #checkDelivered(machine: ServerMachine, zxid: bigint): void {
    if (this.#ensemble.options.voters === 1 || zxid === 0n) return
    const last = this.#delivered.get(zxid >> 32n)
    if (last === undefined || zxid > last)
      this.#add(`PrefixConsistency: ${machine.process.name} serves ${hex(zxid)}, which is not delivered`)
  }

  #checkTree(machine: ServerMachine, zxid: bigint, { digest, sessions }: ServerView): void {
    const { name } = machine.process
    const known = this.#trees.get(zxid)
    if (known === undefined) this.#trees.set(zxid, { digest, sessions: sessions.size, server: name })
    else if (known.digest !== digest)
      this.#add(`Agreement: at ${hex(zxid)} ${name} has another tree than ${known.server}`)
    else if (known.sessions !== sessions.size)
      this.#add(
        `Agreement: at ${hex(zxid)} ${name} has ${sessions.size} sessions, ${known.server} has ${known.sessions}`,
      )
  }

  /** What the disk holds is unknown: the server must not go on. */
  #checkStops(machine: ServerMachine): void {
    const { process, logFailedMs } = machine
    if (!process.isRunning || process.isPaused || this.#ensemble.world.nowMs - logFailedMs! < STOP_MS_MAX) return
    machine.logFailedMs = null
    this.#add(`${process.name} goes on after its transaction log could not be written`)
  }

  /** A packet arrived, at the learner or from there. */
  onPacket(learner: Incarnation, toLearner: boolean, leader: Incarnation, packet: WirePacket): void {
    switch (packet.type) {
      case Packet.proposal:
      case Packet.inform:
        return toLearner ? this.#onProposal(leader.name, packet) : undefined
      case Packet.ack:
        return toLearner ? undefined : this.#onAck(learner, packet.zxid)
      case Packet.followerInfo:
        return this.#onFollowerInfo(learner, packet.zxid >> 32n)
      case Packet.ackEpoch:
        return this.#onAckEpoch(learner, packet)
      case Packet.leaderInfo:
        this.#offered.set(learner, packet.zxid >> 32n)
    }
  }

  #onProposal(leader: string, { zxid, data }: WirePacket): void {
    const known = this.#proposed.get(zxid)
    if (known !== undefined) {
      if (!equalBytes(known.bytes, data!))
        this.#add(`Integrity: ${hex(zxid)} stands for two transactions; the second comes from ${leader}`)
      return
    }
    const decided = decidedOf(data!)
    if (decided.zxid !== zxid) this.#add(`Integrity: ${leader} proposes ${hex(decided.zxid)} as ${hex(zxid)}`)
    this.#proposed.set(zxid, { bytes: data!, decided })
    const led = this.#leaders.get(epochOf(zxid))
    if (led === undefined) this.#add(`Integrity: ${leader} proposes ${hex(zxid)} in an epoch that nobody leads`)
  }

  #onAck(learner: Incarnation, zxid: bigint): void {
    if (!isTxn(zxid)) {
      const epochs = this.#epochsOf(learner)
      if (zxid >> 32n > epochs.current) epochs.current = zxid >> 32n
    } else if (zxid > (this.#acknowledged.get(learner.name) ?? 0n)) this.#acknowledged.set(learner.name, zxid)
  }

  #onFollowerInfo(learner: Incarnation, accepted: bigint): void {
    const before = this.#epochsBefore(learner)
    if (accepted < before.accepted)
      this.#add(`${learner.name} comes back with accepted epoch ${accepted}, and had acknowledged ${before.accepted}`)
  }

  #onAckEpoch(learner: Incarnation, { data }: WirePacket): void {
    const epochs = this.#epochsOf(learner)
    const offered = this.#offered.get(learner) ?? 0n
    if (offered > epochs.accepted) epochs.accepted = offered
    const current = new DataView(data!.buffer, data!.byteOffset).getInt32(0)
    const before = this.#epochsBefore(learner)
    if (current !== -1 && BigInt(current) < before.current)
      this.#add(`${learner.name} comes back with current epoch ${current}, and had acknowledged ${before.current}`)
  }

  #epochsOf(learner: Incarnation): Epochs {
    let epochs = this.#epochs.get(learner)
    if (epochs === undefined) this.#epochs.set(learner, (epochs = { accepted: 0n, current: 0n }))
    return epochs
  }

  /** What a server acknowledged in its earlier lives. Within a life the order of arrival, over several connections, tells nothing. */
  #epochsBefore(learner: Incarnation): Epochs {
    const before = { accepted: 0n, current: 0n }
    for (const [other, { accepted, current }] of this.#epochs) {
      if (other.name !== learner.name || other.startedMs >= learner.startedMs) continue
      if (accepted > before.accepted) before.accepted = accepted
      if (current > before.current) before.current = current
    }
    return before
  }

  #add(fault: string): void {
    if (this.faults.size < FAULTS_MAX) this.faults.add(`${this.#ensemble.world.nowMs.toFixed(0)}: ${fault}`)
  }
}

/** One fault leads to others. */
const FAULTS_MAX = 20

function epochOf(zxid: bigint): number {
  return Number(zxid >> 32n)
}

/** The marker of an epoch's beginning is none. */
function isTxn(zxid: bigint): boolean {
  return (zxid & 0xffff_ffffn) !== 0n
}
