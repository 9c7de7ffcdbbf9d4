/** `samsa zookeeper FILE`: one ZooKeeper server as a process of its own. */
import { readFileSync } from 'node:fs'

import { nodePlatform } from '#platform/node'
import { ZooKeeperServer, readZooCfg } from '#zookeeper/server'

import { stopRequested } from './stop.ts'
import { UserError } from './user-error.ts'

export async function zookeeper(file: string): Promise<void> {
  const platform = nodePlatform({ logLevel: 'info' })
  const { config, warnings } = readZooCfg(platform.files, readSettings(file), jvmFlags())
  for (const warning of warnings) platform.logger.warn(warning)
  const server = await ZooKeeperServer.start(platform, config)
  platform.logger.info(`ZooKeeper listens on port ${server.port}`)
  // It stops by itself when its log cannot be written, and has said so then.
  const failure = await Promise.race([stopRequested(), server.stopped])
  await server.close()
  if (failure instanceof Error) process.exitCode = 1
}

/** Where people keep the settings that Apache's servers read from Java's command line. */
function jvmFlags(): string {
  return [process.env['JVMFLAGS'], process.env['SERVER_JVMFLAGS']].filter((flags) => flags !== undefined).join(' ')
}

export function readSettings(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UserError(
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code}): name an existing settings file`,
    )
  }
}
