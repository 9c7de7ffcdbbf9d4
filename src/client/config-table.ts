/**
 * A table of settings: each has its default, its bounds and its sentence once, and the type of a configuration, the reading of it
 * and its page in the documentation follow from there. A setting is named in camelCase (`lingerMs`) and may be given under Kafka's
 * dotted name (`linger.ms`), with its value as text, as files and command lines have it.
 */
import { ConfigError } from './errors.ts'

export interface Setting<Value, Required extends boolean = boolean> {
  /** As the documentation prints it. */
  readonly type: string
  /** Undefined only where the setting is required. */
  readonly default: Value | undefined
  readonly required: Required
  /** What the value must be, as the documentation prints it. */
  readonly valid: string
  readonly doc: string
  /** The value, or undefined when it is none. */
  readonly read: (given: unknown) => Value | undefined
}

export type SettingTable = Readonly<Record<string, Setting<unknown>>>

type ValueOf<S> = S extends Setting<infer Value> ? Value : never
type RequiredKey<Table> = { [K in keyof Table]: Table[K] extends Setting<unknown, true> ? K : never }[keyof Table]

/** What a user gives: only what is required must be there. */
export type ConfigInput<Table extends SettingTable> = {
  readonly [K in RequiredKey<Table>]: InputOf<ValueOf<Table[K]>>
} & {
  readonly [K in Exclude<keyof Table, RequiredKey<Table>>]?: InputOf<ValueOf<Table[K]>> | undefined
}
/** A list may be given as text with commas. */
type InputOf<Value> = Value extends readonly string[] ? Value | string : Value

/** What the code reads: every setting has its value. */
export type ConfigOf<Table extends SettingTable> = { readonly [K in keyof Table]: ValueOf<Table[K]> }

/** `lingerMs` → `linger.ms`. */
export function dottedName(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`)
}

/** Fills in the defaults. Throws `ConfigError` for a value that is none, an unknown name, and what is missing. */
export function resolveConfig<Table extends SettingTable>(
  table: Table,
  input: ConfigInput<Table>,
  whose: string,
): ConfigOf<Table> {
  checkOptions(input, whose)
  const given = new Map<string, unknown>()
  for (const [name, value] of Object.entries(input))
    if (value !== undefined) given.set(keyOf(table, name, whose), value)
  const config: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(table)) config[key] = valueOf(key, setting, given, whose)
  return config as ConfigOf<Table>
}

/** For callers without types. */
function checkOptions(input: unknown, whose: string): void {
  if (typeof input !== 'object' || input === null)
    throw new ConfigError(`the settings of a ${whose} are an object, such as { 'bootstrap.servers': '127.0.0.1:9092' }`)
}

/** The settings that were given, by key: for rules that treat a default and a given value differently. */
export function givenKeys(table: SettingTable, input: object, whose: string): ReadonlySet<string> {
  const names = Object.entries(input).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  return new Set(names.map((name) => keyOf(table, name, whose)))
}

function valueOf(key: string, setting: Setting<unknown>, given: ReadonlyMap<string, unknown>, whose: string): unknown {
  if (!given.has(key)) {
    if (setting.required) throw new ConfigError(`${whose} setting ${key} is required: ${setting.doc}`)
    return setting.default
  }
  const raw = given.get(key)
  const value = setting.read(raw)
  if (value === undefined)
    throw new ConfigError(`${whose} setting ${key} is ${printed(raw)}, and must be ${setting.valid}`)
  return value
}

function keyOf(table: SettingTable, name: string, whose: string): string {
  if (Object.hasOwn(table, name)) return name
  const keys = Object.keys(table)
  const dotted = keys.find((key) => dottedName(key) === name)
  if (dotted !== undefined) return dotted
  const plain = plainName(name)
  const near = keys.find((key) => plainName(key) === plain)
  throw new ConfigError(
    `unknown ${whose} setting "${name}"${near === undefined ? '' : `; did you mean ${near} (${dottedName(near)})?`}`,
  )
}

function plainName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]/g, '').toLowerCase()
}

function printed(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`
  return typeof value === 'object' && value !== null ? `of type ${value.constructor?.name ?? 'object'}` : String(value)
}

interface Described<Value> {
  readonly default: Value
  readonly doc: string
}

interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** A whole number. */
export function integer(options: Described<number> & Bounds): Setting<number, false> {
  const { min = -Infinity, max = Infinity } = options
  return {
    type: 'int',
    required: false,
    default: options.default,
    doc: options.doc,
    valid: `a whole number${rangeText(min, max)}`,
    read(given) {
      const value = typeof given === 'string' && given.trim() !== '' ? Number(given) : given
      if (typeof value !== 'number') return undefined
      const isWhole = Number.isInteger(value) || value === Infinity
      return isWhole && value >= min && value <= max ? value : undefined
    },
  }
}

function rangeText(min: number, max: number): string {
  if (min === -Infinity) return ''
  return max === Infinity ? ` of at least ${min}` : ` from ${min} to ${max}`
}

export function boolean(options: Described<boolean>): Setting<boolean, false> {
  return {
    type: 'boolean',
    required: false,
    ...options,
    valid: 'true or false',
    read(given) {
      if (typeof given === 'boolean') return given
      const text = typeof given === 'string' ? given.trim().toLowerCase() : ''
      return text === 'true' ? true : text === 'false' ? false : undefined
    },
  }
}

export function text(options: Described<string>): Setting<string, false> {
  return {
    type: 'string',
    required: false,
    ...options,
    valid: 'text',
    read: (given) => (typeof given === 'string' ? given : undefined),
  }
}

/** Text, or null where there is none. */
export function optionalText(options: { doc: string }): Setting<string | null, false> {
  return {
    type: 'string',
    required: false,
    default: null,
    doc: options.doc,
    valid: 'text that is not empty',
    read: (given) => (given === null || (typeof given === 'string' && given !== '') ? given : undefined),
  }
}

/** One of some words. `aliases` are other ways to write them. */
export function choice<const Word extends string | number>(
  options: Described<Word> & { words: readonly Word[]; aliases?: Readonly<Record<string, Word>> },
): Setting<Word, false> {
  const { words, aliases = {} } = options
  return {
    type: 'string',
    required: false,
    default: options.default,
    doc: options.doc,
    valid: `one of ${words.join(', ')}`,
    read(given) {
      if (typeof given !== 'string' && typeof given !== 'number') return undefined
      const word = String(given).trim()
      return (
        words.find((candidate) => String(candidate) === word) ??
        (Object.hasOwn(aliases, word) ? aliases[word] : undefined)
      )
    },
  }
}

/** Several texts: an array, or one text with commas. At least one where it is required. */
export function textList(options: Described<readonly string[]>): Setting<readonly string[], false>
export function textList(options: { doc: string }): Setting<readonly string[], true>
export function textList(options: { doc: string; default?: readonly string[] }): Setting<readonly string[]> {
  const required = options.default === undefined
  return {
    type: 'list',
    required,
    default: options.default,
    doc: options.doc,
    valid: 'a list of texts, as an array or with commas between them',
    read(given) {
      const parts: unknown = typeof given === 'string' ? given.split(',') : given
      if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) return undefined
      const texts = parts.map((part) => part.trim()).filter((part) => part !== '')
      return required && texts.length === 0 ? undefined : texts
    },
  }
}

/** Whatever `is` accepts: functions and objects, which only code can give. */
export function custom<Value>(
  options: Described<Value> & { type: string; valid: string; is: (given: unknown) => boolean },
): Setting<Value, false> {
  return {
    type: options.type,
    required: false,
    default: options.default,
    doc: options.doc,
    valid: options.valid,
    read: (given) => (options.is(given) ? (given as Value) : undefined),
  }
}
