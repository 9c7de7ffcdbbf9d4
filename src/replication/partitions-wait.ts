import { ErrorCode } from '#protocol'

import type { Deadlines, Expiring } from './deadlines.ts'

/**
 * A request whose work is done and that waits for an acknowledgement in some of its partitions, or for its time to run out:
 * what was done stays then, and the partitions still waited for answer REQUEST_TIMED_OUT.
 */
export class PartitionsWait<Result> implements Expiring {
  readonly done: Promise<Result[]>
  readonly #results: Result[]
  readonly #settled: (result: Result, errorCode: number) => Result
  readonly #deadlines: Deadlines
  readonly #isWaiting: boolean[]
  readonly #ticket: number
  #resolve!: (results: Result[]) => void
  #left = 0

  /**
   * `results`: in the order of the request; of those with an index in `waitedFor` `settled` makes the final one when `complete`
   * is called or the time is over.
   */
  constructor(
    results: Result[],
    waitedFor: readonly number[],
    settled: (result: Result, errorCode: number) => Result,
    timeoutMs: number,
    deadlines: Deadlines,
  ) {
    this.#results = results
    this.#settled = settled
    this.#deadlines = deadlines
    this.#isWaiting = results.map((_, index) => waitedFor.includes(index))
    this.#left = waitedFor.length
    this.done = new Promise((resolve) => (this.#resolve = resolve))
    this.#ticket = deadlines.add(this, timeoutMs)
  }

  complete(index: number, errorCode: number): void {
    if (!this.#isWaiting[index]) return
    this.#isWaiting[index] = false
    this.#left -= 1
    this.#results[index] = this.#settled(this.#results[index]!, errorCode)
    if (this.#left > 0) return
    this.#deadlines.cancel(this, this.#ticket)
    this.#resolve(this.#results)
  }

  expire(): void {
    for (const [index, isWaiting] of this.#isWaiting.entries())
      if (isWaiting) this.complete(index, ErrorCode.REQUEST_TIMED_OUT)
  }
}
