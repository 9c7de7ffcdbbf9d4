/** The shell's commands on watches. What they tell is printed as it comes. */
import { WatcherType } from '#zookeeper/client'

import { UserError } from '../user-error.ts'
import type { Call, ShellCommand } from './command.ts'
import { checkedPath } from './format.ts'

const MODES = { PERSISTENT: 'persistent', PERSISTENT_RECURSIVE: 'recursive' } as const

const TYPE_OF_FLAG: readonly [flag: string, type: WatcherType][] = [
  ['c', WatcherType.children],
  ['d', WatcherType.data],
  ['p', WatcherType.persistent],
  ['r', WatcherType.persistentRecursive],
]

const WATCHING: Omit<ShellCommand, 'name' | 'description'> = {
  usage: '[-m mode] path',
  values: ['m'],
  words: [1, 1],
  choices: Object.keys(MODES),
  async run(shell, call) {
    const path = checkedPath(call.words[0]!)
    const mode = modeOf(call)
    await shell.zk.addWatch(path, MODES[mode], shell.watcher)
    return { path, mode }
  },
}

export const watchCommands: readonly ShellCommand[] = [
  {
    ...WATCHING,
    name: 'addWatch',
    description: `watch a path for good (-m: ${Object.keys(MODES).join(' or ')}, the default)`,
  },
  { ...WATCHING, name: 'watch', description: 'as addWatch; as the only command it goes on until Ctrl-C' },
  {
    name: 'removewatches',
    usage: 'path [-c|-d|-p|-r|-a] [-l]',
    description:
      'remove watches of a path (-c: of children; -d: of data; -p, -r: of addWatch; -a: all; -l: without the server)',
    flags: 'cdpral',
    words: [1, 1],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const type = TYPE_OF_FLAG.find(([flag]) => call.has(flag))?.[1] ?? WatcherType.any
      await shell.zk.removeWatches(path, type, { local: call.has('l') })
      return { path }
    },
  },
  {
    name: 'printwatches',
    usage: 'on|off',
    description: 'whether events are printed',
    words: [0, 1],
    choices: ['on', 'off'],
    run(shell, call) {
      const [word] = call.words
      if (word === undefined) shell.print(`printwatches is ${shell.printsWatches ? 'on' : 'off'}`)
      else shell.printsWatches = word === 'on'
      return { printwatches: shell.printsWatches }
    },
  },
]

function modeOf(call: Call): keyof typeof MODES {
  const mode = (call.value('m') ?? 'PERSISTENT_RECURSIVE').toUpperCase()
  if (mode in MODES) return mode as keyof typeof MODES
  throw new UserError(`"${call.value('m')}" is no mode: ${Object.keys(MODES).join(' or ')}`)
}
