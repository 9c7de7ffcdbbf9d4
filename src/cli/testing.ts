/** For tests: the command as a process of its own. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { PORT_END, PORT_FIRST } from '#embedded'

const MAIN = join(import.meta.dirname, 'main.ts')

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly done: Promise<Outcome>
  /** Resolves when the text has been printed; rejects when the process ends before. */
  printed(text: string): Promise<void>
}

/** Null: the input stays open, for the test to write to. */
export function start(args: readonly string[], input: string | null = ''): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'pipe' })
  const outcome: Outcome = { code: null, stdout: '', stderr: '' }
  // A command that does not read its input may end before it is written.
  child.stdin.on('error', () => {})
  if (input !== null) child.stdin.end(input)
  child.stdout.setEncoding('utf8').on('data', (text: string) => (outcome.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.stderr += text))
  const done = once(child, 'close').then(([code]): Outcome => ({ ...outcome, code: code as number | null }))
  const printed = async (text: string): Promise<void> => {
    while (!outcome.stdout.includes(text)) {
      const ended = await Promise.race([once(child.stdout, 'data').then(() => false), done.then(() => true)])
      assert(!ended || outcome.stdout.includes(text), `it ended before it printed "${text}": ${outcome.stderr}`)
    }
  }
  return { child, done, printed }
}

export function run(args: readonly string[], input?: string): Promise<Outcome> {
  return start(args, input).done
}

/** The first of `count + 1` ports in a row that are free at the moment. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = PORT_FIRST + Math.floor(Math.random() * (PORT_END - PORT_FIRST - count))
    const tries = Array.from({ length: count + 1 }, (_, index) => listenOnce(first + index))
    if ((await Promise.allSettled(tries)).every((result) => result.status === 'fulfilled')) return first
  }
}

async function listenOnce(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}
