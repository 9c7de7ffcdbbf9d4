import type { AppendOutcome } from './log.ts'

/** The time of a decision. */
export interface Moment {
  /** Wall clock in ms: for stamps that are stored. */
  wallMs: number
  /** Monotonic ms: for deadlines. */
  ms: number
}

/** Where an answer goes. A machine hands the answer out as an effect instead of calling it. */
export type ReplyTo<Response> = (response: Response) => void

/** What a machine asks of its driver, in the order in which it must happen. */
export type Effect<Event> =
  | { kind: 'reply'; deliver: () => void }
  /**
   * Make the events durable, all or none; then `apply` them, then `settle`. Whether they failed is told to
   * `settle` alone, which then forgets what was decided (the overlay).
   */
  | { kind: 'append'; events: readonly Event[]; settle: (outcome: AppendOutcome, now: Moment) => void }

/**
 * A coordinator's state for one partition of its topic, as a pure machine: no promise, clock, socket or disk. Requests are
 * methods of the concrete machine; each decides at once, on the durable state and what has been decided since, and leaves its
 * effects to be taken.
 */
export interface CoordinatorMachine<Event> {
  /** Folds in what the log holds at `offset`: at load, and when an append is durable. Cannot fail. */
  apply(event: Event, offset: number): void
  /** As `apply`, for a record inside a transaction of this producer, at load; it counts once the transaction is committed. */
  applyInTransaction(producerId: number, event: Event, offset: number): void
  endTransaction(producerId: number, isCommitted: boolean): void
  /** The log has been read: life begins. */
  resume(now: Moment): void
  /** The partition has another leader: whoever waits is told, and nothing is decided any more. */
  resign(): void
  /** Monotonic ms of the next `tick` that is needed; Infinity for none. May be too early, never too late. */
  nextDeadline(): number
  /** Carries out what is due. `lateMs`: how late the tick is, because the process was stalled. */
  tick(now: Moment, lateMs: number): void
  takeEffects(): Effect<Event>[]
}

/** How events lie in the log. */
export interface EventCodec<Event> {
  encode(event: Event): { key: Uint8Array; value: Uint8Array | null }
  /** Null for a key that this version does not know: a newer one wrote it. Throws `MalformedBytesError`. */
  decode(key: Uint8Array, value: Uint8Array | null): Event | null
}

/** The effects of a machine as they gather. */
export class Effects<Event> {
  #effects: Effect<Event>[] = []

  reply<Response>(to: ReplyTo<Response>, response: Response): void {
    this.#effects.push({ kind: 'reply', deliver: () => to(response) })
  }

  append(events: readonly Event[], settle: (outcome: AppendOutcome, now: Moment) => void): void {
    this.#effects.push({ kind: 'append', events, settle })
  }

  take(): Effect<Event>[] {
    const effects = this.#effects
    if (effects.length > 0) this.#effects = []
    return effects
  }
}
