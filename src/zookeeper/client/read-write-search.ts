/**
 * While a client is at a server that serves reads only, it asks one server after the other with the admin word `isro` whether it
 * serves writes, too: often at first, then seldom. Source: ClientCnxn.SendThread.pingRwServer.
 */
import { sleep, type Platform } from '#platform'

import type { ZooKeeperAddress } from './connect-string.ts'

const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 60_000
/** For connection and answer each. */
const ANSWER_TIMEOUT_MS = 1000

/** Null when it is no longer wanted. */
export async function findReadWriteServer(
  platform: Platform,
  hosts: readonly ZooKeeperAddress[],
  isWanted: () => boolean,
  signal: AbortSignal,
): Promise<ZooKeeperAddress | null> {
  let pauseMs = PAUSE_MS_MIN
  for (let attempt = 0; ; attempt++) {
    await sleep(platform.clock, pauseMs, signal).catch(() => {})
    if (signal.aborted || !isWanted()) return null
    const address = hosts[attempt % hosts.length]!
    if (await servesWrites(platform, address, signal)) return address
    pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)
  }
}

async function servesWrites(platform: Platform, address: ZooKeeperAddress, signal: AbortSignal): Promise<boolean> {
  try {
    return (await ask(platform, address, signal)) === 'rw'
  } catch {
    return false
  }
}

/** Everything that the server says to `isro` before it closes the connection: `rw`, `ro` or `null`. */
async function ask(platform: Platform, address: ZooKeeperAddress, signal: AbortSignal): Promise<string> {
  const socket = await platform.network.connect({ ...address, timeoutMs: ANSWER_TIMEOUT_MS, signal })
  return await new Promise((resolve) => {
    let answer = ''
    const silence = platform.clock.setTimer(ANSWER_TIMEOUT_MS, () => socket.destroy())
    socket.start({
      onBytes: (bytes) => (answer += new TextDecoder().decode(bytes)),
      onDrain: () => {},
      onClose: () => {
        silence.cancel()
        resolve(answer)
      },
    })
    socket.write([new TextEncoder().encode('isro')])
  })
}
