/**
 * How servers of an ensemble prove to each other who they are: DIGEST-MD5 in packets of its own, at the beginning of a connection.
 * Who connects speaks first. Pure: bytes in, bytes out.
 *
 *     packet   int64 magic, int32 status (0: it goes on, 1: success, -1: error), int32 length, token
 *
 * Source: QuorumAuth, SaslQuorumAuthServer, SaslQuorumAuthLearner.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { DigestMd5Client, DigestMd5Server, SaslError } from '#security/sasl'

/** No id of a server and no version of a greeting. */
const MAGIC = 0x5f2435013501edccn
const SERVICE = 'zookeeper-quorum'
const HOST = 'zk-quorum-sasl-md5'
const HEAD_BYTES = 16
const MAGIC_BYTES = 8
/** Longer than any token of the exchange. */
const TOKEN_BYTES_MAX = 4096

const Status = { goesOn: 0, success: 1, error: -1 } as const

export type QuorumAuthState =
  | { readonly kind: 'goingOn' }
  /** `rest` is what came after the exchange: the connection's own bytes. */
  | { readonly kind: 'done'; readonly user: string | null; readonly rest: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: string }

/** One side of an exchange. What `receive` returns in `send` goes out before anything else. */
export interface QuorumAuth {
  /** What to send before anything is received. */
  begin(): Uint8Array[]
  receive(bytes: Uint8Array): { readonly send: Uint8Array[]; readonly state: QuorumAuthState }
}

interface Packet {
  readonly status: number
  readonly token: Uint8Array
}

/** Bytes until there is a whole packet. */
abstract class Exchange implements QuorumAuth {
  #held: Uint8Array = new Uint8Array(0)

  abstract begin(): Uint8Array[]
  protected abstract onPacket(packet: Packet): { send: Uint8Array[]; state: 'goingOn' | { user: string } }
  /** Where the first bytes are none of the exchange's. */
  protected abstract onOtherBytes(bytes: Uint8Array): QuorumAuthState

  receive(bytes: Uint8Array): { send: Uint8Array[]; state: QuorumAuthState } {
    this.#held = concat(this.#held, bytes)
    const send: Uint8Array[] = []
    try {
      while (this.#held.length >= MAGIC_BYTES) {
        const reader = new ByteReader(this.#held)
        if (reader.bigint64() !== MAGIC) return { send, state: this.onOtherBytes(this.#held) }
        if (this.#held.length < HEAD_BYTES) break
        const status = reader.int32()
        const length = Math.max(0, reader.int32())
        if (length > TOKEN_BYTES_MAX) throw new SaslError(`a token of ${length} bytes is too long`)
        if (this.#held.length < HEAD_BYTES + length) break
        const token = this.#held.slice(HEAD_BYTES, HEAD_BYTES + length)
        this.#held = this.#held.slice(HEAD_BYTES + length)
        const { send: more, state } = this.onPacket({ status, token })
        send.push(...more)
        if (state !== 'goingOn') return { send, state: { kind: 'done', user: state.user, rest: this.#held } }
      }
      return { send, state: { kind: 'goingOn' } }
    } catch (error) {
      if (!(error instanceof SaslError) && !(error instanceof MalformedBytesError)) throw error
      return { send: [...send, ...this.onFailure()], state: { kind: 'refused', reason: error.message } }
    }
  }

  protected onFailure(): Uint8Array[] {
    return []
  }
}

/** The side that was connected to. */
export class QuorumAuthServer extends Exchange {
  readonly #required: boolean
  readonly #sasl: DigestMd5Server

  constructor(options: { users: ReadonlyMap<string, string>; required: boolean; nonce: string }) {
    super()
    this.#required = options.required
    const passwordOf = (user: string): string | null => options.users.get(user) ?? null
    this.#sasl = new DigestMd5Server({ realm: HOST, service: SERVICE, nonce: options.nonce, passwordOf })
  }

  begin(): Uint8Array[] {
    return []
  }

  protected onPacket({ token }: Packet): { send: Uint8Array[]; state: 'goingOn' | { user: string } } {
    const answer = this.#sasl.evaluate(token)
    const { authenticated } = this.#sasl
    if (authenticated === null) return { send: [packet(Status.goesOn, answer)], state: 'goingOn' }
    if (authenticated.authorizationId !== authenticated.user)
      throw new SaslError(`"${authenticated.user}" may not act as "${authenticated.authorizationId}"`)
    return { send: [packet(Status.success, answer)], state: { user: authenticated.user } }
  }

  protected onOtherBytes(rest: Uint8Array): QuorumAuthState {
    if (this.#required) return { kind: 'refused', reason: 'it does not authenticate' }
    return { kind: 'done', user: null, rest }
  }

  protected override onFailure(): Uint8Array[] {
    return [packet(Status.error, new Uint8Array(0))]
  }
}

/** The side that connects. */
export class QuorumAuthLearner extends Exchange {
  readonly #user: string
  readonly #sasl: DigestMd5Client

  constructor(options: { user: string; password: string; cnonce: string }) {
    super()
    this.#user = options.user
    this.#sasl = new DigestMd5Client({ ...options, service: SERVICE, host: HOST })
  }

  begin(): Uint8Array[] {
    return [packet(Status.goesOn, new Uint8Array(0))]
  }

  protected onPacket({ status, token }: Packet): { send: Uint8Array[]; state: 'goingOn' | { user: string } } {
    if (status !== Status.goesOn && status !== Status.success)
      throw new SaslError(`it does not take us as "${this.#user}"`)
    const answer = this.#sasl.evaluate(token)
    if (answer !== null) return { send: [packet(Status.goesOn, answer)], state: 'goingOn' }
    if (status !== Status.success) throw new SaslError('it knows our password, and does not say that it takes us')
    return { send: [], state: { user: this.#user } }
  }

  protected onOtherBytes(): QuorumAuthState {
    return { kind: 'refused', reason: 'it does not authenticate' }
  }
}

function packet(status: number, token: Uint8Array): Uint8Array {
  const writer = new ByteWriter(HEAD_BYTES + token.length)
  writer.bigint64(MAGIC)
  writer.int32(status)
  writer.int32(token.length)
  writer.bytes(token)
  return concat(...writer.chunks())
}

function concat(...chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
