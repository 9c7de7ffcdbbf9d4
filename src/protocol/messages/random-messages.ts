/** Random messages from a seed, for tests of the codec here and against Apache's classes. */
import {
  type AnyField,
  type FieldType,
  type Member,
  type MessageSchema,
  defaultOf,
  isNullable,
  isPresent,
  isTagged,
  uuidFromBytes,
} from '#protocol'

export class RandomMessages {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    // A Weyl sequence through a mixer (splitmix32).
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % bound
  }

  /** Every field that the version has is random, every other one at its default. */
  message(schema: MessageSchema, version: number): Record<string, unknown> {
    return this.#struct(schema.members, version)
  }

  #struct(members: readonly Member[], version: number): Record<string, unknown> {
    return Object.fromEntries(members.map(({ name, field }) => [name, this.#field(field, version)]))
  }

  #field(field: AnyField, version: number): unknown {
    if (!isPresent(field, version)) return defaultOf(field)
    if (isTagged(field) && this.below(2) === 0) return defaultOf(field)
    if (isNullable(field, version) && this.below(4) === 0) return null
    return this.#value(field.traits.type, version)
  }

  #value(type: FieldType, version: number): unknown {
    switch (type.kind) {
      case 'bool':
        return this.below(2) === 1
      case 'int8':
        return this.#edged(2 ** 7)
      case 'int16':
        return this.#edged(2 ** 15)
      case 'int32':
        return this.#edged(2 ** 31)
      case 'int64':
        return this.#int53()
      case 'float64':
        return this.below(2 ** 32) / 1024
      case 'uuid':
        return uuidFromBytes(this.bytes(16))
      case 'string':
        return this.#text()
      case 'bytes':
      case 'records':
        return this.bytes(this.below(4) === 0 ? this.below(3000) : this.below(20))
      case 'array':
        return Array.from({ length: this.below(4) }, () => this.#value(type.element, version))
      case 'struct':
        return this.#struct(type.members, version)
    }
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  /** Within ±bound, small and extreme values often. */
  #edged(bound: number): number {
    const edges = [0, 1, -1, bound - 1, -bound]
    if (this.below(3) === 0) return edges[this.below(edges.length)]!
    return this.below(bound) - (this.below(2) === 0 ? 0 : bound)
  }

  #int53(): number {
    const edges = [0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 32, -(2 ** 32), 2 ** 31]
    if (this.below(3) === 0) return edges[this.below(edges.length)]!
    const magnitude = this.below(2 ** 21) * 2 ** 32 + this.below(2 ** 32)
    return this.below(2) === 0 ? magnitude : -magnitude
  }

  #text(): string {
    const alphabet = ['a', 'Z', '9', '-', '.', 'ß', '한', '😀', '\u{feff}']
    const length = this.below(8) === 0 ? 60 + this.below(200) : this.below(12)
    let text = ''
    for (let at = 0; at < length; at++) text += alphabet[this.below(alphabet.length)]!
    return text
  }
}
