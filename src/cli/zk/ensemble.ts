/** The shell's commands on the members of the ensemble. */
import { readFileSync } from 'node:fs'

import type { Reconfiguration } from '#zookeeper/client'

import { UserError } from '../user-error.ts'
import type { Call, ShellCommand } from './command.ts'
import { formatStat, statJson } from './format.ts'

export const ensembleCommands: readonly ShellCommand[] = [
  {
    name: 'config',
    usage: '[-c] [-w] [-s]',
    description: 'members of the ensemble (-c: its version and where clients connect; -w: watch it; -s: with the stat)',
    flags: 'cws',
    words: [0, 0],
    async run(shell, call) {
      const { data, stat } = await shell.zk.getConfig(call.has('w') ? shell.watcher : undefined)
      const text = new TextDecoder().decode(data ?? undefined)
      const { version, clients } = clientsOf(text)
      shell.print(call.has('c') ? `${version} ${clients.join(',')}` : text)
      if (call.has('s')) shell.print(formatStat(stat))
      const members = text.split('\n').filter((line) => line.startsWith('server.'))
      return { members, clients, version, stat: statJson(stat) }
    },
  },
  {
    name: 'reconfig',
    usage:
      '[-s] [-v version] [-file path | -members id=host:port:port;port[,…]] | [-add id=host:port:port;port[,…]] [-remove id[,…]]',
    description: 'change the members of the ensemble, where its servers allow that',
    flags: 's',
    values: ['v', 'file', 'members', 'add', 'remove'],
    words: [0, 0],
    async run(shell, call) {
      const { data, stat } = await shell.zk.reconfigure(reconfiguration(call))
      const text = new TextDecoder().decode(data ?? undefined)
      shell.print(`Committed new configuration:\n${text}`)
      if (call.has('s')) shell.print(formatStat(stat))
      return { config: text, stat: statJson(stat) }
    },
  },
]

/** `server.1=host:2888:3888:participant;host:2181`: what is behind the semicolon, without a host for every one. */
function clientsOf(text: string): { version: string; clients: string[] } {
  const clients = Array.from(text.matchAll(/^server\.\d+\s*=[^;\n]*;(.+)$/gm), ([, address]) => {
    const client = address!.trim()
    return client.includes(':') ? client : `0.0.0.0:${client}`
  })
  return { version: /^version\s*=\s*(.+)$/m.exec(text)?.[1]?.trim() ?? '', clients }
}

function reconfiguration(call: Call): Reconfiguration {
  const [add, remove, file] = [call.value('add'), call.value('remove'), call.value('file')]
  const members = call.value('members') ?? (file === undefined ? undefined : membersOf(file))
  if (members === undefined && add === undefined && remove === undefined)
    throw new UserError('what should change? reconfig takes -add, -remove, -members or -file')
  if (members !== undefined && (add !== undefined || remove !== undefined))
    throw new UserError('-file and -members give all servers, -add and -remove those that change: not both')
  const version = call.value('v')
  if (version !== undefined && !/^[\da-f]+$/i.test(version))
    throw new UserError(`"${version}" is no version: the hexadecimal number that config shows`)
  return {
    ...(add !== undefined && { joining: add.toLowerCase() }),
    ...(remove !== undefined && { leaving: remove.toLowerCase() }),
    ...(members !== undefined && { members: members.toLowerCase() }),
    ...(version !== undefined && { fromVersion: BigInt(`0x${version}`) }),
  }
}

function membersOf(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UserError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}): name an existing file`)
  }
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter((line) => line.startsWith('server.')).join(',')
}
