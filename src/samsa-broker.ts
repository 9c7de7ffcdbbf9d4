/** The door `samsa/broker`: brokers, and one of them on Node. */
import { Broker, parseServerProperties } from '#broker'
import { nodePlatform } from '#platform/node'

export * from '#broker'

/**
 * Starts a broker in this process from the text of a `server.properties`, as `samsa broker` does. Resolves when it serves; rejects with
 * `ConfigError`, or with what the machine says. Of the environment, `KAFKA_*` variables count where it is passed.
 */
export async function startBroker(
  properties: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Broker> {
  return Broker.start(nodePlatform({ logLevel: 'warn' }), parseServerProperties(properties, env, {}))
}
