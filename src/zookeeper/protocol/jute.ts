/**
 * jute, the encoding of everything that ZooKeeper sends and stores: big-endian primitives, fields one after
 * the other, no tags.
 *
 *     boolean  1 byte, 0 or 1                 ustring  int32 length, UTF-8
 *     int      4 bytes                        buffer   int32 length, bytes
 *     long     8 bytes                        vector   int32 count, items
 *
 * A record is declared once, as a value; its type is inferred and its codec is generated on first use.
 * Source: zookeeper-jute, BinaryInputArchive and BinaryOutputArchive.
 */
import { ByteReader, ByteWriter, MalformedBytesError, utf8Length } from '#base'

export interface Codec<T> {
  read(this: void, reader: ByteReader): T
  write(this: void, writer: ByteWriter, value: T): void
}

export interface RecordCodec<T> extends Codec<T> {
  readonly name: string
  encode(this: void, value: T): Uint8Array
  decode(this: void, bytes: Uint8Array): T
}

export type RecordOf<C> = C extends Codec<infer T> ? T : never

export const boolean: Codec<boolean> = {
  read: (reader) => reader.uint8() !== 0,
  write: (writer, value) => writer.int8(value ? 1 : 0),
}

export const int: Codec<number> = {
  read: (reader) => reader.int32(),
  write: (writer, value) => writer.int32(value),
}

/** All 64 bits carry meaning: zxids and session ids. */
export const long: Codec<bigint> = {
  read: (reader) => reader.bigint64(),
  write: (writer, value) => writer.bigint64(value),
}

/** Times and durations in ms: exact within ±2^53. */
export const time: Codec<number> = {
  read: (reader) => reader.int64(),
  write: (writer, value) => writer.int64(value),
}

/**
 * Length -1 (null) reads as the empty text: no field of the protocol means something else by null than by
 * empty, and both are refused in the same way where a path or a scheme is needed.
 */
export const ustring: Codec<string> = {
  read(reader) {
    const length = reader.int32()
    return length === -1 ? '' : reader.utf8(length)
  },
  write(writer, value) {
    writer.int32(utf8Length(value))
    writer.utf8(value)
  },
}

/** Read as a view into the bytes that the reader was given; data of a znode may be null. */
export const buffer: Codec<Uint8Array | null> = {
  read(reader) {
    const length = reader.int32()
    return length === -1 ? null : reader.slice(length)
  },
  write(writer, value) {
    if (value === null) return writer.int32(-1)
    writer.int32(value.length)
    writer.bytes(value)
  },
}

/** The smallest item that a vector of the protocol can hold is an empty ustring. */
const ITEM_BYTES_MIN = 4

/** A null vector (-1) reads as an empty one. */
export function vector<T>(item: Codec<T>): Codec<T[]> {
  return {
    read(reader) {
      const count = reader.int32()
      if (count === -1) return []
      if (count < 0 || count * ITEM_BYTES_MIN > reader.remaining)
        throw new MalformedBytesError(`a vector claims ${count} items in ${reader.remaining} bytes`)
      const items: T[] = []
      for (let index = 0; index < count; index++) items.push(item.read(reader))
      return items
    },
    write(writer, items) {
      writer.int32(items.length)
      for (const each of items) item.write(writer, each)
    },
  }
}

type Fields = Readonly<Record<string, Codec<never> | Codec<unknown>>>
type RecordType<F> = { -readonly [Name in keyof F]: RecordOf<F[Name]> }

/** The fields in their order on the wire. */
export function record<const F extends Fields>(name: string, fields: F): RecordCodec<RecordType<F>> {
  type T = RecordType<F>
  const { read, write } = straightLineCodec<T>(name, fields)
  return {
    name,
    read,
    write,
    encode(value) {
      const writer = new ByteWriter()
      write(writer, value)
      return writer.toBytes()
    },
    decode: (bytes) => read(new ByteReader(bytes)),
  }
}

/** An operation without a body: delete's answer, ping, closeSession. */
export const nothing: RecordCodec<null> = {
  name: 'nothing',
  read: () => null,
  write() {},
  encode: () => new Uint8Array(0),
  decode: () => null,
}

/**
 * One call per field with names known to the engine, which inlines them: several times faster than a loop
 * over names. Where code from strings is forbidden, the loop does the same.
 */
function straightLineCodec<T>(name: string, fields: Fields): Codec<T> {
  const names = Object.keys(fields)
  const codecs = Object.values(fields) as Codec<unknown>[]
  const reads = names.map((field, index) => `${field}: c${index}.read(reader)`)
  const writes = names.map((field, index) => `c${index}.write(writer, value.${field})`)
  const source =
    `const [${names.map((_, index) => `c${index}`).join(', ')}] = codecs\n` +
    `return { read(reader) { return { ${reads.join(', ')} } }, write(writer, value) { ${writes.join('; ')} } }\n` +
    `//# sourceURL=jute-${name}.js`
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- made of field names in this room's source only
    return new Function('codecs', source)(codecs) as Codec<T>
  } catch (error) {
    if (error instanceof EvalError) return interpretedCodec(names, codecs)
    throw error
  }
}

export function interpretedCodec<T>(names: readonly string[], codecs: readonly Codec<unknown>[]): Codec<T> {
  return {
    read: (reader) => Object.fromEntries(names.map((field, index) => [field, codecs[index]!.read(reader)])) as T,
    write(writer, value) {
      for (const [index, field] of names.entries())
        codecs[index]!.write(writer, (value as Record<string, unknown>)[field])
    },
  }
}
