/**
 * Walks a message's declaration field by field. Slow and plain: it is what the compiled code is compared
 * with, what runs where code from strings is forbidden, and what finds the words for a refusal.
 */
import { ByteReader, ByteWriter, MalformedBytesError, utf8Length } from '#base'

import { type AnyField, type FieldType, type Member } from './field.ts'
import { defaultOf, isNullable, isOptional, isPresent, isTagged, minimalSizeOf, taggedMembers } from './field.ts'
import { EncodingError, type MessageSchema, STRING_BYTES_MAX } from './schema.ts'
import { ZERO_UUID, uuidAt, uuidToBytes } from './uuid.ts'

type Struct = Record<string, unknown>

export function interpretDecode(schema: MessageSchema, reader: ByteReader, version: number): unknown {
  const path: string[] = []
  try {
    return new Decoding(reader, version, path).struct(schema.members, version >= schema.flexibleSince)
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause
    throw new MalformedBytesError(`${schema.name} v${version}, ${path.join('.')}: ${cause.message}`, { cause })
  }
}

class Decoding {
  readonly #reader: ByteReader
  readonly #version: number
  /** Names of the fields that are being read, outermost first; left as it is by an error. */
  readonly #path: string[]

  constructor(reader: ByteReader, version: number, path: string[]) {
    this.#reader = reader
    this.#version = version
    this.#path = path
  }

  struct(members: readonly Member[], flexible: boolean): Struct {
    const result: Struct = {}
    for (const { name, field } of members) {
      const inPlace = isPresent(field, this.#version) && !isTagged(field)
      result[name] = inPlace ? this.#named(name, () => this.#field(field, flexible)) : defaultOf(field)
    }
    if (flexible) this.#tagSection(members, result)
    return result
  }

  #tagSection(members: readonly Member[], result: Struct): void {
    const known = taggedMembers(members, this.#version)
    const count = this.#named('tags', () => this.#reader.unsignedVarint())
    let previous = -1
    for (let index = 0; index < count; index++) {
      const tag = this.#named('tags', () => this.#tag(previous))
      previous = tag
      const member = known.find(({ field }) => field.traits.tag === tag)
      this.#named(member?.name ?? 'tags', () => {
        const size = this.#reader.unsignedVarint()
        const stop = this.#reader.take(size) + size
        if (member === undefined) return
        this.#reader.position -= size
        result[member.name] = this.#field(member.field, true)
        if (this.#reader.position !== stop) throw new MalformedBytesError(`tag ${tag} does not take its ${size} bytes`)
      })
    }
  }

  #tag(previous: number): number {
    const tag = this.#reader.unsignedVarint()
    if (tag <= previous) throw new MalformedBytesError(`tag ${tag} comes after tag ${previous}`)
    return tag
  }

  #field(field: AnyField, flexible: boolean): unknown {
    const { type, isInflexible } = field.traits
    const nullable = isNullable(field, this.#version)
    if (type.kind === 'struct' && nullable && this.#reader.int8() < 0) return null
    const value = this.#value(type, flexible && !isInflexible)
    if (value === null && !nullable) throw new MalformedBytesError('null where none may be')
    return value
  }

  #value(type: FieldType, flexible: boolean): unknown {
    const reader = this.#reader
    switch (type.kind) {
      case 'bool':
        return reader.int8() !== 0
      case 'int8':
        return reader.int8()
      case 'int16':
        return reader.int16()
      case 'int32':
        return reader.int32()
      case 'int64':
        return reader.int64()
      case 'float64':
        return reader.float64()
      case 'uuid':
        return uuidAt(reader.view, reader.take(16))
      case 'string':
        return this.#string(flexible ? this.#compactLength() : reader.int16())
      case 'bytes': {
        const length = this.#byteLength(flexible)
        return length === -1 ? null : new Uint8Array(reader.slice(length))
      }
      case 'records': {
        const length = this.#byteLength(flexible)
        return length === -1 ? null : reader.slice(length)
      }
      case 'array':
        return this.#array(type.element, flexible)
      case 'struct':
        return this.struct(type.members, flexible)
    }
  }

  #compactLength(): number {
    return this.#reader.unsignedVarint() - 1
  }

  #byteLength(flexible: boolean): number {
    return flexible ? this.#compactLength() : this.#reader.int32()
  }

  #string(length: number): string | null {
    if (length === -1) return null
    if (length > STRING_BYTES_MAX) throw new MalformedBytesError(`a text of ${length} bytes`)
    return this.#reader.utf8(length)
  }

  #array(element: FieldType, flexible: boolean): unknown[] | null {
    const count = this.#byteLength(flexible)
    if (count === -1) return null
    const { remaining } = this.#reader
    if (count < 0 || count * minimalSizeOf(element, this.#version, flexible) > remaining)
      throw new MalformedBytesError(`${count} elements are claimed, but only ${remaining} bytes remain`)
    const result: unknown[] = []
    for (let index = 0; index < count; index++) {
      const value = this.#value(element, flexible)
      if (value === null) throw new MalformedBytesError('null where none may be')
      result.push(value)
    }
    return result
  }

  /** On the way out by an exception the name stays in the path. */
  #named<T>(name: string, read: () => T): T {
    this.#path.push(name)
    const value = read()
    this.#path.pop()
    return value
  }
}

export function interpretEncode(schema: MessageSchema, writer: ByteWriter, message: unknown, version: number): void {
  const path: string[] = []
  try {
    new Encoding(writer, version, path).struct(schema.members, message as Struct, version >= schema.flexibleSince)
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause
    throw new EncodingError(`${schema.name} v${version}, ${path.join('.')}: ${cause.message}`)
  }
}

class Encoding {
  readonly #writer: ByteWriter
  readonly #version: number
  readonly #path: string[]

  constructor(writer: ByteWriter, version: number, path: string[]) {
    this.#writer = writer
    this.#version = version
    this.#path = path
  }

  struct(members: readonly Member[], message: Struct, flexible: boolean): void {
    for (const { name, field } of members) {
      this.#path.push(name)
      const value = valueOf(message, name, field)
      if (!isPresent(field, this.#version)) refuseUnlessSilent(field, value)
      else if (!isTagged(field)) this.#field(field, value, flexible)
      this.#path.pop()
    }
    if (flexible) this.#tagSection(members, message)
  }

  #tagSection(members: readonly Member[], message: Struct): void {
    const told = taggedMembers(members, this.#version).filter(
      ({ name, field }) => !isDefault(field, valueOf(message, name, field)),
    )
    this.#writer.unsignedVarint(told.length)
    for (const { name, field } of told) {
      this.#path.push(name)
      const content = new ByteWriter()
      new Encoding(content, this.#version, this.#path).#field(field, valueOf(message, name, field), true)
      this.#writer.unsignedVarint(field.traits.tag)
      this.#writer.unsignedVarint(content.length)
      this.#writer.bytes(content.toBytes())
      this.#path.pop()
    }
  }

  #field(field: AnyField, value: unknown, flexible: boolean): void {
    const { type, isInflexible } = field.traits
    if (value === null && !isNullable(field, this.#version)) throw new EncodingError('null where none may be')
    if (type.kind === 'struct' && isNullable(field, this.#version)) this.#writer.int8(value === null ? -1 : 1)
    this.#value(type, value, flexible && !isInflexible)
  }

  #value(type: FieldType, value: unknown, flexible: boolean): void {
    const writer = this.#writer
    switch (type.kind) {
      case 'bool':
        return writer.int8(value === true ? 1 : 0)
      case 'int8':
        return writer.int8(value as number)
      case 'int16':
        return writer.int16(value as number)
      case 'int32':
        return writer.int32(value as number)
      case 'int64':
        return writer.int64(value as number)
      case 'float64':
        return writer.float64(value as number)
      case 'uuid':
        return writer.bytes(uuidToBytes(value as string))
      case 'string':
        return this.#string(value as string | null, flexible)
      case 'bytes':
      case 'records':
        return this.#bytes(value as Uint8Array | readonly Uint8Array[] | null, flexible)
      case 'array':
        return this.#array(type.element, value as readonly unknown[] | null, flexible)
      case 'struct':
        if (value !== null) this.struct(type.members, value as Struct, flexible)
    }
  }

  #string(value: string | null, flexible: boolean): void {
    const length = value === null ? -1 : utf8Length(value)
    if (length > STRING_BYTES_MAX) throw new EncodingError(`a text of ${length} bytes`)
    if (flexible) this.#writer.unsignedVarint(length + 1)
    else this.#writer.int16(length)
    if (value !== null) this.#writer.utf8(value)
  }

  #bytes(value: Uint8Array | readonly Uint8Array[] | null, flexible: boolean): void {
    const pieces = value === null ? [] : value instanceof Uint8Array ? [value] : value
    let length = value === null ? -1 : 0
    for (const piece of pieces) length += piece.length
    this.#length(length, flexible)
    for (const piece of pieces) this.#writer.bytes(piece)
  }

  #array(element: FieldType, value: readonly unknown[] | null, flexible: boolean): void {
    this.#length(value === null ? -1 : value.length, flexible)
    for (const item of value ?? []) this.#value(element, item, flexible)
  }

  /** -1 says null. */
  #length(length: number, flexible: boolean): void {
    if (flexible) this.#writer.unsignedVarint(length + 1)
    else this.#writer.int32(length)
  }
}

function valueOf(message: Struct, name: string, field: AnyField): unknown {
  const value = message[name]
  return value === undefined && isOptional(field) ? defaultOf(field) : value
}

function refuseUnlessSilent(field: AnyField, value: unknown): void {
  if (!field.traits.isIgnorable && !isDefault(field, value))
    throw new EncodingError('is set, but this version does not have it')
}

/** Is this what a reader puts in place of the field when it is absent? */
function isDefault(field: AnyField, value: unknown): boolean {
  const { type, defaultValue } = field.traits
  if (value === null || defaultValue === null) return value === defaultValue
  switch (type.kind) {
    case 'array':
      return (value as readonly unknown[]).length === 0
    case 'bytes':
    case 'records':
      return (value as Uint8Array).length === 0
    case 'struct':
      return type.members.every(({ name, field }) => isDefault(field, valueOf(value as Struct, name, field)))
    case 'uuid':
      return value === (defaultValue ?? ZERO_UUID)
    case 'bool':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'float64':
    case 'string':
      return value === defaultOf(field)
  }
}
