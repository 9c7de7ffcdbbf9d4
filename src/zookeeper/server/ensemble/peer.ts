/**
 * One server's place in its ensemble: it looks for a leader, is one or follows one until that is over, and looks again.
 * Source: QuorumPeer.
 */
import { sleep, type Network, type Platform, type Timer } from '#platform'
import { EpochFiles } from '#zookeeper/persistence'
import {
  Election,
  NO_ENSEMBLE_FAULTS,
  type ElectionEffect,
  type EnsembleFaults,
  type Notification,
  type Office,
  type PeerState,
  type Vote,
} from '#zookeeper/zab'

import type { ZooKeeperConfig } from '../config.ts'
import { memberOf, type EnsembleConfig } from '../ensemble-config.ts'
import type { Replica } from '../replica.ts'
import { READ_ONLY_AFTER_MS } from '../read-only.ts'
import { ElectionLinks } from './election-links.ts'
import { LearnerTerm } from './leader-link.ts'
import { LeaderTerm } from './learner-links.ts'
import type { EnsembleServer, LearnerView, TermContext } from './office.ts'
import { QuorumPort } from './quorum-port.ts'

/** Terms that came to nothing are followed by pauses from the third on: so long after it, twice as long after each further one. */
const PAUSE_MIN_MS = 50
const PAUSE_MAX_MS = 1000

export interface QuorumPeerOptions {
  readonly faults?: EnsembleFaults
  /** Carries the connections of quorum and election port; the platform's own network unless they are to be protected. */
  readonly quorumNetwork?: Network
}

interface Decision {
  readonly role: Office
  readonly vote: Vote
}

export class QuorumPeer {
  readonly #context: TermContext
  readonly #network: Network
  /** null where this server can never lead. */
  readonly #port: QuorumPort | null
  readonly #election: Election
  readonly #closing = new AbortController()
  #links: ElectionLinks | null = null
  #running: Promise<void> = Promise.resolve()
  #term: LeaderTerm | LearnerTerm | null = null
  #electionTimer: Timer | null = null
  /** Waits for the outcome of the election; null: this server stops. */
  #decide: ((decision: Decision | null) => void) | null = null
  /** When the last term ended; null before the first. */
  #lostMs: number | null = null
  /** Terms in a row that clients were not served in. */
  #failures = 0
  /** In this epoch a snapshot takes the place of all that is here. */
  #snapshotWantedIn: number | null = null
  /** Elections that this server took part in, and how long the last one took, for metrics. */
  readonly elections = { count: 0, lastMs: 0 }

  /** Rejects with `NetworkError` when a port cannot be had, with `RecoveryError` when the epochs cannot be believed. */
  static async start(
    platform: Platform,
    config: ZooKeeperConfig & { readonly ensemble: EnsembleConfig },
    replica: Replica,
    server: EnsembleServer,
    options: QuorumPeerOptions = {},
  ): Promise<QuorumPeer> {
    const { ensemble, tickTimeMs } = config
    const { faults = NO_ENSEMBLE_FAULTS, quorumNetwork = platform.network } = options
    const epochs = await EpochFiles.open(platform.files, replica.folders.snapshots, replica.lastLoggedZxid, {
      isSynced: !faults.epochsNotSynced,
    })
    const context = {
      readOnlyMode: config.readOnlyMode,
      platform,
      ensemble,
      tickTimeMs,
      replica,
      epochs,
      server,
      faults,
    }
    const own = memberOf(ensemble, ensemble.sid)
    const host = ensemble.listenOnAllIps || own === null ? '0.0.0.0' : own.host
    const port =
      ensemble.role === 'observer' || own === null ? null : await QuorumPort.open(quorumNetwork, host, own.quorumPort)
    const peer = new QuorumPeer(context, quorumNetwork, port)
    try {
      const onNotification = (from: number, notification: Notification): void =>
        peer.#onNotification(from, notification)
      peer.#links = await ElectionLinks.open(platform, ensemble, tickTimeMs, { onNotification }, quorumNetwork)
    } catch (error) {
      await peer.close()
      throw error
    }
    peer.#running = peer.#run()
    return peer
  }

  private constructor(context: Omit<TermContext, 'onEstablished'>, network: Network, port: QuorumPort | null) {
    const { ensemble } = context
    this.#context = { ...context, onEstablished: (epoch) => this.#onEstablished(epoch) }
    this.#network = network
    this.#port = port
    this.#election = new Election({
      sid: ensemble.sid,
      role: ensemble.role,
      quorum: ensemble.quorum,
      configText: ensemble.configText,
      finalizeWaitMs: ensemble.finalizeWaitMs,
      notificationIntervalMinMs: ensemble.notificationIntervalMinMs,
      notificationIntervalMaxMs: ensemble.notificationIntervalMaxMs,
    })
  }

  get state(): PeerState {
    if (this.#term === null) return 'looking'
    if (this.#term instanceof LeaderTerm) return 'leading'
    return this.#context.ensemble.role === 'observer' ? 'observing' : 'following'
  }

  /** How far the present term has come. Source: QuorumPeer.ZabState. */
  get zabState(): 'election' | 'discovery' | 'synchronization' | 'broadcast' {
    return this.#term === null ? 'election' : (this.#term.machine?.zabState ?? 'discovery')
  }

  /** Of the present term; 0 while it is not known. */
  get epoch(): number {
    return this.#term?.epoch ?? 0
  }

  /** In office: a leader whose history a quorum has, a learner after UPTODATE. */
  get isServing(): boolean {
    return this.#term?.machine?.isServing ?? false
  }

  /** null while this server looks for one. */
  get leaderSid(): number | null {
    if (this.#term === null) return null
    return this.#term instanceof LeaderTerm ? this.#context.ensemble.sid : this.#term.leaderSid
  }

  get epochs(): { readonly accepted: number; readonly current: number } {
    return this.#context.epochs
  }

  get currentVote(): Vote {
    return this.#election.currentVote
  }

  /** Of a leader; empty otherwise. */
  learners(): LearnerView[] {
    return this.#term instanceof LeaderTerm ? this.#term.learners() : []
  }

  /** Ends the term, and answers nobody any more. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the server stops'))
    this.#electionTimer?.cancel()
    this.#decide?.(null)
    this.#term?.end('the server stops')
    await this.#running
    await this.#port?.close()
    await this.#links?.close()
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      this.#port?.wait()
      const decision = await this.#look()
      if (decision === null || this.#closing.signal.aborted) return
      await this.#serve(decision)
    }
  }

  /** null: this server stops. */
  async #look(): Promise<Decision | null> {
    const { replica, epochs, platform, server } = this.#context
    const startMs = this.#now()
    try {
      await this.#pause()
      // What this server votes with must be on its disk; the log's failure stops the server by itself.
      await replica.synced()
    } catch {
      return null
    }
    if (this.#closing.signal.aborted) return null
    replica.fastForward()
    const { promise, resolve } = Promise.withResolvers<Decision | null>()
    this.#decide = resolve
    this.elections.count++
    server.metrics.lookings.add()
    this.#election.start({ zxid: replica.lastLoggedZxid, peerEpoch: epochs.current }, this.#now())
    this.#drainElection()
    const readOnly = this.#readOnlyTimer()
    const decision = await promise
    readOnly?.cancel()
    this.#decide = null
    server.retire('the election is over')
    if (decision === null) return null
    this.elections.lastMs = this.#now() - startMs
    server.metrics.electionTime.add(this.elections.lastMs)
    if (this.#lostMs !== null) server.metrics.leaderUnavailableTime.add(this.#now() - this.#lostMs)
    platform.logger.info(`${decision.role} after an election of ${this.elections.lastMs.toFixed(0)} ms`)
    return decision
  }

  /** Not at once: after most losses there is another leader before anyone would notice. */
  #readOnlyTimer(): Timer | null {
    const { platform, server, tickTimeMs, readOnlyMode } = this.#context
    if (!readOnlyMode) return null
    return platform.clock.setTimer(Math.max(READ_ONLY_AFTER_MS, tickTimeMs), () => server.serveReadOnly())
  }

  async #serve({ role, vote }: Decision): Promise<void> {
    const { ensemble, platform, server } = this.#context
    let served = false
    const context = {
      ...this.#context,
      onEstablished: (epoch: number) => {
        served = true
        if (this.#lostMs !== null) server.metrics.unavailableTime.add(this.#now() - this.#lostMs)
        this.#context.onEstablished(epoch)
      },
    }
    if (role === 'leading') {
      const term = new LeaderTerm(context)
      this.#term = term
      this.#port?.give((socket) => term.accept(socket))
    } else {
      this.#port?.refuse()
      const leader = memberOf(ensemble, vote.leader)
      if (leader === null)
        platform.logger.error(`server ${vote.leader} leads, and there is no server.${vote.leader} here`)
      else
        this.#term = new LearnerTerm(
          context,
          this.#network,
          role === 'observing' ? 'observer' : 'follower',
          leader,
          this.#snapshotWantedIn,
        )
    }
    await this.#term?.ended
    if (this.#term instanceof LearnerTerm) this.#snapshotWantedIn = this.#term.snapshotWantedIn
    this.#term = null
    if (served) this.#lostMs = this.#now()
    this.#failures = served ? 0 : this.#failures + 1
  }

  /** After the loss of a leader there is none, but where one election after the other leads to nothing. */
  async #pause(): Promise<void> {
    const { platform, ensemble } = this.#context
    const exponent = this.#failures - 3
    let pauseMs = exponent < 0 ? 0 : Math.min(PAUSE_MIN_MS * 2 ** exponent, PAUSE_MAX_MS) * platform.random.next()
    if (ensemble.role === 'observer' && this.elections.count > 0)
      pauseMs += ensemble.observerReconnectDelayMs * platform.random.next()
    if (pauseMs > 0) await sleep(platform.clock, pauseMs, this.#closing.signal)
  }

  #now(): number {
    return this.#context.platform.clock.monotonic()
  }

  #onEstablished(epoch: number): void {
    this.#election.epochEstablished(epoch)
  }

  #onNotification(from: number, notification: Notification): void {
    if (this.#closing.signal.aborted) return
    const { quorum } = this.#context.ensemble
    const isNewRound = notification.state === 'looking' && notification.electionEpoch > this.currentVote.electionEpoch
    if (isNewRound && quorum.isVoter(from)) {
      if (this.#term instanceof LeaderTerm) this.#term.onVoterLooksAnew()
      else if (this.#term?.leaderSid === from) this.#term.onLeaderLooksAnew()
    }
    this.#election.onNotification(from, notification, this.#now())
    this.#drainElection()
  }

  #drainElection(): void {
    for (const effect of this.#election.takeEffects()) this.#carryOut(effect)
    this.#electionTimer?.cancel()
    const { nextTickMs } = this.#election
    if (nextTickMs === null || this.#closing.signal.aborted) return
    const delayMs = Math.max(0, nextTickMs - this.#now())
    this.#electionTimer = this.#context.platform.clock.setTimer(delayMs, () => {
      this.#election.onTick(this.#now())
      this.#drainElection()
    })
  }

  #carryOut(effect: ElectionEffect): void {
    switch (effect.type) {
      case 'send':
        return this.#links?.send(effect.to, effect.notification)
      case 'connectAll':
        return this.#links?.connectAll()
      case 'decided':
        return this.#decide?.(effect)
    }
  }
}
