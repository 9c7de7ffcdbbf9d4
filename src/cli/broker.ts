/** `samsa broker FILE`: one broker as a process of its own. */
import { Broker, parseServerProperties } from '#broker'
import { nodePlatform } from '#platform/node'

import { stopRequested } from './stop.ts'
import { parseAssignments } from './user-error.ts'
import { readSettings } from './zookeeper.ts'

export async function broker(file: string, options: { override?: string[] }): Promise<void> {
  const platform = nodePlatform({ logLevel: 'info' })
  const overrides = parseAssignments('--override', options.override)
  const config = parseServerProperties(readSettings(file), process.env, overrides)
  const running = await Broker.start(platform, config)
  const signal = await Promise.race([stopRequested(), running.stopped])
  await running.close()
  // It went by itself: whoever supervises it shall know that something is wrong.
  if (signal === undefined) process.exitCode = 1
}
