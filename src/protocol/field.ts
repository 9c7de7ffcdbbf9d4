/**
 * The words in which messages are declared. A field is a value: what lies on the wire, in which versions,
 * and what stands for it where it is absent. The TypeScript types of a message are inferred from its fields.
 *
 *     partitions: array({ partitionIndex: int32, leaderEpoch: int32.since(7).default(-1) })
 *
 * The rules are those of Kafka's message schema (KIP-482 for flexible versions and tagged fields).
 */
import { assert } from '#base'

import { ZERO_UUID } from './uuid.ts'

export type PrimitiveKind =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records'

export type FieldType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: 'array'; readonly element: FieldType }
  | { readonly kind: 'struct'; readonly members: readonly Member[] }

/** A field under the name that it has in its struct. */
export interface Member {
  readonly name: string
  readonly field: AnyField
}

export type Presence = 'required' | 'optional'
export type AnyField = Field<unknown, unknown, Presence>
export type Fields = Readonly<Record<string, AnyField>>

interface Traits {
  readonly type: FieldType
  readonly sinceVersion: number
  readonly untilVersion: number
  /** First version in which null is allowed; `Infinity` if in none. */
  readonly nullableSince: number
  /** What stands for the field where it is absent; `undefined` means the zero of its type. */
  readonly defaultValue: unknown
  /** Number in the tag section; -1 if the field has a fixed place. */
  readonly tag: number
  readonly isIgnorable: boolean
  readonly isInflexible: boolean
}

/**
 * `Out` is what decoding gives, `In` what encoding takes. A field that may be left out when encoding has
 * the presence `optional`; a decoded message has every field.
 */
export class Field<Out, In = Out, P extends Presence = 'required'> {
  declare readonly types: { readonly out: Out; readonly in: In; readonly presence: P }
  readonly traits: Traits

  constructor(traits: Traits) {
    this.traits = traits
  }

  /** The first version that has the field. */
  since(version: number): Field<Out, In, 'optional'> {
    return new Field({ ...this.traits, sinceVersion: version })
  }

  /** The last version that has the field. */
  until(version: number): Field<Out, In, 'optional'> {
    return new Field({ ...this.traits, untilVersion: version })
  }

  /** Null is allowed, from `version` on if one is given. */
  nullable(version = 0): Field<Out | null, In | null, P> {
    return new Field({ ...this.traits, nullableSince: version })
  }

  /** What stands for the field where it is absent: in other versions, left out when encoding, or an untold tag. */
  default(value: Out): Field<Out, In, 'optional'> {
    return new Field({ ...this.traits, defaultValue: value })
  }

  /** The field lies in the tag section, and is left out there when it has its default. */
  tagged(tag: number, since: number): Field<Out, In, 'optional'> {
    return new Field({ ...this.traits, tag, sinceVersion: since })
  }

  /** A version without the field drops what it says; otherwise encoding refuses anything but the default. */
  get ignorable(): Field<Out, In, P> {
    return new Field({ ...this.traits, isIgnorable: true })
  }

  /** The field keeps its old lengths in flexible versions. */
  get inflexible(): Field<Out, In, P> {
    return new Field({ ...this.traits, isInflexible: true })
  }
}

function primitive<Out, In = Out>(kind: PrimitiveKind): Field<Out, In> {
  return ofType({ kind })
}

function ofType<Out, In>(type: FieldType): Field<Out, In> {
  return new Field<Out, In>({
    type,
    sinceVersion: 0,
    untilVersion: Infinity,
    nullableSince: Infinity,
    defaultValue: undefined,
    tag: -1,
    isIgnorable: false,
    isInflexible: false,
  })
}

/** One byte; everything but 0 is read as true. */
export const bool = primitive<boolean>('bool')
export const int8 = primitive<number>('int8')
export const int16 = primitive<number>('int16')
export const int32 = primitive<number>('int32')
/** Read as the nearest double: exact within ±2^53. */
export const int64 = primitive<number>('int64')
export const float64 = primitive<number>('float64')
/** Sixteen bytes, as 22 characters of base64url. */
export const uuid = primitive<string>('uuid')
/** UTF-8 of at most 32,767 bytes; malformed sequences are read as U+FFFD. */
export const string = primitive<string>('string')
/** Copied when decoding, so that they outlive the frame. */
export const bytes = primitive<Uint8Array>('bytes')
/** Record batches: a view into the frame when decoding, by reference when encoding; pieces are written one after the other. */
export const records = primitive<Uint8Array, Uint8Array | readonly Uint8Array[]>('records')

export function array<const E extends AnyField | Fields>(element: E): Field<OutOf<E>[], readonly InOf<E>[]> {
  const type = element instanceof Field ? element.traits.type : structType(element)
  return ofType({ kind: 'array', element: type })
}

export function struct<const F extends Fields>(fields: F): Field<StructOut<F>, StructIn<F>> {
  return ofType(structType(fields))
}

export function structType(fields: Fields): FieldType & { kind: 'struct' } {
  const members = Object.entries(fields).map(([name, field]) => ({ name, field }))
  return { kind: 'struct', members }
}

export type StructOut<F extends Fields> = { -readonly [K in keyof F]: F[K]['types']['out'] }

export type StructIn<F extends Fields> = Flat<
  { [K in keyof F as F[K]['types']['presence'] extends 'required' ? K : never]: F[K]['types']['in'] } & {
    [K in keyof F as F[K]['types']['presence'] extends 'required' ? never : K]?: F[K]['types']['in'] | undefined
  }
>

type Flat<T> = { [K in keyof T]: T[K] }
type OutOf<E> = E extends AnyField ? E['types']['out'] : E extends Fields ? StructOut<E> : never
type InOf<E> = E extends AnyField ? E['types']['in'] : E extends Fields ? StructIn<E> : never

// What a version makes of a field.

export function isPresent(field: AnyField, version: number): boolean {
  return version >= field.traits.sinceVersion && version <= field.traits.untilVersion
}

export function isTagged(field: AnyField): boolean {
  return field.traits.tag >= 0
}

export function isNullable(field: AnyField, version: number): boolean {
  return version >= field.traits.nullableSince
}

/** May the field be left out when encoding? Mirrors the presence in its type. */
export function isOptional({ traits }: AnyField): boolean {
  return (
    traits.defaultValue !== undefined || traits.sinceVersion > 0 || traits.untilVersion < Infinity || traits.tag >= 0
  )
}

/** The members of a version's tag section, in the order of their tags. */
export function taggedMembers(members: readonly Member[], version: number): Member[] {
  const tagged = members.filter(({ field }) => isTagged(field) && isPresent(field, version))
  return tagged.sort((a, b) => a.field.traits.tag - b.field.traits.tag)
}

const EMPTY_BYTES = new Uint8Array(0)

/** A fresh value for a field that a message does not carry. */
export function defaultOf(field: AnyField): unknown {
  const { type, defaultValue } = field.traits
  return defaultValue === undefined ? zeroOf(type) : defaultValue
}

function zeroOf(type: FieldType): unknown {
  switch (type.kind) {
    case 'bool':
      return false
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'float64':
      return 0
    case 'uuid':
      return ZERO_UUID
    case 'string':
      return ''
    case 'bytes':
    case 'records':
      return EMPTY_BYTES
    case 'array':
      return []
    case 'struct':
      return Object.fromEntries(type.members.map(({ name, field }) => [name, defaultOf(field)]))
  }
}

/** Bytes of a value whose size does not depend on it, or null. */
export function fixedSizeOf(type: FieldType): number | null {
  switch (type.kind) {
    case 'bool':
    case 'int8':
      return 1
    case 'int16':
      return 2
    case 'int32':
      return 4
    case 'int64':
    case 'float64':
      return 8
    case 'uuid':
      return 16
    case 'string':
    case 'bytes':
    case 'records':
    case 'array':
    case 'struct':
      return null
  }
}

/** The members from `start` on whose sizes are known beforehand. */
export function fixedRun(members: readonly Member[], start: number): Member[] {
  const run: Member[] = []
  for (let index = start; index < members.length; index++) {
    const member = members[index]!
    if (fixedSizeOf(member.field.traits.type) === null) break
    run.push(member)
  }
  return run
}

/** The fewest bytes that a value takes: what an array's count is checked against before anything is made of it. */
export function minimalSizeOf(type: FieldType, version: number, flexible: boolean): number {
  const fixed = fixedSizeOf(type)
  if (fixed !== null) return fixed
  if (type.kind === 'string') return flexible ? 1 : 2
  if (type.kind !== 'struct') return flexible ? 1 : 4
  let size = flexible ? 1 : 0
  for (const { field } of type.members) {
    if (!isPresent(field, version) || isTagged(field)) continue
    const nullableStruct = field.traits.type.kind === 'struct' && isNullable(field, version)
    size += nullableStruct ? 1 : minimalSizeOf(field.traits.type, version, flexible && !field.traits.isInflexible)
  }
  return size
}

/** Does the value take the same bytes each time in this version, without any length in it? */
export function isFixedLayout(type: FieldType, version: number, flexible: boolean): boolean {
  if (type.kind !== 'struct') return fixedSizeOf(type) !== null
  if (flexible) return false
  return type.members.every(
    ({ field }) => !isPresent(field, version) || (fixedSizeOf(field.traits.type) !== null && !isTagged(field)),
  )
}

/** Faults in a declaration are ours: they stop the program when the message is first loaded. */
export function checkMembers(members: readonly Member[], where: string): void {
  const tags = new Set<number>()
  for (const { name, field } of members) {
    const { type, tag, nullableSince } = field.traits
    const at = `${where}.${name}`
    assert(/^[a-z]\w*$/.test(name), `${at} is not a field's name`)
    if (tag >= 0) {
      assert(!tags.has(tag), `${at} uses tag ${tag} again`)
      assert(type.kind !== 'records', `${at}: records cannot be tagged`)
      assert(type.kind !== 'struct' || nullableSince === Infinity, `${at}: a tagged struct cannot be null`)
      tags.add(tag)
    }
    if (type.kind === 'struct') checkMembers(type.members, at)
    if (type.kind === 'array' && type.element.kind === 'struct') checkMembers(type.element.members, at)
  }
}
