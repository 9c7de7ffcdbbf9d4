/**
 * One key of `zoo.cfg`: its default, its bounds and its sentence once. The type of the configuration, the reading of it and
 * its page in the documentation follow from there.
 */
import { ZooCfgError } from './zoo-cfg-error.ts'

export interface Setting<Value = unknown> {
  /** As people write it, without `zookeeper.` before it. */
  readonly key: string
  /** As the documentation prints them; null: none. */
  readonly default: string | null
  readonly doc: string
  /** The value of the text; of null where the key is not set. Throws `ZooCfgError`. */
  readonly read: (text: string | null) => Value
}

export type SettingTable = Readonly<Record<string, Setting>>

/** What a table's settings come to. */
export type ConfigOf<Table extends SettingTable> = {
  readonly [K in keyof Table]: Table[K] extends Setting<infer Value> ? Value : never
}

const INT_MAX = 0x7fff_ffff

interface NumberOptions<Unset> {
  /** Null: what it is then follows from other keys. */
  readonly default: Unset
  readonly min: number
  readonly max?: number
  /** As the documentation prints the default that follows from other keys. */
  readonly follows?: string
}

export function integer<Unset extends number | null>(
  key: string,
  doc: string,
  { default: unset, min, max = INT_MAX, follows }: NumberOptions<Unset>,
): Setting<number | Unset> {
  const read = (text: string | null): number | Unset => {
    if (text === null) return unset
    const value = Number(text)
    if (!/^-?\d+$/.test(text) || value < min || value > max)
      throw new ZooCfgError(`${key}=${text} is no number from ${min} to ${max}`)
    return value
  }
  return { key, default: follows ?? (unset === null ? null : String(unset)), doc, read }
}

/** A size in KiB, in bytes; with `off`, -1 is 0. */
export function kibibytes(key: string, doc: string, defaultKib: number, off = false): Setting<number> {
  const kib = integer(key, doc, { default: defaultKib, min: off ? -1 : 0 })
  return { ...kib, read: (text) => Math.max(0, kib.read(text)) * 1024 }
}

export function decimal(key: string, doc: string, unset: number): Setting<number> {
  const read = (text: string | null): number => {
    if (text === null) return unset
    if (!/^-?\d+(?:\.\d+)?$/.test(text)) throw new ZooCfgError(`${key}=${text} is no number`)
    return Number(text)
  }
  return { key, default: String(unset), doc, read }
}

export function flag(key: string, doc: string, unset: boolean): Setting<boolean> {
  const read = (text: string | null): boolean => {
    if (text === null) return unset
    const word = text.toLowerCase()
    if (['yes', 'true'].includes(word)) return true
    if (['no', 'false'].includes(word)) return false
    throw new ZooCfgError(`${key}=${text} is neither true nor false`)
  }
  return { key, default: String(unset), doc, read }
}

export function text<Unset extends string | null>(
  key: string,
  doc: string,
  unset: Unset,
  follows: string | null = unset,
): Setting<string | Unset> {
  return { key, default: follows, doc, read: (given) => given ?? unset }
}

export function requiredText(key: string, doc: string): Setting<string> {
  const read = (given: string | null): string => {
    if (given === null) throw new ZooCfgError(`${key} is missing: ${doc.replace(/\.$/, '')}`)
    return given
  }
  return { key, default: 'required', doc, read }
}

/** Words between commas. */
export function words(key: string, doc: string, unset: readonly string[]): Setting<ReadonlySet<string>> {
  const read = (given: string | null): ReadonlySet<string> =>
    new Set(given === null ? unset : given.split(',').map((word) => word.trim()))
  return { key, default: unset.join(','), doc, read }
}

/** One of several words, whatever their case. */
export function choice<const Word extends string>(
  key: string,
  doc: string,
  choices: readonly Word[],
  unset: Word,
): Setting<Word> {
  const read = (given: string | null): Word => {
    const word = choices.find((candidate) => candidate === (given ?? unset).toLowerCase())
    if (word === undefined) throw new ZooCfgError(`${key}=${given} is not ${choices.join(' or ')}`)
    return word
  }
  return { key, default: unset, doc, read }
}
