/** Declares a message or an API, and is the door to its codec. */
import { ByteReader, ByteWriter, MalformedBytesError, assert } from '#base'

import { type Decoder, type Encoder, compileDecoder, compileEncoder } from './compiler.ts'
import { type Fields, type StructIn, type StructOut, checkMembers, structType } from './field.ts'
import { interpretDecode, interpretEncode } from './interpreter.ts'
import { EncodingError, type MessageSchema } from './schema.ts'

export type VersionRange = readonly [first: number, last: number]

/** `Out` is what decoding gives: every field is there. `In` is what encoding takes: fields with a default may be left out. */
export class Message<Out, In> {
  declare readonly types: { readonly out: Out; readonly in: In }
  readonly schema: MessageSchema
  readonly #decoders: (Decoder | undefined)[] = []
  readonly #encoders: (Encoder | undefined)[] = []

  constructor(schema: MessageSchema) {
    checkMembers(schema.members, schema.name)
    this.schema = schema
  }

  get name(): string {
    return this.schema.name
  }

  /**
   * Reads one message and leaves the reader behind it. Throws `MalformedBytesError`, which names message,
   * version and field. `records` are views into the reader's bytes; everything else outlives them.
   */
  decode(reader: ByteReader, version: number): Out {
    const decoder = this.#decoders[version] ?? this.#prepareDecoder(version)
    const start = reader.position
    const message = decoder(reader)
    if (message !== undefined) return message as Out
    reader.position = start
    interpretDecode(this.schema, reader, version)
    assert(false, `${this.name} v${version}: the compiled code refuses what the interpreter reads`)
  }

  /** As `decode`, and refuses bytes that are left over. */
  decodeWhole(bytes: Uint8Array | ByteReader, version: number): Out {
    const reader = bytes instanceof ByteReader ? bytes : new ByteReader(bytes)
    const message = this.decode(reader, version)
    if (reader.remaining > 0)
      throw new MalformedBytesError(`${this.name} v${version}: ${reader.remaining} bytes too many`)
    return message
  }

  /** Throws `EncodingError` if the version cannot say it; the writer then holds a part of the message. */
  encode(writer: ByteWriter, message: In, version: number): void {
    const encoder = this.#encoders[version] ?? this.#prepareEncoder(version)
    if (encoder(writer, message)) return
    interpretEncode(this.schema, new ByteWriter(), message, version)
    assert(false, `${this.name} v${version}: the compiled code refuses what the interpreter writes`)
  }

  encodeToBytes(message: In, version: number): Uint8Array {
    const writer = new ByteWriter()
    this.encode(writer, message, version)
    return writer.toBytes()
  }

  hasVersion(version: number): boolean {
    return version >= this.schema.firstVersion && version <= this.schema.lastVersion
  }

  isFlexible(version: number): boolean {
    return version >= this.schema.flexibleSince
  }

  #prepareDecoder(version: number): Decoder {
    if (!this.hasVersion(version)) throw new MalformedBytesError(`${this.name} has no version ${version}`)
    const decoder = compileDecoder(this.schema, version) ?? ((reader) => interpretDecode(this.schema, reader, version))
    return (this.#decoders[version] = decoder)
  }

  #prepareEncoder(version: number): Encoder {
    if (!this.hasVersion(version)) throw new EncodingError(`${this.name} has no version ${version}`)
    const interpret: Encoder = (writer, message) => {
      interpretEncode(this.schema, writer, message, version)
      return true
    }
    return (this.#encoders[version] = compileEncoder(this.schema, version) ?? interpret)
  }
}

/** A message apart from any API, such as the value of a record. */
export function message<const F extends Fields>(declaration: {
  readonly name: string
  readonly versions: VersionRange
  /** First flexible version; left out if there is none. */
  readonly flexibleSince?: number
  readonly fields: F
}): Message<StructOut<F>, StructIn<F>> {
  const { name, versions, flexibleSince = Infinity, fields } = declaration
  const [firstVersion, lastVersion] = versions
  return new Message({ name, firstVersion, lastVersion, flexibleSince, members: structType(fields).members })
}

export interface Api<RequestOut = unknown, RequestIn = never, ResponseOut = unknown, ResponseIn = never> {
  readonly key: number
  readonly name: string
  /** What our codec reads and writes; what a broker advertises is in `supportedApis`. */
  readonly versions: VersionRange
  readonly flexibleSince: number
  readonly request: Message<RequestOut, RequestIn>
  readonly response: Message<ResponseOut, ResponseIn>
}

export type AnyApi = Api<unknown, unknown, unknown, unknown>

export function api<const Request extends Fields, const Response extends Fields>(declaration: {
  readonly key: number
  readonly name: string
  readonly versions: VersionRange
  readonly flexibleSince?: number
  readonly request: Request
  readonly response: Response
}): Api<StructOut<Request>, StructIn<Request>, StructOut<Response>, StructIn<Response>> {
  const { key, name, versions, flexibleSince = Infinity, request, response } = declaration
  const common = { versions, flexibleSince }
  return {
    key,
    name,
    versions,
    flexibleSince,
    request: message({ ...common, name: `${name} request`, fields: request }),
    response: message({ ...common, name: `${name} response`, fields: response }),
  }
}

type Typed = { readonly types: { readonly out: unknown; readonly in: unknown } }
type TypedApi = { readonly request: Typed; readonly response: Typed }

export type MessageOf<M extends Typed> = M['types']['out']
export type MessageInputOf<M extends Typed> = M['types']['in']
export type RequestOf<A extends TypedApi> = A['request']['types']['out']
export type RequestInputOf<A extends TypedApi> = A['request']['types']['in']
export type ResponseOf<A extends TypedApi> = A['response']['types']['out']
export type ResponseInputOf<A extends TypedApi> = A['response']['types']['in']
