/**
 * Reading to the end: each partition is asked for its end once, when the loop comes upon it, and is read no further. So a loop ends also
 * where records are written faster than they are read.
 */
import { isRetriable } from '../errors.ts'
import type { PartitionState } from './partition-state.ts'
import type { PollCore } from './poll-core.ts'

export class EndWatch {
  readonly #core: PollCore
  readonly #endOf: (state: PartitionState) => Promise<number>
  #isOver = false

  constructor(core: PollCore, endOf: (state: PartitionState) => Promise<number>) {
    this.#core = core
    this.#endOf = endOf
  }

  /** Looks for partitions that are new, and tells whether all have been read. */
  isDone(): boolean {
    if (this.#isOver) return true
    let count = 0
    let isRead = true
    for (const state of this.#core.assignment) {
      count += 1
      if (state.readLimit === Infinity) this.#limit(state)
      if (state.isReadToLimit) dropRest(state)
      else isRead = false
    }
    return count > 0 && isRead
  }

  /** Reading goes on beyond the ends, for whoever asks next. */
  end(): void {
    this.#isOver = true
    for (const state of this.#core.assignment) state.readLimit = Infinity
    this.#core.wake()
  }

  #limit(state: PartitionState): void {
    state.readLimit = null
    this.#endOf(state).then(
      (end) => {
        if (this.#isOver) return
        state.readLimit = end
        this.#core.wake()
      },
      (error: unknown) => {
        if (this.#isOver || state.isGone || this.#core.isClosed) return
        if (!isRetriable(error)) return this.#core.fail(error)
        // Asked again by whoever looks next.
        state.readLimit = Infinity
        this.#core.wake()
      },
    )
  }
}

/** What was fetched ahead beyond the end takes no room from those that are not there yet. */
function dropRest(state: PartitionState): void {
  if (state.firstChunk !== undefined && !state.isLeased) state.dropBuffered()
}
