/**
 * Time and the event loop, as a port. Real time comes from `platform/node`, virtual time from `simulation`.
 */
export interface Clock {
  /** Wall clock, in ms since the epoch. May jump; only for stamps that people or other machines read. */
  now(): number
  /** Monotonic ms from an arbitrary start, with fractions. For durations and deadlines. */
  monotonic(): number
  /**
   * Calls `fire` once, `delayMs` from now, never before the next turn. Deadlines are judged after a poll:
   * when the loop was stalled (a long turn, SIGSTOP, a laptop's sleep), sockets that became readable are
   * read before a late timer fires, and `lateMs` tells how late it is.
   */
  setTimer(delayMs: number, fire: (lateMs: number) => void): Timer
  /** Calls `run` when the present turn has done its other work: where writes are gathered into one. */
  endOfTurn(run: () => void): void
  /** Calls `run` after the loop has polled its sockets once more: work cut into slices goes on there. */
  nextTurn(run: () => void): void
}

export interface Timer {
  cancel(): void
}

/** Resolves after `delayMs`; rejects with the signal's reason when it is aborted. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error)
    const onAbort = (): void => {
      timer.cancel()
      reject(signal!.reason as Error)
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
