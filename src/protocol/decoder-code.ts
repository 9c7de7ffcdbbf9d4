/**
 * Writes the JavaScript that decodes one version of a message: one function, loops inside loops, with the
 * declaration's own names for its variables. Fields of fixed size that follow each other are checked against
 * what is left at once. The code returns undefined for whatever it refuses; the interpreter then says why.
 *
 *     const end = reader.end … let p = reader.position
 *     if (end - p < 8) return undefined
 *     const maxWaitMs0 = view.getInt32(p), minBytes0 = view.getInt32(p + 4)
 *     p += 8
 */
import { assert } from '#base'

import { type AnyField, type FieldType, type Member } from './field.ts'
import {
  defaultOf,
  fixedRun,
  fixedSizeOf,
  isFixedLayout,
  isNullable,
  isPresent,
  isTagged,
  minimalSizeOf,
  taggedMembers,
} from './field.ts'
import { type MessageSchema, STRING_BYTES_MAX } from './schema.ts'
import { SourceCode, literalOf } from './source-code.ts'

export function decoderCode(schema: MessageSchema, version: number): string {
  const code = new SourceCode()
  code.line('const { bytes, view, end } = reader')
  code.line('let p = reader.position, n = 0')
  const message = new DecoderCode(code, version).struct(schema.members, version >= schema.flexibleSince, 0, false)
  code.line(`const message = ${message}`)
  code.line('reader.position = p')
  code.line('return message')
  return code.toString()
}

class DecoderCode {
  readonly #code: SourceCode
  readonly #version: number

  constructor(code: SourceCode, version: number) {
    this.#code = code
    this.#version = version
  }

  /** Reads the members into variables and returns the literal that joins them. `checked`: all its bytes are known to be there. */
  struct(members: readonly Member[], flexible: boolean, depth: number, checked: boolean): string {
    const inPlace = members.filter(({ field }) => isPresent(field, this.#version) && !isTagged(field))
    for (let index = 0; index < inPlace.length;) {
      const run = fixedRun(inPlace, index)
      if (run.length > 0) this.#fixedRun(run, depth, checked)
      else this.#variable(inPlace[index]!, flexible, depth)
      index += Math.max(run.length, 1)
    }
    if (flexible) this.#tagSection(members, depth)
    const properties = members.map(({ name, field }) => {
      if (isPresent(field, this.#version)) return `${name}: ${name}${depth}`
      return `${name}: ${literalOf(defaultOf(field))}`
    })
    return `{ ${properties.join(', ')} }`
  }

  #fixedRun(run: readonly Member[], depth: number, checked: boolean): void {
    const sizes = run.map(({ field }) => fixedSizeOf(field.traits.type)!)
    const total = sizes.reduce((sum, size) => sum + size, 0)
    if (!checked) this.#code.line(`if (end - p < ${total}) return undefined`)
    let offset = 0
    for (const [index, { name, field }] of run.entries()) {
      this.#code.line(`const ${name}${depth} = ${readFixed(field.traits.type, offset)}`)
      offset += sizes[index]!
    }
    this.#code.line(`p += ${total}`)
  }

  #variable({ name, field }: Member, flexible: boolean, depth: number): void {
    const variable = `${name}${depth}`
    this.#code.line(`let ${variable} = null`)
    this.#value(field, flexible, variable, depth)
  }

  #value(field: AnyField, flexible: boolean, variable: string, depth: number): void {
    const { type, isInflexible } = field.traits
    const nullable = isNullable(field, this.#version)
    if (type.kind !== 'struct') return this.#lengthed(type, flexible && !isInflexible, nullable, variable, depth)
    if (nullable) this.#code.line('if (p >= end) return undefined')
    this.#code.block(nullable ? 'if (view.getInt8(p++) >= 0)' : '', () => {
      this.#code.line(`${variable} = ${this.struct(type.members, flexible, depth + 1, false)}`)
    })
  }

  /** A value with its length or count before it. */
  #lengthed(type: FieldType, flexible: boolean, nullable: boolean, variable: string, depth: number): void {
    this.#length(type, flexible)
    if (nullable) this.#code.block('if (n !== -1)', () => this.#content(type, flexible, variable, depth))
    else this.#content(type, flexible, variable, depth)
  }

  /** Leaves the length in `n`: -1 for null, and anything below only if the bytes lie. */
  #length(type: FieldType, flexible: boolean): void {
    if (flexible) {
      this.#varint('n')
      this.#code.line('n -= 1')
      return
    }
    const [size, read] = type.kind === 'string' ? [2, 'getInt16'] : [4, 'getInt32']
    this.#code.line(`if (end - p < ${size}) return undefined`)
    this.#code.line(`n = view.${read}(p)`)
    this.#code.line(`p += ${size}`)
  }

  #varint(variable: string): void {
    this.#code.line('if (p >= end) return undefined')
    this.#code.line(`${variable} = bytes[p++]`)
    this.#code.block(`if (${variable} > 127)`, () => {
      this.#code.line(`if ((${variable} = varint(reader, p - 1)) < 0) return undefined`)
      this.#code.line('p = reader.position')
    })
  }

  #content(type: FieldType, flexible: boolean, variable: string, depth: number): void {
    if (type.kind === 'array') return this.#array(type.element, flexible, variable, depth)
    const bound = type.kind === 'string' && flexible ? `n > ${STRING_BYTES_MAX} || ` : ''
    this.#code.line(`if (n < 0 || ${bound}n > end - p) return undefined`)
    this.#code.line(`${variable} = ${readBytes(type)}`)
    this.#code.line('p += n')
  }

  #array(element: FieldType, flexible: boolean, variable: string, depth: number): void {
    const size = minimalSizeOf(element, this.#version, flexible)
    assert(size > 0, `an element of ${variable} takes no bytes in version ${this.#version}`)
    const claimed = size === 1 ? 'n' : `n * ${size}`
    this.#code.line(`if (n < 0 || ${claimed} > end - p) return undefined`)
    this.#code.line(`${variable} = []`)
    const fixed = isFixedLayout(element, this.#version, flexible)
    this.#code.block(`for (let i${depth} = 0, count${depth} = n; i${depth} < count${depth}; i${depth}++)`, () => {
      const item = this.#element(element, flexible, depth + 1, fixed)
      this.#code.line(`${variable}.push(${item})`)
    })
  }

  /** Reads one element and returns the expression for it. */
  #element(type: FieldType, flexible: boolean, depth: number, checked: boolean): string {
    if (type.kind === 'struct') return this.struct(type.members, flexible, depth, checked)
    const size = fixedSizeOf(type)
    if (size === null) {
      this.#code.line(`let item${depth} = null`)
      this.#lengthed(type, flexible, false, `item${depth}`, depth)
      return `item${depth}`
    }
    this.#code.line(`const item${depth} = ${readFixed(type, 0)}`)
    this.#code.line(`p += ${size}`)
    return `item${depth}`
  }

  #tagSection(members: readonly Member[], depth: number): void {
    const tagged = taggedMembers(members, this.#version)
    for (const { name, field } of tagged) this.#code.line(`let ${name}${depth} = ${literalOf(defaultOf(field))}`)
    if (tagged.length === 0) {
      this.#code.line('if (p < end && bytes[p] === 0) p++')
      this.#code.line('else if ((p = passTags(reader, p)) < 0) return undefined')
      return
    }
    this.#varint('n')
    this.#code.block(`for (let left${depth} = n, last${depth} = -1; left${depth} > 0; left${depth}--)`, () => {
      this.#varint('n')
      this.#code.line(`if (n <= last${depth}) return undefined`)
      this.#code.line(`last${depth} = n`)
      this.#varint('n')
      this.#code.line('if (n > end - p) return undefined')
      this.#code.line(`const stop${depth} = p + n`)
      for (const [index, { name, field }] of tagged.entries()) {
        const condition = `${index === 0 ? '' : 'else '}if (last${depth} === ${field.traits.tag})`
        this.#code.block(condition, () => this.#tag(field, `${name}${depth}`, depth))
      }
      this.#code.line(`else p = stop${depth}`)
      this.#code.line(`if (p !== stop${depth}) return undefined`)
    })
  }

  #tag(field: AnyField, variable: string, depth: number): void {
    const size = fixedSizeOf(field.traits.type)
    if (size === null) return this.#value(field, true, variable, depth + 1)
    this.#code.line(`if (end - p < ${size}) return undefined`)
    this.#code.line(`${variable} = ${readFixed(field.traits.type, 0)}`)
    this.#code.line(`p += ${size}`)
  }
}

function readFixed(type: FieldType, offset: number): string {
  const at = offset === 0 ? 'p' : `p + ${offset}`
  switch (type.kind) {
    case 'bool':
      return `bytes[${at}] !== 0`
    case 'int8':
      return `view.getInt8(${at})`
    case 'int16':
      return `view.getInt16(${at})`
    case 'int32':
      return `view.getInt32(${at})`
    case 'int64':
      return `view.getInt32(${at}) * 4294967296 + view.getUint32(p + ${offset + 4})`
    case 'float64':
      return `view.getFloat64(${at})`
    case 'uuid':
      return `uuidAt(view, ${at})`
    case 'string':
    case 'bytes':
    case 'records':
    case 'array':
    case 'struct':
      assert(false, `${type.kind} has no fixed size`)
  }
}

function readBytes(type: FieldType): string {
  if (type.kind === 'string') return 'text(bytes, p, p + n)'
  if (type.kind === 'bytes') return 'copy(bytes, p, p + n)'
  assert(type.kind === 'records', `${type.kind} is not bytes`)
  return 'bytes.subarray(p, p + n)'
}
