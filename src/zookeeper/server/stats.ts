/** Counts for the admin words, of the server and of each connection. Times in ms. */
export class LatencyStats {
  count = 0
  totalMs = 0
  maxMs = 0
  #minMs = Infinity

  /** 0 as long as there was nothing. */
  get minMs(): number {
    return this.count === 0 ? 0 : this.#minMs
  }

  get averageMs(): number {
    return this.count === 0 ? 0 : this.totalMs / this.count
  }

  add(tookMs: number): void {
    this.count++
    this.totalMs += tookMs
    if (tookMs > this.maxMs) this.maxMs = tookMs
    if (tookMs < this.#minMs) this.#minMs = tookMs
  }

  reset(): void {
    this.count = 0
    this.totalMs = 0
    this.maxMs = 0
    this.#minMs = Infinity
  }
}

export class TrafficStats {
  readonly latency = new LatencyStats()
  received = 0
  sent = 0

  reset(): void {
    this.latency.reset()
    this.received = 0
    this.sent = 0
  }
}

/** Sizes in bytes; -1 as long as there was nothing. */
export class SizeStats {
  last = -1
  min = -1
  max = -1

  add(bytes: number): void {
    this.last = bytes
    if (bytes > this.max) this.max = bytes
    if (bytes < this.min || this.min === -1) this.min = bytes
  }

  reset(): void {
    this.last = -1
    this.min = -1
    this.max = -1
  }

  toString(): string {
    return `${this.last}/${this.min}/${this.max}`
  }
}
