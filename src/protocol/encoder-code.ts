/**
 * Writes the JavaScript that encodes one version of a message. Like the decoder it is one function with the
 * declaration's own names. The code returns false for what the version cannot say; the interpreter then says why.
 */
import { assert } from '#base'

import { type AnyField, type FieldType, type Member } from './field.ts'
import {
  defaultOf,
  fixedRun,
  fixedSizeOf,
  isNullable,
  isOptional,
  isPresent,
  isTagged,
  taggedMembers,
} from './field.ts'
import type { MessageSchema } from './schema.ts'
import { SourceCode, literalOf } from './source-code.ts'

export function encoderCode(schema: MessageSchema, version: number): string {
  const code = new SourceCode()
  new EncoderCode(code, version).struct(schema.members, 'message', 'writer', version >= schema.flexibleSince, 0)
  return code.toString()
}

class EncoderCode {
  readonly #code: SourceCode
  readonly #version: number

  constructor(code: SourceCode, version: number) {
    this.#code = code
    this.#version = version
  }

  struct(members: readonly Member[], source: string, writer: string, flexible: boolean, depth: number): void {
    for (const { name, field } of members)
      if (!isPresent(field, this.#version)) this.#absent(field, `${source}.${name}`)
    const inPlace = members.filter(({ field }) => isPresent(field, this.#version) && !isTagged(field))
    for (const { name, field } of inPlace) this.#variable(name, field, source, depth)
    const tagged = taggedMembers(members, this.#version)
    const emptySection = flexible && tagged.length === 0
    let sectionWritten = false
    for (let index = 0; index < inPlace.length;) {
      const run = fixedRun(inPlace, index)
      index += Math.max(run.length, 1)
      if (run.length === 0) {
        const { name, field } = inPlace[index - 1]!
        this.#field(field, `${name}${depth}`, writer, flexible, depth)
      } else {
        sectionWritten = emptySection && index === inPlace.length
        this.#fixedRun(run, writer, depth, sectionWritten)
      }
    }
    if (emptySection && !sectionWritten) this.#code.line(`${writer}.int8(0)`)
    else if (flexible && !emptySection) this.#tagSection(tagged, source, writer, depth)
  }

  /** Values of fixed size that follow each other take their room at once, and with them the empty tag section behind them. */
  #fixedRun(run: readonly Member[], writer: string, depth: number, withTagSection: boolean): void {
    this.#code.block('', () => {
      let size = withTagSection ? 1 : 0
      for (const { field } of run) size += fixedSizeOf(field.traits.type)!
      this.#code.line(`const at = ${writer}.claim(${size}), view = ${writer}.view`)
      let offset = 0
      for (const { name, field } of run) {
        this.#code.line(writeFixed(field.traits.type, offset, `${name}${depth}`))
        offset += fixedSizeOf(field.traits.type)!
      }
      if (withTagSection) this.#code.line(`view.setInt8(at + ${offset}, 0)`)
    })
  }

  #variable(name: string, field: AnyField, source: string, depth: number): void {
    const value = `${source}.${name}`
    this.#code.line(`${isOptional(field) ? 'let' : 'const'} ${name}${depth} = ${value}`)
    if (isOptional(field))
      this.#code.line(`if (${name}${depth} === undefined) ${name}${depth} = ${literalOf(defaultOf(field))}`)
  }

  /** What the version cannot say must be what its reader will assume. */
  #absent(field: AnyField, value: string): void {
    if (field.traits.isIgnorable) return
    this.#code.line(`if (${value} !== undefined && !(${isDefault(field, value)})) return false`)
  }

  #field(field: AnyField, value: string, writer: string, flexible: boolean, depth: number): void {
    const { type, isInflexible } = field.traits
    const compact = flexible && !isInflexible
    if (canBeNull(type)) {
      const nullable = isNullable(field, this.#version)
      this.#code.block(`if (${value} === null)`, () => {
        this.#code.line(nullable ? writeNull(type, writer, compact) : 'return false')
      })
      this.#code.block('else', () => {
        if (type.kind === 'struct' && nullable) this.#code.line(`${writer}.int8(1)`)
        this.#value(type, value, writer, compact, depth)
      })
    } else this.#value(type, value, writer, compact, depth)
  }

  #value(type: FieldType, value: string, writer: string, flexible: boolean, depth: number): void {
    if (type.kind === 'struct') return this.struct(type.members, value, writer, flexible, depth + 1)
    if (type.kind !== 'array') return this.#code.line(writePrimitive(type, value, writer, flexible))
    this.#code.line(flexible ? `${writer}.unsignedVarint(${value}.length + 1)` : `${writer}.int32(${value}.length)`)
    const index = `i${depth}`
    this.#code.block(`for (let ${index} = 0; ${index} < ${value}.length; ${index}++)`, () => {
      this.#code.line(`const item${depth + 1} = ${value}[${index}]`)
      this.#value(type.element, `item${depth + 1}`, writer, flexible, depth + 1)
    })
  }

  #tagSection(tagged: readonly Member[], source: string, writer: string, depth: number): void {
    for (const { name, field } of tagged) {
      const value = `${name}${depth}`
      this.#code.line(`const ${value} = ${source}.${name}`)
      this.#code.line(`const told_${value} = ${value} !== undefined && !(${isDefault(field, value)})`)
    }
    const count = tagged.map(({ name }) => `(told_${name}${depth} ? 1 : 0)`).join(' + ')
    this.#code.line(`${writer}.unsignedVarint(${count})`)
    for (const { name, field } of tagged)
      this.#code.block(`if (told_${name}${depth})`, () => {
        const content = `content${depth}`
        this.#code.line(`const ${content} = scratch()`)
        this.#field(field, `${name}${depth}`, content, true, depth)
        this.#code.line(`writeTag(${writer}, ${field.traits.tag}, ${content})`)
      })
  }
}

function canBeNull(type: FieldType): boolean {
  return ['string', 'bytes', 'records', 'array', 'struct'].includes(type.kind)
}

function writeNull(type: FieldType, writer: string, flexible: boolean): string {
  if (type.kind === 'struct') return `${writer}.int8(-1)`
  if (flexible) return `${writer}.int8(0)`
  return type.kind === 'string' ? `${writer}.int16(-1)` : `${writer}.int32(-1)`
}

function writePrimitive(type: FieldType, value: string, writer: string, flexible: boolean): string {
  switch (type.kind) {
    case 'bool':
      return `${writer}.int8(${value} ? 1 : 0)`
    case 'uuid':
      return `writeUuid(${writer}, ${value})`
    case 'string':
      return `if (!${flexible ? 'writeCompactString' : 'writeString'}(${writer}, ${value})) return false`
    case 'bytes':
    case 'records':
      return `writeBytes(${writer}, ${value}, ${flexible})`
    default:
      return `${writer}.${type.kind}(${value})`
  }
}

function writeFixed(type: FieldType, offset: number, value: string): string {
  const at = offset === 0 ? 'at' : `at + ${offset}`
  switch (type.kind) {
    case 'bool':
      return `view.setInt8(${at}, ${value} ? 1 : 0)`
    case 'int8':
      return `view.setInt8(${at}, ${value})`
    case 'int16':
      return `view.setInt16(${at}, ${value})`
    case 'int32':
      return `view.setInt32(${at}, ${value})`
    case 'int64':
      return `setInt64(view, ${at}, ${value})`
    case 'float64':
      return `view.setFloat64(${at}, ${value})`
    case 'uuid':
      return `putUuid(view, ${at}, ${value})`
    default:
      assert(false, `${type.kind} has no fixed size`)
  }
}

/** An expression: does the value equal what a reader puts in its place when it is absent? */
function isDefault(field: AnyField, value: string): string {
  const { type, defaultValue } = field.traits
  if (defaultValue === null) return `${value} === null`
  const given = field.traits.nullableSince === Infinity ? '' : `${value} !== null && `
  switch (type.kind) {
    case 'array':
    case 'bytes':
    case 'records':
      return `${given}${value}.length === 0`
    case 'struct':
      return type.members
        .map(({ name, field }) => {
          const inner = `${value}.${name}`
          return isOptional(field) ? `(${inner} === undefined || ${isDefault(field, inner)})` : isDefault(field, inner)
        })
        .join(' && ')
    default:
      return `${value} === ${literalOf(defaultOf(field))}`
  }
}
