/** The shell's commands on itself: its session, its history, its help. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { UserError } from '../user-error.ts'
import { integer, type ShellCommand } from './command.ts'

/** zkCli shows so many lines before the present one. */
const HISTORY_LINES = 10

/** The same from `src` and from `dist`. */
const PACKAGE_FILE = join(import.meta.dirname, '../../../package.json')

export const sessionCommands: readonly ShellCommand[] = [
  {
    name: 'connect',
    usage: '[host:port]',
    description: 'begin a new session, there or where the present one is',
    words: [0, 1],
    async run(shell, call) {
      await shell.connect(call.words[0])
      const { server, sessionId } = shell.zk
      return {
        server: server === null ? null : `${server.host}:${server.port}`,
        sessionId: `0x${sessionId.toString(16)}`,
      }
    },
  },
  {
    name: 'close',
    usage: '',
    description: 'end the session; its ephemeral znodes vanish',
    words: [0, 0],
    async run(shell) {
      await shell.close()
      return {}
    },
  },
  ...['quit', 'exit'].map((name): ShellCommand => ({
    name,
    usage: '',
    description: 'leave the shell; the session ends',
    words: [0, 0],
    run: (shell) => shell.quit(),
  })),
  {
    name: 'history',
    usage: '',
    description: 'the last lines that were entered',
    words: [0, 0],
    run(shell) {
      const first = Math.max(0, shell.history.length - 1 - HISTORY_LINES)
      const lines = shell.history.slice(first)
      for (const [index, line] of lines.entries()) shell.print(`${first + index} - ${line}`)
      return { first, lines }
    },
  },
  {
    name: 'redo',
    usage: 'cmdno',
    description: 'do a line of the history again',
    words: [1, 1],
    run: (shell, call) => shell.redo(integer(call.words[0]!, 'the number of a line', 0)),
  },
  {
    name: 'version',
    usage: '',
    description: 'of this shell',
    words: [0, 0],
    run(shell) {
      const { version } = JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string }
      shell.print(`ZooKeeper CLI version: 3.9, samsa ${version}`)
      return { zookeeper: '3.9', samsa: version }
    },
  },
  {
    name: 'help',
    usage: '[command]',
    description: 'this list, or what one command takes',
    words: [0, 1],
    run(shell, call) {
      const [name] = call.words
      const chosen = shell.commands.filter((command) => name === undefined || command.name === name)
      if (chosen.length === 0) throw new UserError(`there is no command ${name}`)
      const width = Math.max(...chosen.map((command) => command.name.length))
      for (const { name: each, usage, description } of chosen) {
        shell.print(`${each.padEnd(width)}  ${description}`)
        if (name !== undefined) shell.print(`usage: ${`${each} ${usage}`.trimEnd()}`)
      }
      return chosen.map(({ name: each, usage, description }) => ({ name: each, usage, description }))
    },
  },
]
