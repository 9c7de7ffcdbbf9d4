import type { GroupEvent } from '../checker/group-checks.ts'
import type { Operation } from '../checker/history.ts'

/** What all clients of a run did and saw. Lies outside of their processes: a client's crash does not erase it. */
export class Recorder {
  readonly operations: Operation[] = []
  readonly groupEvents: GroupEvent[] = []
  /** Records whose send was acknowledged. */
  acknowledgedRecords = 0
  /** Batches that were sent again after their acknowledgement and answered as duplicates. */
  refusedDuplicates = 0
  /** Errors that answers carried, with how often. */
  readonly notes = new Map<string, number>()
  /** Values are numbered across all producers. */
  #values = 0
  /** Sends without an outcome: their producer may have died. */
  readonly #open = new Map<number, { process: string; invokedMs: number; key: string; values: readonly string[] }>()
  #openCount = 0
  readonly #highest = new Map<string, number>()

  note(what: string): void {
    this.notes.set(what, (this.notes.get(what) ?? 0) + 1)
  }

  nextValue(): string {
    return `v${this.#values++}`
  }

  /** Notes that a send begins; its number closes it. */
  sendBegins(process: string, invokedMs: number, key: string, values: readonly string[]): number {
    const id = this.#openCount++
    this.#open.set(id, { process, invokedMs, key, values })
    return id
  }

  /** `baseOffset`: −1 where the answer did not tell it. */
  sendEnds(id: number, outcome: 'ok' | 'fail' | 'info', completedMs: number, baseOffset: number): void {
    const { process, invokedMs, key, values } = this.#open.get(id)!
    this.#open.delete(id)
    const sends = values.map((value, index) => ({ key, value, offset: baseOffset < 0 ? null : baseOffset + index }))
    this.operations.push({ kind: 'send', number: id, process, outcome, invokedMs, completedMs, sends })
    if (outcome !== 'ok') return
    this.acknowledgedRecords += values.length
    if (baseOffset >= 0) this.#highest.set(key, Math.max(this.highestAcknowledged(key), baseOffset + values.length - 1))
  }

  /** -1: none. */
  highestAcknowledged(key: string): number {
    return this.#highest.get(key) ?? -1
  }

  /** Sends that never ended are unknown. */
  closeOpenSends(atMs: number): void {
    for (const id of this.#open.keys()) this.sendEnds(id, 'info', atMs, -1)
  }
}
