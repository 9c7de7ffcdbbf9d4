/**
 * A term as leader: carries out what the leader's machine says, over the connections of its learners.
 * Source: Leader, LearnerHandler.
 */
import { ByteWriter, encodeUtf8 } from '#base'
import type { Socket, Timer } from '#platform'
import { LoggedTxn, hexLong, zxidOf, type LoggedBytes } from '#zookeeper/protocol'
import {
  Leader,
  PacketType,
  SNAPSHOT_SIGNATURE,
  packet,
  revalidatedPacket,
  syncPlan,
  writePacket,
  type LeaderEffect,
} from '#zookeeper/zab'

import { ProposalTimes } from '../metrics/proposal-times.ts'
import { Effects } from './effects.ts'
import type { LeaderOffice, LearnerPort, LearnerView, TermContext } from './office.ts'
import { PacketSocket } from './packet-socket.ts'

/** What a learner gets from the log on disk at most; read in one piece, so it bounds a pause of the leader. */
const LOG_SYNC_BYTES_MAX = 1 << 24
/** Connections that have not said who they are; the oldest goes first. The port is open to everyone. */
const STRANGERS_MAX = 64
/** What is believed of a stranger's first packet, which has 20 bytes, and of a learner's: a request, or its clients' signs of life. */
const STRANGER_PACKET_BYTES_MAX = 1024
const LEARNER_PACKET_BYTES_MAX = 1 << 26
/** Missing transactions go out in pieces of about this size. */
const PIECE_BYTES = 1 << 16

/** One connection of a learner, for the server too: it owns the sessions of its clients. */
class LearnerLink implements LearnerPort {
  readonly number: number
  readonly socket: PacketSocket
  readonly establishedMs: number
  requests = 0
  readonly #sidOf: () => number

  constructor(number: number, socket: PacketSocket, establishedMs: number, sidOf: () => number) {
    this.number = number
    this.socket = socket
    this.establishedMs = establishedMs
    this.#sidOf = sidOf
  }

  get sid(): number {
    return this.#sidOf()
  }

  synced(): void {
    this.socket.send(packet(PacketType.sync, 0n))
  }
}

type EffectOfLink = 'request' | 'touched' | 'revalidate' | 'synchronise' | 'disconnect'

export class LeaderTerm {
  /** Resolves with the reason when the term is over, nothing of it is under way, and the server is retired. */
  readonly ended: Promise<string>
  readonly #context: TermContext
  readonly #machine: Leader
  readonly #effects: Effects<LeaderEffect>
  readonly #links = new Map<number, LearnerLink>()
  /** Those of them that have not said who they are, oldest first. */
  readonly #strangers = new Set<LearnerLink>()
  readonly #times: ProposalTimes
  #lastLink = 0
  #office: LeaderOffice | null = null
  #isOver = false
  #timer: Timer
  /** ms that the process stood still: silence that nobody is blamed for. */
  #stalledMs = 0
  /** Epoch files on their way to the disk. */
  #writing: Promise<void> = Promise.resolve()
  readonly #resolveEnded: (reason: string) => void

  constructor(context: TermContext) {
    this.#context = context
    this.#times = new ProposalTimes(context.server.metrics)
    const { promise, resolve } = Promise.withResolvers<string>()
    this.ended = promise
    this.#resolveEnded = resolve
    const { ensemble, tickTimeMs, replica, epochs, faults } = context
    this.#machine = new Leader(
      {
        sid: ensemble.sid,
        quorum: ensemble.quorum,
        acceptedEpoch: epochs.accepted,
        currentEpoch: epochs.current,
        lastZxid: replica.lastLoggedZxid,
        configVersion: ensemble.configVersion,
        configText: encodeUtf8(ensemble.configText),
        tickMs: tickTimeMs,
        initLimitMs: ensemble.initLimit * tickTimeMs,
        syncLimitMs: ensemble.syncLimit * tickTimeMs,
        faults,
      },
      this.#now(),
    )
    this.#effects = new Effects(this.#machine, (effect) => this.#carryOut(effect))
    replica.onSynced = (zxid) => {
      this.#machine.onLogged(zxid)
      this.#effects.drain()
    }
    this.#timer = this.#nextTick()
    this.#effects.drain()
  }

  get machine(): Leader {
    return this.#machine
  }

  get epoch(): number {
    return this.#machine.epoch
  }

  accept(socket: Socket): void {
    if (this.#isOver) return socket.destroy()
    if (this.#strangers.size >= STRANGERS_MAX)
      for (const oldest of this.#strangers.values().take(1))
        oldest.socket.destroy(new Error('too many others came before it said who it is'))
    const number = ++this.#lastLink
    const { platform } = this.#context
    const sidOf = (): number => this.#machine.sidOf(number)
    const link = new LearnerLink(number, new PacketSocket(platform, socket), platform.clock.now(), sidOf)
    this.#links.set(number, link)
    this.#strangers.add(link)
    link.socket.packetBytesMax = STRANGER_PACKET_BYTES_MAX
    this.#machine.onConnected(number, this.#now())
    link.socket.start({
      onPacket: (received) => {
        if (this.#strangers.delete(link)) link.socket.packetBytesMax = LEARNER_PACKET_BYTES_MAX
        if (received.type === PacketType.ack) this.#times.onAcknowledged(link.sid, received.zxid, this.#now())
        this.#machine.onPacket(number, received, this.#now())
        this.#effects.drain()
      },
      onHeard: () => this.#machine.onProgress(number, this.#now()),
      onProgress: () => this.#machine.onProgress(number, this.#now()),
      onClose: (error) => this.#onClose(link, error),
    })
    return undefined
  }

  onVoterLooksAnew(): void {
    this.#machine.onVoterLooksAnew(this.#now())
    this.#effects.drain()
  }

  end(reason: string): void {
    this.#machine.stepDown(reason)
    this.#effects.drain()
  }

  learners(): LearnerView[] {
    return this.#machine.learners(this.#now()).map(({ link: number, sid, role, isSynced, ackedZxid }) => {
      const { socket, establishedMs, requests } = this.#links.get(number)!
      const { remoteHost, remotePort, queuedBytes, packetsReceived, packetsSent } = socket
      return {
        sid,
        role,
        remoteHost,
        remotePort,
        establishedMs,
        isSynced,
        queuedBytes,
        packetsReceived,
        packetsSent,
        requests,
        ackedZxid,
      }
    })
  }

  #now(): number {
    return this.#context.platform.clock.monotonic() - this.#stalledMs
  }

  #nextTick(): Timer {
    return this.#context.platform.clock.setTimer(this.#context.tickTimeMs / 2, (lateMs) => {
      this.#stalledMs += lateMs
      this.#timer = this.#nextTick()
      this.#machine.onTick(this.#now())
      this.#effects.drain()
    })
  }

  #onClose(link: LearnerLink, error: Error | null): void {
    this.#links.delete(link.number)
    this.#strangers.delete(link)
    this.#context.platform.logger.info(
      `the connection of ${this.#nameOf(link)} has ended${error === null ? '' : `: ${error.message}`}`,
    )
    this.#machine.onDisconnected(link.number)
    this.#effects.drain()
  }

  #carryOut(effect: LeaderEffect): void {
    if (this.#isOver) return undefined
    const { replica, server, epochs } = this.#context
    switch (effect.type) {
      case 'send':
        return this.#links.get(effect.link)?.socket.send(effect.packet)
      case 'forward':
        for (const link of effect.links) this.#links.get(link)?.socket.send(effect.packet)
        return undefined
      case 'append':
        this.#times.onProposed(effect.proposal.zxid, effect.proposal.bytes.length, this.#now())
        return replica.append(effect.proposal.zxid, effect.proposal.bytes)
      case 'commit':
        this.#times.onCommitted(effect.proposal.zxid, this.#now())
        return server.commit(effect.proposal.logged)
      case 'synced':
        return effect.ready()
      case 'request':
      case 'touched':
      case 'revalidate':
      case 'synchronise':
      case 'disconnect': {
        const link = this.#links.get(effect.link)
        return link === undefined ? undefined : this.#carryOutFor(link, effect)
      }
      case 'writeAcceptedEpoch':
        return this.#write(epochs.accept(effect.epoch), () => this.#machine.onAcceptedEpochWritten(this.#now()))
      case 'writeCurrentEpoch':
        return this.#write(epochs.enter(effect.epoch), () => this.#machine.onCurrentEpochWritten(this.#now()))
      case 'serve':
        return this.#serve(effect.epoch)
      case 'over':
        return this.#end(effect.reason)
    }
  }

  #carryOutFor(link: LearnerLink, effect: Extract<LeaderEffect, { type: EffectOfLink }>): void {
    switch (effect.type) {
      case 'request':
        link.requests++
        return this.#office?.onRequest(link, effect.request)
      case 'touched':
        for (const [sessionId, timeoutMs] of effect.sessions) this.#office?.onTouched(link, sessionId, timeoutMs)
        return undefined
      case 'revalidate': {
        const { sessionId, timeoutMs } = effect
        this.#context.server.metrics.revalidations.add()
        const valid = this.#office?.onRevalidate(link, sessionId, timeoutMs) ?? false
        return link.socket.send(revalidatedPacket(sessionId, valid))
      }
      case 'synchronise':
        return this.#synchronise(link, effect.zxid)
      case 'disconnect':
        this.#context.platform.logger.warn(`${this.#nameOf(link)} is disconnected: ${effect.reason}`)
        this.#links.delete(link.number)
        this.#strangers.delete(link)
        return link.socket.destroy()
    }
  }

  #serve(epoch: number): void {
    const { server, onEstablished } = this.#context
    onEstablished(epoch)
    const machine = this.#machine
    this.#office = {
      epoch,
      firstZxid: zxidOf(epoch),
      propose: (logged) => {
        machine.propose(logged, LoggedTxn.encode(logged), this.#now())
        this.#effects.drain()
      },
      sync: (ready) => {
        machine.sync(ready)
        this.#effects.drain()
      },
      stepDown: (reason) => this.end(reason),
      learners: () => this.learners(),
      onRequest: () => {},
      onTouched: () => {},
      onRevalidate: () => false,
    }
    server.lead(this.#office)
  }

  /** What is committed now goes into the stream; what the machine sends afterwards comes after it. */
  #synchronise(link: LearnerLink, peerZxid: bigint): void {
    const { replica, platform, ensemble, server } = this.#context
    const share = ensemble.snapshotSizeFactor * replica.snapshotBytes()
    const bytesMax = Math.min(LOG_SYNC_BYTES_MAX, share)
    const plan = syncPlan(peerZxid, {
      lastZxid: replica.lastAppliedZxid,
      committed: [...replica.committed],
      beforeZxid: replica.committed.before,
      logAfter: (zxid) => allOf(bytesMax <= 0 ? null : replica.logAfter(zxid, bytesMax)),
    })
    const { socket } = link
    const told = `${this.#nameOf(link)} is at ${hexLong(peerZxid)} and gets`
    if (plan.kind === 'snap') {
      const snapshot = replica.beginSnapshot()
      server.metrics.snaps.add()
      platform.logger.info(`${told} a snapshot as of ${hexLong(snapshot.zxid)}`)
      socket.send(packet(PacketType.snap, snapshot.zxid))
      socket.stream(async (write) => {
        await snapshot.writeTo(write)
        await write(SNAPSHOT_SIGNATURE)
      })
      return
    }
    const { kind, zxid, transactions } = plan
    platform.logger.info(`${told} ${kind.toUpperCase()} ${hexLong(zxid)} and ${transactions.length} transactions`)
    if (kind === 'diff') server.metrics.diffs.add()
    socket.send(packet(kind === 'diff' ? PacketType.diff : PacketType.trunc, zxid))
    if (transactions.length > 0) socket.stream((write) => sendCommitted(transactions, write))
  }

  /** A file that cannot be written ends this server; what is written after the term's end says nothing to it. */
  #write(written: Promise<void>, then: () => void): void {
    const { server } = this.#context
    this.#writing = written.then(
      () => {
        then()
        this.#effects.drain()
      },
      (error: unknown) => server.failed(error instanceof Error ? error : new Error(String(error))),
    )
  }

  #end(reason: string): void {
    this.#isOver = true
    const { replica, server, platform } = this.#context
    platform.logger.info(`leads no longer: ${reason}`)
    this.#timer.cancel()
    replica.onSynced = () => {}
    server.retire(reason)
    for (const { socket } of this.#links.values()) socket.destroy()
    this.#links.clear()
    void this.#writing.then(() => this.#resolveEnded(reason))
  }

  #nameOf(link: LearnerLink): string {
    const from = `${link.socket.remoteHost}:${link.socket.remotePort}`
    return link.sid < 0 ? from : `server ${link.sid} (${from})`
  }
}

function allOf(transactions: Iterable<LoggedBytes> | null): LoggedBytes[] | null {
  return transactions === null ? null : [...transactions]
}

async function sendCommitted(
  transactions: readonly LoggedBytes[],
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let writer = new ByteWriter(PIECE_BYTES)
  for (const { zxid, bytes } of transactions) {
    writePacket(writer, packet(PacketType.proposal, zxid, bytes))
    writePacket(writer, packet(PacketType.commit, zxid))
    if (writer.length < PIECE_BYTES) continue
    for (const chunk of writer.chunks()) await write(chunk)
    writer = new ByteWriter(PIECE_BYTES)
  }
  for (const chunk of writer.chunks()) await write(chunk)
}
