/** The door `samsa/zookeeper`: ZooKeeper servers, and one of them on Node. */
import { nodePlatform } from '#platform/node'
import { ZooKeeperServer, readZooCfg } from '#zookeeper/server'

export * from '#zookeeper/server'

/**
 * Starts a ZooKeeper server in this process from the text of a `zoo.cfg`, as `samsa zookeeper` does. Resolves when it serves; rejects with
 * `ZooCfgError`, or with what the machine says.
 */
export async function startZooKeeper(zooCfg: string): Promise<ZooKeeperServer> {
  const platform = nodePlatform({ logLevel: 'warn' })
  const { config, warnings } = readZooCfg(platform.files, zooCfg)
  for (const warning of warnings) platform.logger.warn(warning)
  return ZooKeeperServer.start(platform, config)
}
