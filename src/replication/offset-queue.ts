/** Who waits for an offset. Offsets are asked for in ascending order, nearly always; so the first in line is the first served. */
export interface OffsetWait {
  /** Reached when the end in question is at least this. */
  readonly offset: number
  /** Called once. */
  done(errorCode: number): void
}

export class OffsetQueue {
  #waiting: OffsetWait[] = []
  #head = 0

  get size(): number {
    return this.#waiting.length - this.#head
  }

  add(wait: OffsetWait): void {
    this.#waiting.push(wait)
    // A retried batch waits for the offset that it had the first time, which may lie before those in line.
    for (let at = this.#waiting.length - 1; at > this.#head && this.#waiting[at - 1]!.offset > wait.offset; at--) {
      this.#waiting[at] = this.#waiting[at - 1]!
      this.#waiting[at - 1] = wait
    }
  }

  /** Serves all that wait for `end` or less. */
  reached(end: number, errorCode: number): void {
    while (this.#head < this.#waiting.length && this.#waiting[this.#head]!.offset <= end) {
      const wait = this.#waiting[this.#head]!
      this.#head += 1
      wait.done(errorCode)
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
  }

  /** Nobody gets the offset any more. */
  failAll(errorCode: number): void {
    this.reached(Infinity, errorCode)
  }
}
