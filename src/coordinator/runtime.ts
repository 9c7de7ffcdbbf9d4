/**
 * Drives the machines of a coordinator, one per partition of its topic that this broker leads: loads them from the log,
 * carries out their effects, wakes them at their deadlines, and lets them go when leadership goes.
 *
 *     request ─▶ machine decides ─▶ reply effects ─▶ answers
 *                               └─▶ append effects ─(end of turn: one batch)─▶ log ─▶ apply, settle ─▶ answers
 */
import { MalformedBytesError } from '#base'
import type { Clock, Logger, Timer } from '#platform'
import { ErrorCode } from '#protocol'
import { RecordBatchBuilder, batchesOf, readControlRecord, type RecordBatchView } from '#protocol/records'

import type { AppendOutcome, CoordinatorLog } from './log.ts'
import type { CoordinatorMachine, Effect, EventCodec, Moment } from './machine.ts'

/** Decisions of one turn share a batch up to this size; one decision is never torn apart. */
const GATHERED_BYTES_MAX = 64 * 1024
/** Until a partition that could not be read is read again. Clients meanwhile see that it is loading. */
const LOAD_RETRY_MS = 1000
/** Deadlines this close together share a tick. */
const TICK_SPACING_MS = 10

export interface RuntimeOptions<Machine, Event> {
  clock: Clock
  logger: Logger
  log: CoordinatorLog
  codec: EventCodec<Event>
  createMachine(partition: number): Machine
}

type Append<Event> = Extract<Effect<Event>, { kind: 'append' }>

interface Led<Machine, Event> {
  partition: number
  leaderEpoch: number
  machine: Machine
  isLoaded: boolean
  /** Decided in this turn, not yet handed to the log. */
  appends: Append<Event>[]
  timer: Timer | null
  /** Monotonic ms at which `timer` fires. */
  timerAt: number
  tickedAt: number
  /** Ends the wait before the next attempt to load. */
  retry: () => void
}

export class CoordinatorRuntime<Machine extends CoordinatorMachine<Event>, Event> {
  readonly #options: RuntimeOptions<Machine, Event>
  readonly #partitions = new Map<number, Led<Machine, Event>>()

  constructor(options: RuntimeOptions<Machine, Event>) {
    this.#options = options
  }

  /**
   * This broker leads the partition from this epoch on. Loads it, unless it is loaded already and the epoch is the next one: then
   * nobody else has led in between. Never rejects; resolves when the partition is loaded or has been given up.
   */
  async becomeLeader(partition: number, leaderEpoch: number): Promise<void> {
    const present = this.#partitions.get(partition)
    if (present !== undefined) {
      if (leaderEpoch <= present.leaderEpoch) return
      const isNext = leaderEpoch === present.leaderEpoch + 1
      if (isNext && present.isLoaded) {
        present.leaderEpoch = leaderEpoch
        return
      }
      this.#letGo(present)
    }
    const led: Led<Machine, Event> = {
      partition,
      leaderEpoch,
      machine: this.#options.createMachine(partition),
      isLoaded: false,
      appends: [],
      timer: null,
      timerAt: Infinity,
      tickedAt: -Infinity,
      retry: () => {},
    }
    this.#partitions.set(partition, led)
    await this.#load(led)
  }

  /** Another broker leads the partition. An epoch older than the one led in is stale and ignored; null is never stale. */
  resign(partition: number, leaderEpoch: number | null): void {
    const led = this.#partitions.get(partition)
    if (led === undefined || (leaderEpoch !== null && leaderEpoch < led.leaderEpoch)) return
    this.#letGo(led)
  }

  close(): void {
    for (const led of this.#partitions.values()) this.#letGo(led)
  }

  stateOf(partition: number): 'absent' | 'loading' | 'active' {
    const led = this.#partitions.get(partition)
    return led === undefined ? 'absent' : led.isLoaded ? 'active' : 'loading'
  }

  get isLoading(): boolean {
    for (const led of this.#partitions.values()) if (!led.isLoaded) return true
    return false
  }

  /** Whether what the partition's machine knows is certainly the newest there is, as of the call. */
  async confirm(partition: number): Promise<boolean> {
    const led = this.#partitions.get(partition)
    if (led === undefined || !led.isLoaded) return false
    return (await this.#options.log.confirm(partition, led.leaderEpoch)) && this.#isPresent(led)
  }

  /** Lets the partition's machine decide, and carries out what it asks for. The partition must be active. */
  decide(partition: number, decision: (machine: Machine, now: Moment) => void): void {
    const led = this.#partitions.get(partition)!
    decision(led.machine, this.#now())
    this.#carryOut(led)
  }

  /** As `decide`, for every active partition. */
  decideAll(decision: (machine: Machine, now: Moment) => void): void {
    for (const [partition, led] of this.#partitions) if (led.isLoaded) this.decide(partition, decision)
  }

  #now(): Moment {
    return { wallMs: this.#options.clock.now(), ms: this.#options.clock.monotonic() }
  }

  /** Partitions are objects: one that is no longer in the map has been let go. */
  #isPresent(led: Led<Machine, Event>): boolean {
    return this.#partitions.get(led.partition) === led
  }

  #letGo(led: Led<Machine, Event>): void {
    this.#partitions.delete(led.partition)
    led.timer?.cancel()
    led.retry()
    led.machine.resign()
    const abandoned = led.appends.splice(0)
    for (const append of abandoned) append.settle(notLeader, this.#now())
    this.#deliver(led)
  }

  /** For a machine that was let go: answers go out, nothing is appended. */
  #deliver(led: Led<Machine, Event>): void {
    for (const effect of led.machine.takeEffects())
      if (effect.kind === 'reply') effect.deliver()
      else effect.settle(notLeader, this.#now())
  }

  async #load(led: Led<Machine, Event>): Promise<void> {
    const { clock, logger, log } = this.#options
    try {
      for await (const piece of log.read(led.partition, led.leaderEpoch)) {
        if (!this.#isPresent(led)) return
        for (const batch of batchesOf(piece)) this.#replay(led, batch)
      }
    } catch (error) {
      if (!this.#isPresent(led)) return
      logger.warn(`partition ${led.partition} could not be loaded, trying again in ${LOAD_RETRY_MS} ms`, error)
      led.machine = this.#options.createMachine(led.partition)
      await new Promise<void>((resolve) => {
        led.retry = resolve
        led.timer = clock.setTimer(LOAD_RETRY_MS, () => resolve())
      })
      led.timer = null
      return this.#isPresent(led) ? this.#load(led) : undefined
    }
    if (!this.#isPresent(led)) return
    led.machine.resume(this.#now())
    led.isLoaded = true
    this.#carryOut(led)
  }

  #replay(led: Led<Machine, Event>, batch: RecordBatchView): void {
    const { machine } = led
    if (batch.isControl) {
      for (const record of batch.records()) {
        const { type } = readControlRecord(record)
        if (type !== 'other') machine.endTransaction(batch.producerId, type === 'commit')
      }
      return
    }
    for (const record of batch.records()) {
      const event = this.#decode(led, record)
      if (event === null) continue
      // Later writes win by the offset of their batch, as when they are applied live.
      if (batch.isTransactional) machine.applyInTransaction(batch.producerId, event, batch.baseOffset)
      else machine.apply(event, batch.baseOffset)
    }
  }

  /** One record that cannot be read must not take the others with it. */
  #decode(
    led: Led<Machine, Event>,
    record: { key: Uint8Array | null; value: Uint8Array | null; offset: number },
  ): Event | null {
    const where = `record ${record.offset} of partition ${led.partition}`
    try {
      // The pieces of the log are not kept, so what stays must not be a view into them.
      const event = record.key && this.#options.codec.decode(record.key.slice(), record.value && record.value.slice())
      if (event === null) this.#options.logger.warn(`${where} is of an unknown kind and left out`)
      return event
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#options.logger.error(`${where} cannot be read and is left out`, error)
      return null
    }
  }

  #carryOut(led: Led<Machine, Event>): void {
    const wasIdle = led.appends.length === 0
    for (const effect of led.machine.takeEffects())
      if (effect.kind === 'reply') effect.deliver()
      else led.appends.push(effect)
    if (wasIdle && led.appends.length > 0) this.#options.clock.endOfTurn(() => this.#flush(led))
    this.#schedule(led)
  }

  /** Hands all that was decided in this turn to the log, in as few batches as the bound allows. */
  #flush(led: Led<Machine, Event>): void {
    const appends = led.appends.splice(0)
    let gathered: Append<Event>[] = []
    let builder = new RecordBatchBuilder()
    for (const append of appends) {
      if (builder.sizeInBytes > GATHERED_BYTES_MAX) {
        void this.#append(led, gathered, builder)
        gathered = []
        builder = new RecordBatchBuilder()
      }
      gathered.push(append)
      for (const event of append.events)
        builder.append({ timestamp: this.#options.clock.now(), ...this.#options.codec.encode(event) })
    }
    if (gathered.length > 0) void this.#append(led, gathered, builder)
  }

  async #append(
    led: Led<Machine, Event>,
    appends: readonly Append<Event>[],
    builder: RecordBatchBuilder,
  ): Promise<void> {
    const outcome = await this.#outcomeOf(led, builder.build())
    // A machine that was let go meanwhile still settles, so that whoever asked gets the answer.
    for (const { events, settle } of appends) {
      if (outcome.errorCode === ErrorCode.NONE) for (const event of events) led.machine.apply(event, outcome.baseOffset)
      settle(outcome, this.#now())
    }
    if (this.#isPresent(led)) this.#carryOut(led)
    else this.#deliver(led)
  }

  async #outcomeOf(led: Led<Machine, Event>, batch: Uint8Array): Promise<AppendOutcome> {
    try {
      return await this.#options.log.append(led.partition, led.leaderEpoch, batch)
    } catch (error) {
      this.#options.logger.error(`an append to partition ${led.partition} failed`, error)
      return { errorCode: ErrorCode.UNKNOWN_SERVER_ERROR, baseOffset: -1 }
    }
  }

  #schedule(led: Led<Machine, Event>): void {
    if (!led.isLoaded) return
    const { clock } = this.#options
    const at = Math.max(led.machine.nextDeadline(), led.tickedAt + TICK_SPACING_MS)
    if (at >= led.timerAt) return
    led.timer?.cancel()
    led.timerAt = at
    led.timer = clock.setTimer(Math.max(0, at - clock.monotonic()), (lateMs) => this.#tick(led, lateMs))
  }

  #tick(led: Led<Machine, Event>, lateMs: number): void {
    led.timer = null
    led.timerAt = Infinity
    const now = this.#now()
    led.tickedAt = now.ms
    led.machine.tick(now, lateMs)
    this.#carryOut(led)
  }
}

const notLeader: AppendOutcome = { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1 }
