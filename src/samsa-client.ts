/**
 * The door `samsa/client`: the clients on Node.
 *
 *     await using producer = new Producer({ 'bootstrap.servers': '127.0.0.1:9092' })
 *
 * Inside, clients are given their platform first; here it comes last, and is this process unless another is named.
 */
import * as client from '#client'
import type { Platform } from '#platform'
import { nodePlatform } from '#platform/node'

export * from '#client'
export type { Platform } from '#platform'

/** One for all clients of the process. They say what is wrong on stderr. */
const thisProcess = nodePlatform({ logLevel: 'warn', name: 'samsa' })

/** Settings may also be given under the dotted names of Kafka's documentation, with values as they are or as text. */
type Given<Options> = Readonly<Record<`${string}.${string}`, unknown>> &
  (Options | (Partial<Options> & { readonly 'bootstrap.servers': string | readonly string[] }))

export type AdminOptions = Given<client.AdminOptions>
export type ConsumerOptions = Given<client.ConsumerOptions>
export type ProducerOptions = Given<client.ProducerOptions>

export class Producer extends client.Producer {
  /** Connects at the first send. Throws `ConfigError`. */
  constructor(options: ProducerOptions, platform: Platform = thisProcess) {
    super(platform, options as client.ProducerOptions)
  }
}

export class Consumer extends client.Consumer {
  /** Connects to nothing yet. Throws `ConfigError`. */
  constructor(options: ConsumerOptions, platform: Platform = thisProcess) {
    super(platform, options as client.ConsumerOptions)
  }
}

export class Admin extends client.Admin {
  /** Connects at the first call. Throws `ConfigError`. */
  constructor(options: AdminOptions, platform: Platform = thisProcess) {
    super(platform, options as client.AdminOptions)
  }
}
