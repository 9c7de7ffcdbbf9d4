/**
 * Processes of others, each tracked from its start and ended by its pid, whatever becomes of the test; and their folders,
 * removed likewise. Everything has a time bound: a program that hangs is killed and reported, it does not hang the run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Ended {
  /** Null if a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunResult extends Ended {
  stdout: string
  stderr: string
  ms: number
}

export interface StartOptions {
  env?: Record<string, string>
  cwd?: string
  /** File that takes both outputs. Without it they are pipes. */
  log?: string
  /** Files in place of the pipes of standard input and output, for what is too large to hold. */
  inputFile?: string
  outputFile?: string
}

export interface RunOptions extends StartOptions {
  /** What the program finds on its standard input. */
  input?: string | Uint8Array
  timeoutMs?: number
  /** An exit code other than 0 is an answer, not a failure. */
  mayFail?: boolean
}

const RUN_TIMEOUT_MS = 60_000

const alive = new Set<ChildProcess>()
const folders = new Set<string>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
  for (const folder of folders) removeFolder(folder)
})
// The handlers stay: a second signal finds this process cleaning up and must not end it at once.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => process.exit(128 + constants.signals[signal]))

/** A new folder that is removed when this process ends, if not before. */
export function temporaryFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix))
  folders.add(folder)
  return folder
}

/** With all that is in it, and again as long as a process that was just killed still adds to it. `SAMSA_KEEP=1` keeps it. */
export function removeFolder(folder: string): void {
  folders.delete(folder)
  if (process.env['SAMSA_KEEP'] === '1') console.log(`kept: ${folder}`)
  else rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}

/**
 * A test process that is itself killed runs no handler. The kernel then ends its children, where this program of
 * Debian's asks it to; it replaces itself by the program, so the pid is the program's own.
 */
const SET_PRIVILEGES = '/usr/bin/setpriv'
const DIE_WITH_US = ['--pdeathsig', 'KILL', '--']

export class Process {
  readonly child: ChildProcess
  readonly exited: Promise<Ended>
  ended: Ended | null = null

  constructor(program: string, args: readonly string[], options: StartOptions = {}) {
    const { log, inputFile, outputFile } = options
    const logged = log === undefined ? null : openSync(log, 'a')
    const input = inputFile === undefined ? null : openSync(inputFile, 'r')
    const output = outputFile === undefined ? null : openSync(outputFile, 'w')
    const [command, ...rest] = existsSync(SET_PRIVILEGES)
      ? [SET_PRIVILEGES, ...DIE_WITH_US, program, ...args]
      : [program, ...args]
    this.child = spawn(command, rest, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [input ?? (logged === null ? 'pipe' : 'ignore'), output ?? logged ?? 'pipe', logged ?? 'pipe'],
    })
    for (const descriptor of [logged, input, output]) if (descriptor !== null) closeSync(descriptor)
    alive.add(this.child)
    // A program that ends without reading its input is judged by its exit code, not by the broken pipe.
    this.child.stdin?.on('error', () => {})
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', (error) => {
        alive.delete(this.child)
        this.ended = { code: 127, signal: null }
        reject(new Error(`${program} does not start`, { cause: error }))
      })
      this.child.on('close', (code, signal) => {
        alive.delete(this.child)
        this.ended = { code, signal }
        resolve(this.ended)
      })
    })
    this.exited.catch(() => {})
  }

  get pid(): number {
    return this.child.pid ?? -1
  }

  signal(signal: NodeJS.Signals): void {
    if (this.ended === null) this.child.kill(signal)
  }

  /** Asks it to end, and ends it if it has not within the bound. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = 20_000): Promise<Ended> {
    this.signal(signal)
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs)
    try {
      return await this.exited
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Runs a program to its end. Fails if it exits with another code than 0 or runs over its time. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const started = performance.now()
  const running = new Process(program, args, options)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  running.child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  running.child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  running.child.stdin?.end(options.input)
  const timeoutMs = options.timeoutMs ?? RUN_TIMEOUT_MS
  let late = false
  const timer = setTimeout(() => {
    late = true
    running.signal('SIGKILL')
  }, timeoutMs)
  const ended = await running.exited.finally(() => clearTimeout(timer))
  const result = {
    ...ended,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
    ms: performance.now() - started,
  }
  const what = `${program.split('/').at(-1)} ${args.join(' ').slice(0, 200)}`
  const said = `${result.stderr.slice(-2000)}${result.stdout.slice(-500)}`
  if (late) throw new Error(`${what} did not end within ${timeoutMs} ms\n${said}`)
  if (ended.code !== 0 && options.mayFail !== true)
    throw new Error(`${what} ended with ${ended.code ?? ended.signal}\n${said}`)
  return result
}

/** Ports below the range that the kernel gives to outgoing connections, so that nobody takes one in between. */
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const given = new Set<number>()

export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!
}

/** Consecutive free ports. */
export async function freePorts(count: number): Promise<number[]> {
  for (;;) {
    const first = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN - count))
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if (ports.some((port) => given.has(port))) continue
    const free = await Promise.all(ports.map(isFree))
    if (!free.every(Boolean)) continue
    for (const port of ports) given.add(port)
    return ports
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export interface Usage {
  /** User and system time since the process started, in seconds. */
  cpuSeconds: number
  residentBytes: number
  /** The most that was ever resident. */
  residentBytesMax: number
}

const TICKS_PER_SECOND = 100

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // Fields behind the program's name, which may itself hold spaces and parentheses: 14 and 15 are the two times.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentBytes: kilobytes('VmRSS') * 1024,
    residentBytesMax: kilobytes('VmHWM') * 1024,
  }
}

/** CPU seconds of this process, of those it started and that still run, and of those that have ended. */
export function ownCpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  let ticks = 0
  for (const field of fields.slice(11, 15)) ticks += Number(field)
  let seconds = ticks / TICKS_PER_SECOND
  for (const { pid } of alive) {
    try {
      if (pid !== undefined) seconds += usageOf(pid).cpuSeconds
    } catch {
      // It has just ended, and counts with the ended ones from now on.
    }
  }
  return seconds
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Asks again until the answer is there. What the last attempt failed with becomes the cause. */
export async function until<T>(
  what: string,
  attempt: () => Promise<T | null | false> | T | null | false,
  timeoutMs = 30_000,
  everyMs = 50,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  let cause: unknown
  do {
    try {
      const answer = await attempt()
      if (answer !== null && answer !== false) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    await sleep(everyMs)
  } while (performance.now() < deadline)
  throw new Error(`${what}: not within ${timeoutMs} ms`, { cause })
}
