/**
 * A network for each server, all of them on one bridge, so that servers can be cut off from each other and from
 * everybody as cables are: nothing arrives, and nobody is told. Linux lets a user do that in namespaces of their own,
 * unless an administrator forbids it.
 */
import { spawn, spawnSync } from 'node:child_process'

import { type Place, run } from '../test/peers/index.ts'

const INSIDE = 'SAMSA_SOAK_NETWORKS'

/**
 * Runs this very program again in namespaces of its own, and resolves with its exit code; null if it is there already,
 * or if there can be none here.
 */
export async function inOwnNetworks(): Promise<number | null> {
  if (process.env[INSIDE] !== undefined) return null
  if (spawnSync('unshare', ['-rnm', 'ip', 'link', 'add', 'bridge', 'type', 'bridge']).status !== 0) return null
  const args = ['-rnm', process.execPath, ...process.argv.slice(1)]
  const child = spawn('unshare', args, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } })
  // That one cleans up; this one waits for it and does not leave before.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.removeAllListeners(signal).on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

export class Networks {
  readonly places: Place[] = []

  /** Null if servers cannot be cut off here: `inOwnNetworks` was of no avail. */
  static async create(count: number): Promise<Networks | null> {
    if (process.env[INSIDE] === undefined) return null
    const networks = new Networks()
    // Where `ip` keeps the names of networks: a folder that only we see.
    await run('mount', ['-t', 'tmpfs', 'tmpfs', '/run'])
    await ip('link', 'set', 'lo', 'up')
    await ip('link', 'add', 'bridge', 'type', 'bridge')
    await ip('addr', 'add', '10.77.0.254/24', 'dev', 'bridge')
    await ip('link', 'set', 'bridge', 'up')
    for (let id = 1; id <= count; id++) {
      const name = `server-${id}`
      await ip('netns', 'add', name)
      await ip('link', 'add', cable(id), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
      await ip('link', 'set', cable(id), 'master', 'bridge', 'up')
      await ip('-n', name, 'addr', 'add', `${addressOf(id)}/24`, 'dev', 'eth0')
      await ip('-n', name, 'link', 'set', 'eth0', 'up')
      await ip('-n', name, 'link', 'set', 'lo', 'up')
      networks.places.push({ host: addressOf(id), prefix: ['ip', 'netns', 'exec', name] })
    }
    return networks
  }

  /** Nothing reaches the server or comes from it. */
  unplug(id: number): Promise<unknown> {
    return ip('link', 'set', cable(id), 'down')
  }

  plug(id: number): Promise<unknown> {
    return ip('link', 'set', cable(id), 'up')
  }

  /** What one server sends to the other vanishes; the way back and the clients are as before. */
  block(from: number, to: number): Promise<unknown> {
    return ip('-n', `server-${from}`, 'route', 'add', 'unreachable', `${addressOf(to)}/32`)
  }

  unblock(from: number, to: number): Promise<unknown> {
    return ip('-n', `server-${from}`, 'route', 'del', 'unreachable', `${addressOf(to)}/32`)
  }
}

function ip(...args: string[]): Promise<unknown> {
  return run('ip', args)
}

function addressOf(id: number): string {
  return `10.77.0.${id}`
}

function cable(id: number): string {
  return `cable-${id}`
}
