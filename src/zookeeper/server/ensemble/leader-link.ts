/**
 * A term as follower or observer: carries out what the learner's machine says, over the connection to its leader.
 * Source: Learner, Follower, Observer.
 */
import { MalformedBytesError } from '#base'
import { FileError, sleep, type Network, type Socket, type Timer } from '#platform'
import { TruncationError } from '#zookeeper/persistence'
import {
  Learner,
  pingAnswerPacket,
  requestPacket,
  revalidatePacket,
  type LearnerEffect,
  type LearnerRole,
} from '#zookeeper/zab'
import { hexLong } from '#zookeeper/protocol'

import type { EnsembleMember } from '../ensemble-config.ts'
import { Effects } from './effects.ts'
import type { LearnerOffice, TermContext } from './office.ts'
import { PacketSocket } from './packet-socket.ts'

/** As Apache's; but a server of Apache's leads only after 200 ms, and a slow machine takes longer: so a tick at least. */
const CONNECT_ATTEMPTS_MIN = 5
const CONNECT_PAUSE_MS = 100

interface Revalidation {
  readonly resolve: (valid: boolean) => void
  readonly reject: (error: Error) => void
}

export class LearnerTerm {
  /** Resolves with the reason when the term is over, nothing of it is under way, and the server is retired. */
  readonly ended: Promise<string>
  readonly #context: TermContext
  readonly #leader: EnsembleMember
  readonly #role: LearnerRole
  readonly #abort = new AbortController()
  #machine: Learner | null = null
  #effects: Effects<LearnerEffect> | null = null
  #link: PacketSocket | null = null
  #office: LearnerOffice | null = null
  #connectedMs = 0
  #isOver = false
  #timer: Timer | null = null
  /** ms that the process stood still: silence that the leader is not blamed for. */
  #stalledMs = 0
  /** What is on its way to the disk, and must be there or have failed before another term begins. */
  #working: Promise<void> = Promise.resolve()
  /** The own disk is busy with what the leader asked for: it is not the leader who is silent. */
  #isBusy = false
  #snapshotWantedIn: number | null
  /** Asked and not answered, by session, in the order in which they were asked. No list is empty. */
  readonly #revalidations = new Map<bigint, Revalidation[]>()
  readonly #resolveEnded: (reason: string) => void

  constructor(
    context: TermContext,
    network: Network,
    role: LearnerRole,
    leader: EnsembleMember,
    snapshotWantedIn: number | null,
  ) {
    this.#snapshotWantedIn = snapshotWantedIn
    this.#context = context
    this.#leader = leader
    this.#role = role
    const { promise, resolve } = Promise.withResolvers<string>()
    this.ended = promise
    this.#resolveEnded = resolve
    void this.#connect(network).then(
      (socket) => this.#begin(socket),
      (error: unknown) => this.#end(`server ${leader.sid} cannot be reached: ${messageOf(error)}`, false),
    )
  }

  get machine(): Learner | null {
    return this.#machine
  }

  get epoch(): number {
    return this.#machine?.epoch ?? 0
  }

  /** The epoch whose leader builds upon less than the own data can be taken back to: it must send all it has. null: there is none. */
  get snapshotWantedIn(): number | null {
    return this.#snapshotWantedIn
  }

  get leaderSid(): number {
    return this.#leader.sid
  }

  end(reason: string): void {
    this.#end(reason, false)
  }

  /** The leader itself looks for one, in a later round than the one that elected it: it will not come any more. */
  onLeaderLooksAnew(): void {
    if (this.#machine === null) this.#end(`server ${this.#leader.sid} looks for a leader itself`, false)
  }

  /** The leader may not be there yet. */
  async #connect(network: Network): Promise<Socket> {
    const { ensemble, tickTimeMs, platform } = this.#context
    const { host, quorumPort: port } = this.#leader
    const { signal } = this.#abort
    const startMs = this.#now()
    const deadlineMs = startMs + (ensemble.connectToLearnerMasterLimit || ensemble.initLimit) * tickTimeMs
    for (let attempt = 1; ; attempt++) {
      try {
        return await network.connect({ host, port, timeoutMs: Math.max(1, deadlineMs - this.#now()), signal })
      } catch (error) {
        const isPatient = attempt < CONNECT_ATTEMPTS_MIN || this.#now() - startMs < tickTimeMs
        const isLast = !isPatient || this.#now() + CONNECT_PAUSE_MS > deadlineMs
        if (isLast || signal.aborted) throw error
      }
      await sleep(platform.clock, CONNECT_PAUSE_MS, signal)
    }
  }

  #begin(socket: Socket): void {
    if (this.#isOver) return socket.destroy()
    const { platform, ensemble, tickTimeMs, replica, epochs, faults } = this.#context
    const link = new PacketSocket(platform, socket)
    this.#link = link
    this.#connectedMs = this.#now()
    const machine = new Learner(
      {
        sid: ensemble.sid,
        role: this.#role,
        acceptedEpoch: epochs.accepted,
        currentEpoch: epochs.current,
        lastZxid: replica.lastLoggedZxid,
        configVersion: ensemble.configVersion,
        initLimitMs: ensemble.initLimit * tickTimeMs,
        syncLimitMs: ensemble.syncLimit * tickTimeMs,
        snapshotWantedIn: this.#snapshotWantedIn,
        faults,
      },
      this.#now(),
    )
    this.#machine = machine
    const effects = new Effects(machine, (effect: LearnerEffect) => this.#carryOut(effect))
    this.#effects = effects
    replica.onSynced = (zxid) => {
      machine.onLogged(zxid, this.#now())
      effects.drain()
    }
    this.#timer = this.#nextTick()
    link.start({
      onPacket: (received) => {
        machine.onPacket(received, this.#now())
        effects.drain()
      },
      onHeard: () => machine.onHeard(this.#now()),
      onClose: (error) => {
        machine.onDisconnected(
          `the connection to server ${this.#leader.sid} has ended${error === null ? '' : `: ${error.message}`}`,
        )
        effects.drain()
      },
    })
    effects.drain()
    return undefined
  }

  #now(): number {
    return this.#context.platform.clock.monotonic() - this.#stalledMs
  }

  #nextTick(): Timer {
    return this.#context.platform.clock.setTimer(this.#context.tickTimeMs / 2, (lateMs) => {
      this.#stalledMs += lateMs
      this.#timer = this.#nextTick()
      if (this.#isBusy) this.#machine!.onHeard(this.#now())
      this.#machine!.onTick(this.#now())
      this.#effects!.drain()
    })
  }

  #carryOut(effect: LearnerEffect): void {
    if (this.#isOver) return undefined
    const { replica, server, epochs } = this.#context
    const link = this.#link!
    const machine = this.#machine!
    switch (effect.type) {
      case 'send':
        return link.send(effect.packet)
      case 'append':
        server.metrics.learnerProposalsReceived.add()
        return replica.append(effect.proposal.zxid, effect.proposal.bytes)
      case 'commit':
        server.metrics.learnerCommitsReceived.add()
        if (this.#office !== null) return server.commit(effect.proposal.logged)
        replica.apply(effect.proposal.logged)
        return undefined
      case 'writeAcceptedEpoch':
        return this.#work(epochs.accept(effect.epoch), () => machine.onAcceptedEpochWritten(this.#now()))
      case 'writeCurrentEpoch':
        return this.#work(epochs.enter(effect.epoch), () => machine.onCurrentEpochWritten(this.#now()))
      case 'truncate':
        return this.#truncate(effect.zxid)
      case 'loadSnapshot':
        return this.#loadSnapshot(effect.zxid)
      case 'serve':
        return this.#serve(effect.epoch)
      case 'answerPing':
        return link.send(pingAnswerPacket(effect.zxid, this.#office?.takeTouched() ?? []))
      case 'revalidated':
        return this.#onRevalidated(effect.sessionId, effect.valid)
      case 'synced':
        return this.#office?.onSynced()
      case 'over':
        return this.#end(effect.reason, effect.fatal)
    }
  }

  #serve(epoch: number): void {
    const { server, onEstablished } = this.#context
    const link = this.#link!
    const { followerSyncTime, observerSyncTime } = server.metrics
    const syncTime = this.#role === 'observer' ? observerSyncTime : followerSyncTime
    syncTime.add(this.#now() - this.#connectedMs)
    onEstablished(epoch)
    this.#office = {
      epoch,
      leaderSid: this.#leader.sid,
      request: (request) => link.send(requestPacket(request)),
      revalidate: (sessionId, timeoutMs) => this.#revalidate(sessionId, timeoutMs),
      takeTouched: () => [],
      onSynced: () => {},
    }
    server.follow(this.#office)
  }

  #revalidate(sessionId: bigint, timeoutMs: number): Promise<boolean> {
    if (this.#isOver) return Promise.reject(new Error('the leader is lost'))
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    const waiting = this.#revalidations.get(sessionId)
    if (waiting === undefined) this.#revalidations.set(sessionId, [{ resolve, reject }])
    else waiting.push({ resolve, reject })
    this.#link!.send(revalidatePacket(sessionId, timeoutMs))
    return promise
  }

  /**
   * Who asked hears of it a moment later. Nothing behind the answer is looked at before: it may be the end of the session, which
   * must find the connection that is being welcomed with it.
   */
  #onRevalidated(sessionId: bigint, valid: boolean): void {
    const waiting = this.#revalidations.get(sessionId)
    const first = waiting?.shift()
    if (first === undefined) return
    if (waiting?.length === 0) this.#revalidations.delete(sessionId)
    const link = this.#link!
    link.hold()
    first.resolve(valid)
    void Promise.resolve().then(() => link.release())
  }

  #truncate(zxid: bigint): void {
    const { replica, platform, faults } = this.#context
    platform.logger.warn(`the log is cut after ${hexLong(zxid)}: the leader does not have what follows`)
    this.#isBusy = true
    this.#link!.hold()
    const truncated = faults.skipTruncation ? Promise.resolve() : replica.truncate(zxid)
    this.#work(
      truncated.catch((error: unknown) => {
        if (!(error instanceof TruncationError)) throw error
        this.#snapshotWantedIn = this.epoch
        this.#end(`a snapshot is needed instead: ${error.message}`, false)
      }),
      () => this.#onReplaced(zxid),
    )
  }

  #loadSnapshot(zxid: bigint): void {
    const { replica, platform } = this.#context
    const link = this.#link!
    platform.logger.info(`a snapshot as of ${hexLong(zxid)} comes from server ${this.#leader.sid}`)
    link.hold()
    const source = {
      take: (length: number) => link.takeRaw(length),
      end: async () => {
        await link.endSnapshot()
        // From here on it is not the leader who is waited for.
        this.#isBusy = true
      },
    }
    this.#work(
      replica.loadSnapshot(source, zxid).catch((error: unknown) => {
        // What the machine did to us is for the caller; what came over the connection ends the connection.
        if (error instanceof FileError) throw error
        const reason = error instanceof MalformedBytesError ? error : new Error(messageOf(error))
        link.destroy(reason)
      }),
      () => {
        if (link.isOpen) this.#onReplaced(zxid)
      },
    )
  }

  #onReplaced(zxid: bigint): void {
    this.#snapshotWantedIn = null
    this.#isBusy = false
    this.#machine!.onSynchronised(this.#context.replica.lastLoggedZxid, zxid, this.#now())
    this.#effects!.drain()
    this.#link!.release()
  }

  /** What cannot be written ends this server. */
  #work(done: Promise<void>, then: () => void): void {
    this.#working = done.then(
      () => {
        if (this.#isOver) return
        then()
        this.#effects!.drain()
      },
      (error: unknown) => {
        this.#context.server.failed(error instanceof Error ? error : new Error(messageOf(error)))
      },
    )
  }

  #end(reason: string, fatal: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    const { replica, server, platform } = this.#context
    platform.logger.info(`server ${this.#leader.sid} is followed no longer: ${reason}`)
    this.#timer?.cancel()
    this.#abort.abort(new Error(reason))
    if (this.#machine !== null) replica.onSynced = () => {}
    server.retire(reason)
    this.#link?.destroy()
    for (const waiting of this.#revalidations.values())
      for (const { reject } of waiting) reject(new Error('the leader is lost'))
    this.#revalidations.clear()
    if (fatal) server.failed(new Error(reason))
    void this.#working.then(() => this.#resolveEnded(reason))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
