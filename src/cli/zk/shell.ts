/**
 * The shell: a session, a history, and commands that are carried out one after another. Where the lines come from and where the
 * output goes is its caller's.
 */
import { sleep, type Platform } from '#platform'
import {
  ZkError,
  ZooKeeperClient,
  zkErrorName,
  type SessionEvent,
  type WatchEvent,
  type ZooKeeperOptions,
} from '#zookeeper/client'

import { UserError } from '../user-error.ts'
import { aclCommands } from './acls.ts'
import { parseCall, wordsOf, type ShellCommand, type ShellContext } from './command.ts'
import { ensembleCommands } from './ensemble.ts'
import { eventJson, formatError, formatEvent, formatSessionEvent } from './format.ts'
import { nodeCommands } from './nodes.ts'
import { quotaCommands } from './quotas.ts'
import { sessionCommands } from './session.ts'
import { watchCommands } from './watches.ts'

export const COMMANDS: readonly ShellCommand[] = [
  ...nodeCommands,
  ...watchCommands,
  ...aclCommands,
  ...quotaCommands,
  ...ensembleCommands,
  ...sessionCommands,
].sort((one, other) => (one.name.toLowerCase() < other.name.toLowerCase() ? -1 : 1))

/** No server at all is known soon; the session timeout may be long. */
const CONNECTION_TIMEOUT_MS_MAX = 10_000

/** How zkCli names what happens to a session; null: its user knows already. */
const STATE_OF_EVENT: Readonly<Record<SessionEvent, string | null>> = {
  connected: 'SyncConnected',
  disconnected: 'Disconnected',
  expired: 'Expired',
  authFailed: 'AuthFailed',
  closed: null,
}

export interface ShellOptions {
  readonly session: ZooKeeperOptions
  /** Every outcome, error and event is a line of JSON. */
  readonly json: boolean
  /** That the session is lost or there again is told. */
  readonly tellsSession: boolean
}

export interface ShellOutput {
  out(text: string | Uint8Array): void
  err(text: string): void
}

export class Shell implements ShellContext {
  readonly commands = COMMANDS
  readonly history: string[] = []
  printsWatches = true
  readonly #platform: Platform
  readonly #options: ShellOptions
  readonly #output: ShellOutput
  #servers: string
  #client: ZooKeeperClient | null = null
  #hasQuit = false

  constructor(platform: Platform, options: ShellOptions, output: ShellOutput) {
    this.#platform = platform
    this.#options = options
    this.#output = output
    this.#servers = options.session.connect
  }

  get zk(): ZooKeeperClient {
    if (this.#client === null || !isAlive(this.#client)) throw new UserError('Not connected')
    return this.#client
  }

  get hasQuit(): boolean {
    return this.#hasQuit
  }

  /** As zkCli's: servers, state, number of the next line. */
  get prompt(): string {
    return `[zk: ${this.#servers}(${stateName(this.#client)}) ${this.history.length}] `
  }

  readonly watcher = (event: WatchEvent): void => {
    if (!this.printsWatches) return
    this.#output.out(this.#options.json ? JSON.stringify(eventJson(event)) : formatEvent(event))
  }

  print(line: string | Uint8Array): void {
    if (!this.#options.json) this.#output.out(line)
  }

  note(line: string): void {
    this.#output.err(line)
  }

  /** Throws `UserError` when no server answers. */
  async connect(servers = this.#servers): Promise<void> {
    await this.close()
    this.#servers = servers
    const { session } = this.#options
    const connectionTimeoutMs = Math.min(session.sessionTimeoutMs, CONNECTION_TIMEOUT_MS_MAX)
    const options: ZooKeeperOptions = { ...session, connect: servers, connectionTimeoutMs }
    try {
      this.#client = await ZooKeeperClient.connect(this.#platform, options)
    } catch (error) {
      throw new UserError(error instanceof ZkError ? formatError(error) : (error as Error).message, { cause: error })
    }
    if (this.#options.tellsSession) this.#client.onSession((event) => this.#onSession(event))
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = null
    await client?.close()
  }

  quit(): void {
    this.#hasQuit = true
  }

  /** A line as it was entered; it goes into the history. False when it failed, and that has been told. */
  async executeLine(line: string): Promise<boolean> {
    if (line.trim() === '') return true
    this.history.push(line)
    return await this.#told(() => this.#carryOut(wordsOf(line)))
  }

  /** One command, its words apart. False when it failed, and that has been told. */
  async execute(words: readonly string[]): Promise<boolean> {
    return await this.#told(() => this.#carryOut(words))
  }

  async redo(number: number): Promise<unknown> {
    const line = this.history[number]
    // The last line is this one.
    if (line === undefined || number === this.history.length - 1) throw new UserError('Command index out of range')
    const words = wordsOf(line)
    if (words[0] === 'redo') throw new UserError('No redoing redos')
    this.history[this.history.length - 1] = line
    return await this.#carryOut(words)
  }

  async #carryOut(words: readonly string[]): Promise<unknown> {
    const [name, ...rest] = words
    const command = COMMANDS.find((each) => each.name === name)
    if (command === undefined) throw new UserError(`Command not found ${name}: help lists the commands`)
    const call = parseCall(command, rest)
    await this.#untilConnected()
    return await command.run(this, call)
  }

  /** A connection that is lost is waited for, as zkCli's requests wait; not for ever. */
  async #untilConnected(): Promise<void> {
    if (this.#client?.state !== 'connecting') return
    const waited = new AbortController()
    const late = sleep(this.#platform.clock, CONNECTION_TIMEOUT_MS_MAX, waited.signal).catch(() => {})
    await Promise.race([this.#client.connected().catch(() => {}), late])
    waited.abort()
  }

  async #told(work: () => Promise<unknown>): Promise<boolean> {
    try {
      const outcome = await work()
      if (this.#options.json && outcome !== undefined) this.#output.out(JSON.stringify(outcome))
      return true
    } catch (error) {
      const told = errorOf(error)
      if (told === null) throw error
      if (this.#options.json) this.#output.out(JSON.stringify({ error: told }))
      this.#output.err(told.message)
      return false
    }
  }

  #onSession(event: SessionEvent): void {
    const state = STATE_OF_EVENT[event]
    if (state === null || !this.printsWatches) return
    const shown = event === 'connected' && this.#client?.isReadOnly === true ? 'ConnectedReadOnly' : state
    this.#output.out(this.#options.json ? JSON.stringify({ session: shown }) : formatSessionEvent(shown))
  }
}

/** What the user or the servers did; null for a fault of ours. */
function errorOf(error: unknown): { code: string; message: string; path?: string } | null {
  if (error instanceof ZkError) return { code: zkErrorName(error.code), message: formatError(error), path: error.path }
  if (error instanceof UserError) return { code: 'USAGE', message: error.message }
  return null
}

function isAlive(client: ZooKeeperClient): boolean {
  return client.state === 'connected' || client.state === 'connecting'
}

/** Names of Java's `ZooKeeper.States`. */
function stateName(client: ZooKeeperClient | null): string {
  switch (client?.state) {
    case 'connected':
      return client.isReadOnly ? 'CONNECTEDREADONLY' : 'CONNECTED'
    case 'connecting':
      return 'CONNECTING'
    case 'authFailed':
      return 'AUTH_FAILED'
    case 'expired':
    case 'closed':
    case undefined:
      return 'CLOSED'
  }
}
