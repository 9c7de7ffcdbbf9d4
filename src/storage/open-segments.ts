import type { LogSegment } from './log-segment.ts'

/** Of all logs of a broker. Many systems give a process 1024 descriptors, and each log has one open for its active segment. */
const SEGMENTS_OPEN_MAX = 256

/**
 * The old segments whose files readers have opened. Those that were not read for the longest time are closed again, so that a
 * consumer that goes through a long log does not use up the descriptors; whoever reads one next opens it anew.
 */
export class OpenSegments {
  readonly #max: number
  /** The one that was read last comes last. */
  readonly #segments = new Set<LogSegment>()

  constructor(max = SEGMENTS_OPEN_MAX) {
    this.#max = max
  }

  /** The segment is about to be read. Nothing may be about to be written to it. */
  used(segment: LogSegment): void {
    this.#segments.delete(segment)
    this.#segments.add(segment)
    if (this.#segments.size <= this.#max) return
    for (const oldest of this.#segments) {
      this.#segments.delete(oldest)
      return oldest.closeFile()
    }
  }

  /** The segment is written to again, or gone. */
  forget(segment: LogSegment): void {
    this.#segments.delete(segment)
  }
}
