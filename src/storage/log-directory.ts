/**
 * A folder of `log.dirs`. After a failed write or sync nothing in it is touched any more: the kernel may have marked
 * pages clean that never reached the disk, so trying again would lie. A restart recovers from what is really there.
 */
import type { FileSystem, Logger } from '#platform'

export class LogDirectory {
  readonly path: string
  readonly files: FileSystem
  readonly #logger: Logger
  readonly #onFailure: (directory: LogDirectory) => void
  #failure: Error | null = null

  constructor(path: string, files: FileSystem, logger: Logger, onFailure: (directory: LogDirectory) => void) {
    this.path = path
    this.files = files
    this.#logger = logger
    this.#onFailure = onFailure
  }

  get isOffline(): boolean {
    return this.#failure !== null
  }

  /** What took the directory offline. */
  get failure(): Error | null {
    return this.#failure
  }

  fail(what: string, error: unknown): void {
    if (this.#failure !== null) return
    this.#failure = error instanceof Error ? error : new Error(String(error))
    this.#logger.error(`log directory ${this.path} is offline until the next start: ${what}`, error)
    this.#onFailure(this)
  }
}
