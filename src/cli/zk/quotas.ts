/**
 * The shell's commands on quotas: limits for the number of znodes of a tree and for the bytes in them. They are znodes themselves, which
 * the servers read:
 *
 *     /zookeeper/quota<path>/zookeeper_limits    count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10
 *     /zookeeper/quota<path>/zookeeper_stats     count=2,bytes=17, kept by the servers
 *
 * Soft limits are warned of in the servers' logs, hard ones are enforced where `enforceQuota` is set. Source: Quotas, StatsTrack.
 */
import { ZkError, ZkErrorCode, isZkError, type ZooKeeperClient } from '#zookeeper/client'

import { UserError } from '../user-error.ts'
import { integer, type Call, type ShellCommand, type ShellContext } from './command.ts'
import { checkedPath } from './format.ts'
import { childPath, walk } from './trees.ts'

const ROOT = '/zookeeper/quota'
const LIMITS = 'zookeeper_limits'
const STATS = 'zookeeper_stats'

/** −1 is no limit. */
type Track = Map<string, number>

/** Which limit an option stands for, and the least that it can be. */
const LIMIT_OF_OPTION = {
  n: { key: 'count', min: 1 },
  b: { key: 'bytes', min: 0 },
  N: { key: 'countHardLimit', min: 1 },
  B: { key: 'byteHardLimit', min: 0 },
} as const

const OPTIONS = Object.entries(LIMIT_OF_OPTION)

export const quotaCommands: readonly ShellCommand[] = [
  {
    name: 'setquota',
    usage: '-n|-b|-N|-B val path',
    description:
      'limit a tree: -n znodes, -b bytes (warned of); -N, -B the same, refused (where the servers enforce it)',
    values: Object.keys(LIMIT_OF_OPTION),
    words: [1, 1],
    async run(shell, call) {
      const path = quotaPathOf(shell, call)
      const wanted = OPTIONS.flatMap(([option, { key, min }]): [string, number][] => {
        const text = call.value(option)
        return text === undefined ? [] : [[key, integer(text, `-${option}`, min)]]
      })
      if (wanted.length === 0) throw new UserError('which limit? setquota -n|-b|-N|-B val path')
      return { path, quota: Object.fromEntries(await setQuota(shell, path, new Map(wanted))) }
    },
  },
  {
    name: 'listquota',
    usage: 'path',
    description: 'limits of a tree, and how much of them is used',
    words: [1, 1],
    async run(shell, call) {
      const path = quotaPathOf(shell, call)
      shell.note(`absolute path is ${limitsOf(path)}`)
      const [quota, usage] = await Promise.all([read(shell.zk, limitsOf(path)), read(shell.zk, statsOf(path))])
      if (quota === null || usage === null) throw new UserError(`quota for ${path} does not exist.`)
      shell.print(`Output quota for ${path} ${formatTrack(quota)}`)
      shell.print(`Output stat for ${path} ${formatTrack(usage)}`)
      return { path, quota: Object.fromEntries(quota), usage: Object.fromEntries(usage) }
    },
  },
  {
    name: 'delquota',
    usage: '[-n|-b|-N|-B] path',
    description: 'remove limits of a tree; all of them unless they are named',
    flags: Object.keys(LIMIT_OF_OPTION).join(''),
    words: [1, 1],
    async run(shell, call) {
      const path = quotaPathOf(shell, call)
      const quota = await read(shell.zk, limitsOf(path))
      if (quota === null) throw new UserError(`Quota does not exist for ${path}`)
      const removed = OPTIONS.filter(([option]) => call.has(option))
      if (removed.length === 0) {
        await removeAll(shell.zk, path)
        return { path, quota: null }
      }
      for (const [, { key }] of removed) quota.set(key, -1)
      await write(shell.zk, limitsOf(path), quota)
      return { path, quota: Object.fromEntries(quota) }
    },
  },
]

function quotaPathOf(shell: ShellContext, call: Call): string {
  const path = checkedPath(call.words[0]!)
  if (path === '/') throw new UserError('a quota is for what is below /, not for / itself')
  if (path === ROOT || path.startsWith(`${ROOT}/`)) throw new UserError(`cannot set a quota under the path: ${ROOT}`)
  if (shell.zk.chroot !== '')
    throw new UserError(`quotas lie at ${ROOT}, outside of ${shell.zk.chroot}: connect without it`)
  return path
}

async function setQuota(shell: ShellContext, path: string, wanted: Track): Promise<Track> {
  const { zk } = shell
  if ((await zk.exists(path)) === null) throw new ZkError(ZkErrorCode.NONODE, path)
  await refuseNested(zk, path)
  const before = await read(zk, limitsOf(path))
  const none: Track = new Map(OPTIONS.map(([, { key }]) => [key, -1]))
  const quota: Track = new Map([...(before ?? none), ...wanted])
  if (before === null) {
    await zk.retrying.ensurePath(ROOT + path)
    // The servers begin to count when the limits appear, and write into the other.
    await zk.create(limitsOf(path), encode(quota))
    await zk.create(
      statsOf(path),
      encode(
        new Map([
          ['count', 0],
          ['bytes', 0],
        ]),
      ),
    )
  } else await write(zk, limitsOf(path), quota)
  const usage = (await read(zk, statsOf(path))) ?? new Map()
  warn(shell, 'count', usage, quota, ['count', 'countHardLimit'])
  warn(shell, 'bytes', usage, quota, ['bytes', 'byteHardLimit'])
  return quota
}

function warn(shell: ShellContext, what: string, usage: Track, quota: Track, limits: readonly string[]): void {
  const used = usage.get(what) ?? 0
  if (limits.some((limit) => (quota.get(limit) ?? -1) > -1 && quota.get(limit)! < used))
    shell.note(`[Warning]: the ${what} quota you create is less than the existing ${what}:${used}`)
}

/** A znode counts for one quota only. */
async function refuseNested(zk: ZooKeeperClient, path: string): Promise<void> {
  for (let above = path.slice(0, path.lastIndexOf('/')); above !== ''; above = above.slice(0, above.lastIndexOf('/')))
    if ((await zk.exists(limitsOf(above))) !== null)
      throw new UserError(`${path} has a parent ${above} which has a quota`)
  if ((await zk.exists(ROOT + path)) === null) return
  for await (const found of walk(zk, ROOT + path))
    if (found.endsWith(`/${LIMITS}`) && found !== limitsOf(path))
      throw new UserError(`${path} has a child ${found.slice(ROOT.length, -LIMITS.length - 1)} which has a quota`)
}

/** With the znodes above that were there for this quota alone. */
async function removeAll(zk: ZooKeeperClient, path: string): Promise<void> {
  const top = ROOT + path
  for (const name of (await zk.getChildren(top)).children) await zk.delete(childPath(top, name))
  for (let at = top; at !== ROOT; at = at.slice(0, at.lastIndexOf('/'))) {
    if ((await zk.getChildren(at)).children.length > 0) return
    await zk.delete(at)
  }
}

function limitsOf(path: string): string {
  return `${ROOT}${path}/${LIMITS}`
}

function statsOf(path: string): string {
  return `${ROOT}${path}/${STATS}`
}

/** Null when there is none. */
async function read(zk: ZooKeeperClient, path: string): Promise<Track | null> {
  try {
    return parseTrack(new TextDecoder().decode((await zk.getData(path)).data ?? undefined))
  } catch (error) {
    if (isZkError(error, 'NONODE')) return null
    throw error
  }
}

async function write(zk: ZooKeeperClient, path: string, track: Track): Promise<void> {
  await zk.setData(path, encode(track))
}

/** `count=5,bytes=10=;countHardLimit=3`: pairs, with , or ; between them. */
export function parseTrack(text: string): Track {
  const pairs = text.split(/[,;]+/).filter((pair) => pair.includes('='))
  return new Map(
    pairs.map((pair): [string, number] => {
      const [key, value] = pair.split('=') as [string, string]
      return [key, value === '' ? -1 : Number(value)]
    }),
  )
}

/** `count` and `bytes` first, and `=;` before the rest, which parsers of 3.4 do not know and so pass over. */
export function formatTrack(track: Track): string {
  const { count = -1, bytes = -1, ...others } = Object.fromEntries(track)
  const rest = Object.entries(others).sort(([one], [other]) => (one < other ? -1 : 1))
  const text = `count=${count},bytes=${bytes}`
  return rest.length === 0 ? text : `${text}=;${rest.map(([key, value]) => `${key}=${value}`).join(';')}`
}

function encode(track: Track): Uint8Array {
  return new TextEncoder().encode(formatTrack(track))
}
