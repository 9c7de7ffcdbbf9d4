/** Who starts the process may pass a signal on that the process has had already (timeout and npm do): the same stop, and no second one. */
const SAME_STOP_MS = 300

/**
 * Resolves with the first SIGINT or SIGTERM. A second one ends the process at once, as people expect who
 * press Ctrl-C again.
 */
export function stopRequested(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let askedMs: number | null = null
    const onSignal = (signal: NodeJS.Signals): void => {
      askedMs ??= performance.now()
      if (performance.now() - askedMs > SAME_STOP_MS) process.kill(process.pid, 'SIGKILL')
      resolve(signal)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}

/** What a stop is thrown as where it cuts work short. */
export class Stopped extends Error {
  override name = 'Stopped'
  /** What shells report of a process that such a signal has ended: 128 and the signal's number. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`)
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/** Aborted by the first SIGINT or SIGTERM, with `Stopped` for a reason. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  void stopRequested().then((signal) => stop.abort(new Stopped(signal)))
  return stop.signal
}
