import type { LogLevel, Logger } from '#platform'

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

/** One line per message on stderr: time (UTC), level, name, message. An error's stack follows its line. */
export class NodeLogger implements Logger {
  readonly children = new Map<string, NodeLogger>()
  readonly #name: string
  /** Whose level holds where there is none. */
  readonly #parent: NodeLogger | null
  #level: LogLevel | null

  constructor(level: LogLevel | null, name: string, parent: NodeLogger | null = null) {
    this.#level = level
    this.#name = name
    this.#parent = parent
  }

  get level(): LogLevel {
    return this.#level ?? this.#parent?.level ?? 'info'
  }

  setLevel(level: LogLevel | null): void {
    this.#level = level
  }

  debug(message: string): void {
    this.#print('debug', message)
  }

  info(message: string): void {
    this.#print('info', message)
  }

  warn(message: string, error?: unknown): void {
    this.#print('warn', error === undefined ? message : `${message}: ${reasonOf(error)}`)
  }

  error(message: string, error?: unknown): void {
    this.#print('error', error === undefined ? message : `${message}: ${reasonOf(error)}${stackOf(error)}`)
  }

  named(name: string): Logger {
    let child = this.children.get(name)
    if (child === undefined) {
      child = new NodeLogger(null, this.#name === '' ? name : `${this.#name} ${name}`, this)
      this.children.set(name, child)
    }
    return child
  }

  #print(level: LogLevel, message: string): void {
    if (RANK[level] < RANK[this.level]) return
    const name = this.#name === '' ? '' : `[${this.#name}] `
    process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${name}${message}\n`)
  }
}

/** The error's message and those of its causes. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${reasonOf(error.cause)})`
}

/** Where it happened, from the second line on: the first repeats the message. */
function stackOf(error: unknown): string {
  const stack = error instanceof Error ? error.stack : undefined
  const start = stack?.indexOf('\n    at ') ?? -1
  return start < 0 ? '' : stack!.slice(start)
}
