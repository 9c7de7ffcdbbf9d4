/**
 * DER, as certificates and PKCS #12 are written: a tag, a length, the content, which may be made of more of the same.
 * Source: ITU-T X.690.
 */
import { MalformedBytesError } from '#base'

export const Tag = {
  integer: 0x02,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  generalString: 0x1b,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  /** `[0]` around another value. */
  explicit0: 0xa0,
  /** `[0]` instead of a value's own tag. */
  implicit0: 0x80,
} as const

const LONG_FORM = 0x80
const LENGTH_BYTES_MAX = 4

export class Der {
  readonly tag: number
  readonly content: Uint8Array
  /** Tag, length and content. */
  readonly whole: Uint8Array

  private constructor(tag: number, content: Uint8Array, whole: Uint8Array) {
    this.tag = tag
    this.content = content
    this.whole = whole
  }

  /** Throws `MalformedBytesError`, also where bytes are left over. */
  static read(bytes: Uint8Array): Der {
    const value = Der.#readAt(bytes, 0)
    if (value.whole.length !== bytes.length) throw new MalformedBytesError('bytes are left after a DER value')
    return value
  }

  static #readAt(bytes: Uint8Array, at: number): Der {
    const tag = bytes[at]
    const first = bytes[at + 1]
    if (tag === undefined || first === undefined) throw new MalformedBytesError('a DER value ends too early')
    let length = first
    let start = at + 2
    if (first >= LONG_FORM) {
      const count = first - LONG_FORM
      if (count === 0 || count > LENGTH_BYTES_MAX) throw new MalformedBytesError('a DER length of no known form')
      length = 0
      for (let index = 0; index < count; index++) length = length * 256 + (bytes[start++] ?? 0)
    }
    if (start + length > bytes.length) throw new MalformedBytesError('a DER value claims more bytes than there are')
    return new Der(tag, bytes.subarray(start, start + length), bytes.subarray(at, start + length))
  }

  /** The values that the content is made of. */
  children(): Der[] {
    const found: Der[] = []
    for (let at = 0; at < this.content.length;) {
      const child = Der.#readAt(this.content, at)
      found.push(child)
      at += child.whole.length
    }
    return found
  }

  /** The child at `index`, which must have this tag. */
  child(index: number, tag: number): Der {
    return withTag(this.children()[index], tag)
  }

  /** The only value in the content. */
  inner(tag: number): Der {
    return withTag(Der.read(this.content), tag)
  }

  /** A small number. */
  toNumber(): number {
    if (this.content.length === 0 || this.content.length > 6) throw new MalformedBytesError('a number of unlikely size')
    return this.content.reduce((sum, byte) => sum * 256 + byte, 0)
  }

  /** Of an object identifier, as `1.2.840.113549`. */
  toOid(): string {
    const numbers: number[] = []
    let number = 0
    for (const byte of this.content) {
      number = number * 128 + (byte & 0x7f)
      if (byte >= LONG_FORM) continue
      if (numbers.length === 0)
        numbers.push(Math.min(2, Math.floor(number / 40)), number - 40 * Math.min(2, Math.floor(number / 40)))
      else numbers.push(number)
      number = 0
    }
    return numbers.join('.')
  }
}

function withTag(value: Der | undefined, tag: number): Der {
  if (value?.tag !== tag) throw new MalformedBytesError(`tag ${value?.tag ?? 'none'}, where ${tag} is due`)
  return value
}
