import { ErrorCode } from '#protocol'

import type { Deadlines, Expiring } from './deadlines.ts'
import type { AppendResult } from './requests.ts'

/**
 * A produce request that has been appended and waits for its acknowledgement in each partition, or for its time to run
 * out: what was appended stays then, and the partitions still waited for answer REQUEST_TIMED_OUT.
 */
export class ProduceWait implements Expiring {
  readonly done: Promise<AppendResult[]>
  readonly #results: AppendResult[]
  readonly #deadlines: Deadlines
  readonly #isWaiting: boolean[]
  readonly #ticket: number
  #resolve!: (results: AppendResult[]) => void
  #left = 0

  /** `results`: in the order of the request; those that are waited for are completed through `waitFor`. */
  constructor(results: AppendResult[], waitedFor: readonly number[], timeoutMs: number, deadlines: Deadlines) {
    this.#results = results
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
    if (errorCode !== ErrorCode.NONE) this.#results[index] = failed(this.#results[index]!, errorCode)
    if (this.#left > 0) return
    this.#deadlines.cancel(this, this.#ticket)
    this.#resolve(this.#results)
  }

  expire(): void {
    for (const [index, isWaiting] of this.#isWaiting.entries())
      if (isWaiting) this.complete(index, ErrorCode.REQUEST_TIMED_OUT)
  }
}

function failed(result: AppendResult, errorCode: number): AppendResult {
  return { ...result, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 }
}
