/** The shell's commands on znodes: what is there, and to make, write and delete them. */
import { CreateMode, ZkError, ZkErrorCode, type CreateOptions } from '#zookeeper/client'

import { UserError } from '../user-error.ts'
import { integer, versionOf, type Call, type ShellCommand } from './command.ts'
import { checkedPath, dataJson, formatStat, hexDump, parseAcls, statJson } from './format.ts'
import { deleteTree, walk } from './trees.ts'

/** Deletions in one request, as zkCli asks for. */
const BATCH_SIZE_DEFAULT = 1000

/** A TTL has 40 bits. */
const TTL_MS_MAX = 0xff_ffff_ffff

/** Words that `get`, `stat` and `ls` took before they had options: `get path watch`. */
function watches(call: Call): boolean {
  return call.has('w') || call.words.length > 1
}

export const nodeCommands: readonly ShellCommand[] = [
  {
    name: 'ls',
    usage: '[-s] [-w] [-R] path',
    description: 'children of a znode (-R: everything below it; -s: with its stat; -w: watch it)',
    flags: 'swR',
    words: [1, 2],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const watcher = watches(call) ? shell.watcher : undefined
      if (call.has('R')) {
        const paths: string[] = []
        for await (const found of walk(shell.zk, path, watcher)) {
          shell.print(found)
          paths.push(found)
        }
        return { path, paths }
      }
      const { children, stat } = await shell.zk.getChildren(path, watcher)
      const sorted = [...children].sort()
      shell.print(`[${sorted.join(', ')}]`)
      if (call.has('s')) shell.print(formatStat(stat))
      return { path, children: sorted, stat: statJson(stat) }
    },
  },
  {
    name: 'get',
    usage: '[-s] [-w] [-b] [-x] path',
    description: 'data of a znode (-s: with its stat; -w: watch it; -b: as base64; -x: as a hex dump)',
    flags: 'swbx',
    words: [1, 2],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const { data, stat } = await shell.zk.getData(path, watches(call) ? shell.watcher : undefined)
      const shown = data ?? new TextEncoder().encode('null')
      if (call.has('x')) shell.print(hexDump(shown))
      else if (call.has('b')) shell.print(Buffer.from(shown).toString('base64'))
      else shell.print(shown)
      if (call.has('s')) shell.print(formatStat(stat))
      return { path, ...dataJson(data), stat: statJson(stat) }
    },
  },
  {
    name: 'stat',
    usage: '[-w] path',
    description: 'versions, times and sizes of a znode (-w: watch it)',
    flags: 'w',
    words: [1, 2],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const stat = await shell.zk.exists(path, watches(call) ? shell.watcher : undefined)
      if (stat === null) throw new ZkError(ZkErrorCode.NONODE, path)
      shell.print(formatStat(stat))
      return { path, stat: statJson(stat) }
    },
  },
  {
    name: 'create',
    usage: '[-s] [-e] [-c] [-t ttl] path [data] [acl]',
    description: 'make a znode (-s: sequential; -e: ephemeral; -c: container; -t: lives that many ms unused)',
    flags: 'sec',
    values: ['t'],
    words: [1, 3],
    async run(shell, call) {
      const [path, data, acl] = call.words as [string, string?, string?]
      const options: CreateOptions = { ...modeOf(call), ...(acl !== undefined && { acl: parseAcls(acl) }) }
      const created = await shell.zk.create(
        checkedPath(path, call.has('s')),
        data === undefined ? null : new TextEncoder().encode(data),
        options,
      )
      shell.print(`Created ${created}`)
      return { path: created }
    },
  },
  {
    name: 'set',
    usage: '[-s] [-v version] [-b] path data',
    description: 'write the data of a znode (-v: only if it has this version; -b: given in base64; -s: show its stat)',
    flags: 'sb',
    values: ['v'],
    words: [2, 2],
    async run(shell, call) {
      const [path, text] = call.words as [string, string]
      const data = call.has('b') ? fromBase64(text) : new TextEncoder().encode(text)
      const stat = await shell.zk.setData(checkedPath(path), data, versionOf(call))
      if (call.has('s')) shell.print(formatStat(stat))
      return { path, stat: statJson(stat) }
    },
  },
  {
    name: 'delete',
    usage: '[-v version] path',
    description: 'delete a znode without children (-v: only if its data has this version)',
    values: ['v'],
    words: [1, 1],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      await shell.zk.delete(path, versionOf(call))
      return { path }
    },
  },
  {
    name: 'deleteall',
    usage: 'path [-b batch size]',
    description: 'delete a znode with everything below it (-b: so many in one request)',
    values: ['b'],
    words: [1, 1],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      // Leaves would go before the root refuses.
      if (path === '/' && shell.zk.chroot === '') throw new UserError('the root cannot be deleted')
      const batchSize = integer(call.value('b') ?? String(BATCH_SIZE_DEFAULT), 'a batch size', 0)
      return { path, deleted: await deleteTree(shell.zk, path, Math.max(1, batchSize)) }
    },
  },
  {
    name: 'getAllChildrenNumber',
    usage: 'path',
    description: 'how many znodes are below one, however deep',
    words: [1, 1],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const count = await shell.zk.getAllChildrenNumber(path)
      shell.print(String(count))
      return { path, count }
    },
  },
  {
    name: 'getEphemerals',
    usage: '[path]',
    description: 'ephemeral znodes of this session, below a path',
    words: [0, 1],
    async run(shell, call) {
      const paths = (await shell.zk.getEphemerals(checkedPath(call.words[0] ?? '/'))).sort()
      shell.print(`[${paths.join(', ')}]`)
      return { paths }
    },
  },
  {
    name: 'sync',
    usage: 'path',
    description: 'wait until the connected server has caught up with all that was written before',
    words: [1, 1],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      await shell.zk.sync(path)
      shell.print('Sync is OK')
      return { path }
    },
  },
]

/** Throws `UserError` for what cannot be combined. */
function modeOf(call: Call): { mode: CreateMode; ttlMs?: number } {
  const [isSequential, isEphemeral, isContainer] = [call.has('s'), call.has('e'), call.has('c')]
  const ttl = call.value('t')
  if (isContainer && (isEphemeral || isSequential))
    throw new UserError('-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.')
  if (ttl !== undefined && isEphemeral) throw new UserError('TTLs cannot be used with Ephemeral znodes')
  if (ttl !== undefined && isContainer) throw new UserError('TTLs cannot be used with Container znodes')
  if (ttl !== undefined) {
    const ttlMs = integer(ttl, 'a TTL in ms', 1)
    if (ttlMs > TTL_MS_MAX) throw new UserError(`a TTL is at most ${TTL_MS_MAX} ms`)
    return { mode: isSequential ? CreateMode.persistentSequentialTtl : CreateMode.persistentTtl, ttlMs }
  }
  if (isContainer) return { mode: CreateMode.container }
  if (isEphemeral) return { mode: isSequential ? CreateMode.ephemeralSequential : CreateMode.ephemeral }
  return { mode: isSequential ? CreateMode.persistentSequential : CreateMode.persistent }
}

/** Throws `UserError`: Node's decoder passes over what is none. */
function fromBase64(text: string): Uint8Array {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text))
    throw new UserError(`"${text}" is no base64`)
  return new Uint8Array(Buffer.from(text, 'base64'))
}
