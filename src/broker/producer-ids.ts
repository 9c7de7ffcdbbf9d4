/** Producer ids, out of blocks of a thousand that the controller hands to each broker. Source: `RPCProducerIdManager`. */
import { ErrorCode } from '#protocol'
import { sleep, type Clock, type Logger } from '#platform'
import type { AllocateProducerIdsResponse } from '#protocol/messages/allocate-producer-ids'

interface Block {
  next: number
  /** One past the last. */
  readonly end: number
  readonly size: number
}

/** The next block is asked for when this share of the present one is used up. */
const PREFETCH_AT = 0.9

const RETRY_PAUSE_MS = 50

/** Attempts before those who wait are told to come again. */
const ATTEMPTS_MAX = 20

export class ProducerIds {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #allocate: () => Promise<AllocateProducerIdsResponse>
  #block: Block = { next: 0, end: 0, size: 0 }
  #following: Block | null = null
  #allocation: Promise<boolean> | null = null

  /** `allocate` asks the controller for a block; it may reject. */
  constructor(platform: { clock: Clock; logger: Logger }, allocate: () => Promise<AllocateProducerIdsResponse>) {
    this.#clock = platform.clock
    this.#logger = platform.logger
    this.#allocate = allocate
  }

  /** An id that no producer had before; null when no block is to be had at the moment. */
  async next(): Promise<number | null> {
    while (this.#block.next >= this.#block.end && this.#following === null) if (!(await this.#allocated())) return null
    if (this.#block.next >= this.#block.end) {
      this.#block = this.#following!
      this.#following = null
    }
    const block = this.#block
    const id = block.next++
    const used = block.size - (block.end - block.next)
    // Failures are met by whoever finds the block used up.
    if (used >= block.size * PREFETCH_AT && this.#following === null) void this.#allocated()
    return id
  }

  #allocated(): Promise<boolean> {
    this.#allocation ??= this.#ask().finally(() => (this.#allocation = null))
    return this.#allocation
  }

  async #ask(): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      try {
        const { errorCode, producerIdStart, producerIdLen } = await this.#allocate()
        if (errorCode === ErrorCode.NONE) {
          this.#following = { next: producerIdStart, end: producerIdStart + producerIdLen, size: producerIdLen }
          return true
        }
      } catch (error) {
        if (attempt === ATTEMPTS_MAX - 1) this.#logger.warn('no producer ids from the controller', error)
      }
      await sleep(this.#clock, RETRY_PAUSE_MS)
    }
    return false
  }
}
