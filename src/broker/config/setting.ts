/**
 * One configuration of the broker or of a topic: how its text is read, what it is when nobody set it, and
 * what Samsa makes of it. A value keeps its text everywhere (DescribeConfigs answers what was written, and
 * `Long.MAX_VALUE` is beyond what a double holds); `parse` gives what the code works with.
 */
export interface Setting<Value = unknown> {
  readonly type: SettingType
  /** What holds when nobody set it; null = not set at all. */
  readonly defaultText: string | null
  /** Meaning, in one sentence, as DescribeConfigs answers it. */
  readonly doc: string
  readonly effect: Effect
  /** Whether it may change while the broker runs, and where: for all brokers, or for each broker by itself only. */
  readonly dynamic: 'no' | 'cluster' | 'perBroker'
  /** Reads a text; throws `ConfigError` with the reason. The caller names the key. */
  readonly parse: (text: string) => Value
}

/** Ids of DescribeConfigs' `configType`. */
export const SettingType = {
  UNKNOWN: 0,
  BOOLEAN: 1,
  STRING: 2,
  INT: 3,
  SHORT: 4,
  LONG: 5,
  DOUBLE: 6,
  LIST: 7,
  CLASS: 8,
  PASSWORD: 9,
} as const
export type SettingType = (typeof SettingType)[keyof typeof SettingType]

/**
 * `carried`: obeyed. `moot`: has nothing to act on in this house (threads, JMX, purgatory sizes); silently accepted.
 * `later`: not carried out yet: set to something else than its default it is named in a warning.
 * `refused`: what it asks for would be silently missing (security, KRaft, tiering): another value than the default stops the start.
 */
export type Effect = 'carried' | 'moot' | 'later' | 'refused'

/** A configuration that cannot be: the message is one line for the operator or the client. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

export interface SettingOptions {
  effect?: Effect
  dynamic?: Setting['dynamic']
  min?: number
  max?: number
  /** The only values allowed, as written. */
  oneOf?: readonly string[]
  /** Further check of the parsed value; returns what is wrong with it, or null. */
  check?: (text: string) => string | null
}

export function boolean(defaultText: 'true' | 'false', doc: string, options: SettingOptions = {}): Setting<boolean> {
  return setting(SettingType.BOOLEAN, defaultText, doc, options, (text) => {
    const word = text.trim().toLowerCase()
    if (word !== 'true' && word !== 'false') throw new ConfigError(`expected true or false, not "${text}"`)
    return word === 'true'
  })
}

export function int(defaultText: string, doc: string, options?: SettingOptions): Setting<number>
export function int(defaultText: null, doc: string, options?: SettingOptions): Setting<number | null>
export function int(defaultText: string | null, doc: string, options: SettingOptions = {}): Setting<number | null> {
  return integer(SettingType.INT, defaultText, doc, options, -(2n ** 31n), 2n ** 31n - 1n)
}

export function short(defaultText: string, doc: string, options: SettingOptions = {}): Setting<number> {
  return integer(SettingType.SHORT, defaultText, doc, options, -32768n, 32767n) as Setting<number>
}

export function long(defaultText: string, doc: string, options?: SettingOptions): Setting<number>
export function long(defaultText: null, doc: string, options?: SettingOptions): Setting<number | null>
export function long(defaultText: string | null, doc: string, options: SettingOptions = {}): Setting<number | null> {
  return integer(SettingType.LONG, defaultText, doc, options, -(2n ** 63n), 2n ** 63n - 1n)
}

export function double(defaultText: string, doc: string, options: SettingOptions = {}): Setting<number> {
  return setting(SettingType.DOUBLE, defaultText, doc, options, (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (Number.isNaN(value)) throw new ConfigError(`expected a number, not "${text}"`)
    checkRange(value, text, options)
    return value
  })
}

export function string(defaultText: string, doc: string, options?: SettingOptions): Setting<string>
export function string(defaultText: null, doc: string, options?: SettingOptions): Setting<string | null>
export function string(defaultText: string | null, doc: string, options: SettingOptions = {}): Setting<string | null> {
  return setting(SettingType.STRING, defaultText, doc, options, (text) => {
    const value = text.trim()
    checkChoice(value, options)
    return value
  })
}

/** The name of a Java class: nothing here can load one. */
export function javaClass(defaultText: string | null, doc: string, options: SettingOptions = {}): Setting<string> {
  return setting(SettingType.CLASS, defaultText, doc, options, (text) => text.trim())
}

/** Never shown, logged or answered. */
export function password(doc: string, options: SettingOptions = {}): Setting<string> {
  return setting(SettingType.PASSWORD, null, doc, options, (text) => text)
}

/** Comma-separated; an empty text is an empty list. */
export function list(defaultText: string, doc: string, options?: SettingOptions): Setting<string[]>
export function list(defaultText: null, doc: string, options?: SettingOptions): Setting<string[] | null>
export function list(defaultText: string | null, doc: string, options: SettingOptions = {}): Setting<string[] | null> {
  return setting(SettingType.LIST, defaultText, doc, options, (text) => {
    const items = splitList(text)
    for (const item of items) checkChoice(item, options)
    return items
  })
}

export function splitList(text: string): string[] {
  const trimmed = text.trim()
  return trimmed === '' ? [] : trimmed.split(/\s*,\s*/)
}

function integer(
  type: SettingType,
  defaultText: string | null,
  doc: string,
  options: SettingOptions,
  lowest: bigint,
  highest: bigint,
): Setting<number | null> {
  return setting(type, defaultText, doc, options, (text) => {
    const digits = text.trim()
    if (!/^[+-]?\d+$/.test(digits)) throw new ConfigError(`expected a whole number, not "${text}"`)
    const exact = BigInt(digits.startsWith('+') ? digits.slice(1) : digits)
    if (exact < lowest || exact > highest) throw new ConfigError(`${digits} is outside ${lowest} … ${highest}`)
    const value = Number(exact)
    checkRange(value, digits, options)
    return value
  })
}

function setting<Value>(
  type: SettingType,
  defaultText: string | null,
  doc: string,
  options: SettingOptions,
  read: (text: string) => Value,
): Setting<Value> {
  const { effect = 'carried', dynamic = 'no', check } = options
  const parse = (text: string): Value => {
    const value = read(text)
    const fault = check?.(text.trim()) ?? null
    if (fault !== null) throw new ConfigError(fault)
    return value
  }
  return { type, defaultText, doc, effect, dynamic, parse }
}

function checkRange(value: number, text: string, { min, max }: SettingOptions): void {
  if (min !== undefined && value < min) throw new ConfigError(`${text} is less than ${min}`)
  if (max !== undefined && value > max) throw new ConfigError(`${text} is more than ${max}`)
}

function checkChoice(value: string, { oneOf }: SettingOptions): void {
  if (oneOf !== undefined && !oneOf.includes(value)) throw new ConfigError(`"${value}" is none of ${oneOf.join(', ')}`)
}
