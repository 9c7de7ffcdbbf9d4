/** What a command of the shell is, and how its words are read: options anywhere, as zkCli takes them. Pure. */
import type { Watcher, ZooKeeperClient } from '#zookeeper/client'

import { UserError } from '../user-error.ts'

export interface ShellCommand {
  readonly name: string
  /** What stands behind the name, as zkCli writes it. */
  readonly usage: string
  readonly description: string
  /** Options without a value, one letter each. */
  readonly flags?: string
  /** Options with a value. */
  readonly values?: readonly string[]
  /** How many words it takes beside its options. */
  readonly words: readonly [min: number, max: number]
  /** What a word that is no path may be; for completion. */
  readonly choices?: readonly string[]
  /** What is returned stands for the outcome where JSON is printed. Throws what is to be told as an error. */
  run(shell: ShellContext, call: Call): unknown
}

/** The words of one call, read. */
export interface Call {
  readonly words: readonly string[]
  has(flag: string): boolean
  /** The value of an option; undefined where it was not given. */
  value(name: string): string | undefined
}

/** What commands see of the shell. */
export interface ShellContext {
  /** Throws `UserError` where there is no session. */
  readonly zk: ZooKeeperClient
  /** Prints events as they come. */
  readonly watcher: Watcher
  /** A line for people; nothing where JSON is printed. */
  print(line: string | Uint8Array): void
  /** What is not the outcome: a hint, a warning. */
  note(line: string): void
  readonly commands: readonly ShellCommand[]
  /** Lines that were entered, by their number. */
  readonly history: readonly string[]
  printsWatches: boolean
  /** Carries out a line of the history again. */
  redo(number: number): Promise<unknown>
  /** A new session, at the same servers unless others are named. The former one is closed. */
  connect(servers?: string): Promise<void>
  close(): Promise<void>
  quit(): void
}

/** Throws `UserError` with the usage. */
export function parseCall(command: ShellCommand, words: readonly string[]): Call {
  const given = new Map<string, string>()
  const rest: string[] = []
  const wrong = (what: string): UserError => new UserError(`${what}: ${command.name} ${command.usage}`.trimEnd())
  const isFlag = (letter: string): boolean => command.flags?.includes(letter) === true
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const name = word.replace(/^--?/, '')
    if (word === '--') {
      rest.push(...words.slice(at + 1))
      break
    } else if (word.length < 2 || !word.startsWith('-') || /^-\d+$/.test(word)) rest.push(word)
    else if (command.values?.includes(name) === true) {
      at += 1
      if (at === words.length) throw wrong(`${word} needs a value`)
      given.set(name, words[at]!)
    } else if (name.split('').every(isFlag)) for (const letter of name) given.set(letter, '')
    else throw wrong(`unknown option ${word}`)
  }
  const [min, max] = command.words
  if (rest.length < min) throw wrong('a word is missing')
  if (rest.length > max) throw wrong(`"${rest[max]}" is one word too many`)
  return { words: rest, has: (flag) => given.has(flag), value: (name) => given.get(name) }
}

/** The words of a line. One that begins with a quote goes on to the next quote of the same kind. Throws `UserError` where there is none. */
export function wordsOf(line: string): string[] {
  const words: string[] = []
  for (const [text, double, single] of line.matchAll(/"([^"]*)"|'([^']*)'|\S+/g)) {
    if (double === undefined && single === undefined && /^["']/.test(text))
      throw new UserError(`the quote of ${text} is not closed`)
    words.push(double ?? single ?? text)
  }
  return words
}

/** Throws `UserError` for what is no whole number of at least `min`. */
export function integer(text: string, what: string, min: number): number {
  const value = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value) || value < min)
    throw new UserError(`${what} must be a whole number from ${min} on, not "${text}"`)
  return value
}

/** The version that a write expects; −1, any, unless given. */
export function versionOf(call: Call): number {
  const text = call.value('v')
  return text === undefined ? -1 : integer(text, 'a version', -1)
}
