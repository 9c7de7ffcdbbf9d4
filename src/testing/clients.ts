import { Admin, Consumer, Producer, type AdminOptions, type ConsumerOptions, type ProducerOptions } from '#client'
import type { Platform } from '#platform'

import type { TestClients } from './cluster.ts'

/** What a client that the test left open may still take for its last words: brokers may be gone by then. */
const CLOSE_TIMEOUT_MS = 1000

type Given<Options> = Omit<Options, 'bootstrapServers'>

/** Makes clients, and closes those that are left. */
export class Clients implements TestClients {
  readonly #platform: Platform
  readonly #bootstrapServers: string
  readonly #whileClosing: (closing: Promise<void>) => Promise<void>
  readonly #open: (Producer | Consumer | Admin)[] = []

  /** `whileClosing` lets time pass until a client that is disposed of is closed. */
  constructor(
    platform: Platform,
    bootstrapServers: string,
    whileClosing: (closing: Promise<void>) => Promise<void> = (closing) => closing,
  ) {
    this.#platform = platform
    this.#bootstrapServers = bootstrapServers
    this.#whileClosing = whileClosing
  }

  producer(options: Given<ProducerOptions> = {}): Producer {
    return this.#keep(new Producer(this.#platform, { ...options, bootstrapServers: this.#bootstrapServers }))
  }

  consumer(options: Given<ConsumerOptions> = {}): Consumer {
    return this.#keep(new Consumer(this.#platform, { ...options, bootstrapServers: this.#bootstrapServers }))
  }

  admin(options: Given<AdminOptions> = {}): Admin {
    return this.#keep(new Admin(this.#platform, { ...options, bootstrapServers: this.#bootstrapServers }))
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((client) => client.close({ timeoutMs: CLOSE_TIMEOUT_MS })))
  }

  /** Where time stands still outside of waits, the end of an `await using` is such a wait. */
  #keep<Client extends Producer | Consumer | Admin>(client: Client): Client {
    this.#open.push(client)
    const dispose = (): Promise<void> => this.#whileClosing(client.close())
    return Object.defineProperty(client, Symbol.asyncDispose, { value: dispose })
  }
}
