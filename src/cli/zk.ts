/** `samsa zk`: the shell of ZooKeeper, at a terminal, from a pipe, or for one command. */
import { createInterface } from 'node:readline'

import { nodePlatform } from '#platform/node'

import { Stopped, stopRequested } from './stop.ts'
import { clientSecurityOf } from './zk/client-configuration.ts'
import { TerminalOutput, interact } from './zk/interactive.ts'
import { Shell, type ShellOutput } from './zk/shell.ts'

export interface ZkOptions {
  server: string
  /** Session timeout, ms. */
  timeout: number
  readOnly?: true
  /** File with TLS and SASL of the client. */
  clientConfiguration?: string
  json?: true
}

/** Resolves when the session is closed; the exit code is 1 when a command failed. Throws `UserError`, `Stopped`. */
export async function zk(command: readonly string[], options: ZkOptions): Promise<void> {
  const isInteractive = command.length === 0 && process.stdin.isTTY && process.stdout.isTTY && options.json !== true
  const terminal = new TerminalOutput(process.stdout)
  const platform = nodePlatform({ logLevel: 'error' })
  const shell = new Shell(
    platform,
    {
      session: {
        connect: options.server,
        sessionTimeoutMs: options.timeout,
        readOnly: options.readOnly ?? false,
        ...clientSecurityOf(platform.files, options.clientConfiguration ?? null, process.env),
      },
      json: options.json ?? false,
      tellsSession: command.length === 0,
    },
    isInteractive ? terminal : plainOutput(),
  )
  const stop = new AbortController()
  void stopRequested().then((signal) => stop.abort(new Stopped(signal)))
  try {
    const isDone = isInteractive
      ? await atTerminal(shell, terminal, stop.signal)
      : await untilStopped(stop.signal, () =>
          command.length > 0 ? one(shell, command, stop.signal) : fromInput(shell),
        )
    if (!isDone) process.exitCode = 1
  } finally {
    await shell.close()
    // A pipe that stays open would keep the process.
    process.stdin.destroy()
  }
}

async function atTerminal(shell: Shell, terminal: TerminalOutput, signal: AbortSignal): Promise<boolean> {
  terminal.out("ZooKeeper's shell: help lists the commands, Tab completes, Ctrl-D leaves.")
  // A server that is not there yet can be tried again.
  await shell.execute(['connect'])
  await interact(shell, terminal, signal)
  return true
}

async function one(shell: Shell, command: readonly string[], signal: AbortSignal): Promise<boolean> {
  if (needsSession(command[0]!)) await shell.connect()
  const isDone = await shell.execute(command)
  if (isDone && command[0] === 'watch') await new Promise((resolve) => signal.addEventListener('abort', resolve))
  return isDone
}

function needsSession(name: string): boolean {
  return !['help', 'version', 'connect', 'quit', 'exit', 'history', 'printwatches'].includes(name)
}

/** Line by line. A command that fails does not keep the next ones from being done. */
async function fromInput(shell: Shell): Promise<boolean> {
  await shell.connect()
  let isDone = true
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.startsWith('#')) continue
    if (!(await shell.executeLine(line))) isDone = false
    if (shell.hasQuit) break
  }
  return isDone
}

/** Rejects with `Stopped`; what was begun goes on until its session is closed. */
async function untilStopped(signal: AbortSignal, work: () => Promise<boolean>): Promise<boolean> {
  const stopped = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  )
  const working = work()
  working.catch(() => {})
  return await Promise.race([working, stopped])
}

/** A reader that has gone away is no error: nothing more is wanted. */
function plainOutput(): ShellOutput {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    process.stderr.write(`samsa: the output cannot be written: ${error.message}\n`)
    process.exit(1)
  })
  return {
    out(text) {
      process.stdout.write(text)
      process.stdout.write('\n')
    },
    err: (text) => void process.stderr.write(`${text}\n`),
  }
}
