import {
  isWrite,
  type Answer,
  type History,
  type Operation,
  type Person,
  type Request,
  type Session,
} from './history.ts'

/** Takes down what all clients do. Lies outside of their processes: a client's crash does not erase it. */
export class Recorder {
  readonly sessions: Session[] = []
  readonly operations: Operation[] = []
  /** Violations that a client sees at once: answers out of order, frames that nobody can read. */
  readonly faults: string[] = []
  /** How often what happened, for people. */
  readonly notes = new Map<string, number>()
  acknowledgedWrites = 0
  #highestAcknowledged = 0n
  #values = 0

  note(what: string): void {
    this.notes.set(what, (this.notes.get(what) ?? 0) + 1)
  }

  /** Each value is written once. */
  nextValue(): string {
    return `v${this.#values++}`
  }

  /** The highest zxid that any client was told as its write's. */
  get highestAcknowledged(): bigint {
    return this.#highestAcknowledged
  }

  sessionBegins(id: bigint, client: string, person: Person | null, timeoutMs: number): Session {
    const session: Session = { id, client, person, timeoutMs, events: [] }
    this.sessions.push(session)
    return session
  }

  invoked(session: Session, xid: number, request: Request, server: string, atMs: number): Operation {
    const operation: Operation = {
      session: session.id,
      xid,
      request,
      server,
      invokedMs: atMs,
      acknowledgedBefore: this.#highestAcknowledged,
      completedMs: Infinity,
      answer: null,
    }
    this.operations.push(operation)
    return operation
  }

  answered(session: Session, operation: Operation, answer: Answer, atMs: number): void {
    operation.completedMs = atMs
    operation.answer = answer
    session.events.push({ kind: 'answered', operation })
    if (!isWrite(operation.request)) return
    this.acknowledgedWrites += 1
    if (answer.zxid > this.#highestAcknowledged) this.#highestAcknowledged = answer.zxid
  }

  history(committed: History['committed']): History {
    return { sessions: this.sessions, operations: this.operations, committed }
  }
}
