/**
 * SASL DIGEST-MD5 as a pure exchange: no socket, clock or randomness; nonces are given. The server speaks first.
 *
 *     server  realm="r",nonce="N",charset=utf-8,algorithm=md5-sess
 *     client  charset=utf-8,username="u",realm="r",nonce="N",nc=00000001,cnonce="C",digest-uri="service/host",response=H,qop=auth
 *     server  rspauth=H'
 *
 * H proves that the client knows the password, H' that the server does. Protection is left to TLS: `qop` is always `auth`.
 * Source: RFC 2831; com.sun.security.sasl.digest for what Java's peers say and accept.
 */
import { createHash } from 'node:crypto'

import { decodeUtf8, toHex } from '#base'

/** The exchange has failed: the other side broke the rules, or has another password. */
export class SaslError extends Error {
  override name = 'SaslError'
}

/** What the peers must agree on. */
interface Proof {
  readonly user: string
  readonly realm: string
  readonly password: string
  /** Whom the client wants to act as; null: itself. */
  readonly authorizationId: string | null
  readonly nonce: string
  readonly cnonce: string
  readonly nonceCount: string
  /** `service/host`. */
  readonly uri: string
}

const QOP = 'auth'
const FIRST_NONCE_COUNT = '00000001'
/** Longer tokens come from nobody: names and nonces are short. */
const TOKEN_BYTES_MAX = 4096

export interface DigestMd5ServerOptions {
  /** The only realm, and the host in `digest-uri`: Java's server takes its own name for both. */
  readonly realm: string
  readonly service: string
  /** Never used before, and not to be guessed. */
  readonly nonce: string
  /** Null for a user that there is not. */
  readonly passwordOf: (user: string) => string | null
}

export interface Authenticated {
  readonly user: string
  /** Whom it wants to act as; the user where it does not say. */
  readonly authorizationId: string
}

export class DigestMd5Server {
  readonly #options: DigestMd5ServerOptions
  #challenged = false
  #authenticated: Authenticated | null = null

  constructor(options: DigestMd5ServerOptions) {
    this.#options = options
  }

  /** Null as long as the exchange goes on. */
  get authenticated(): Authenticated | null {
    return this.#authenticated
  }

  /** The answer to a token; the first one is empty. Throws `SaslError`. */
  evaluate(token: Uint8Array): Uint8Array {
    if (this.#authenticated !== null) throw new SaslError('the exchange is over')
    if (!this.#challenged) {
      if (token.length > 0) throw new SaslError('the server speaks first, but the client sent something')
      this.#challenged = true
      const { realm, nonce } = this.#options
      return encoded(`realm=${quoted(realm)},nonce=${quoted(nonce)},charset=utf-8,algorithm=md5-sess`)
    }
    return this.#check(parseDirectives(token))
  }

  #check(said: Directives): Uint8Array {
    const { realm, service, nonce, passwordOf } = this.#options
    const uri = `${service}/${realm}`
    expect('realm', said.get('realm') ?? realm, realm)
    expect('nonce', said.get('nonce') ?? '', nonce)
    expect('nc', said.get('nc') ?? '', FIRST_NONCE_COUNT)
    expect('qop', said.get('qop') ?? QOP, QOP)
    expect('digest-uri', (said.get('digest-uri') ?? '').toLowerCase(), uri.toLowerCase())
    const user = required(said, 'username')
    const password = passwordOf(user)
    // Said of a wrong password, too: nobody shall learn which users there are.
    const refusal = `the password of "${user}" is wrong, or there is no such user`
    if (password === null) throw new SaslError(refusal)
    const proof: Proof = {
      user,
      realm,
      password,
      authorizationId: said.get('authzid') ?? null,
      nonce,
      cnonce: required(said, 'cnonce'),
      nonceCount: FIRST_NONCE_COUNT,
      uri: said.get('digest-uri')!,
    }
    if (!isSame(required(said, 'response'), responseOf(proof))) throw new SaslError(refusal)
    this.#authenticated = { user, authorizationId: proof.authorizationId ?? user }
    return encoded(`rspauth=${serverResponseOf(proof)}`)
  }
}

export interface DigestMd5ClientOptions {
  readonly user: string
  readonly password: string
  readonly service: string
  /** As the server calls itself. */
  readonly host: string
  /** Never used before, and not to be guessed. */
  readonly cnonce: string
}

export class DigestMd5Client {
  readonly #options: DigestMd5ClientOptions
  /** What the server must answer to show that it knows the password, too. */
  #expected: string | null = null
  #complete = false

  constructor(options: DigestMd5ClientOptions) {
    this.#options = options
  }

  /** The server has shown that it knows the password. */
  get complete(): boolean {
    return this.#complete
  }

  /** The answer to the server's token, or null when nothing is left to say. Throws `SaslError`. */
  evaluate(token: Uint8Array): Uint8Array | null {
    if (this.#complete) throw new SaslError('the exchange is over')
    const said = parseDirectives(token)
    if (this.#expected === null) return this.#respond(said)
    if (!isSame(required(said, 'rspauth'), this.#expected)) throw new SaslError('the server does not know the password')
    this.#complete = true
    return null
  }

  #respond(said: Directives): Uint8Array {
    expect('algorithm', required(said, 'algorithm'), 'md5-sess')
    if (!(said.get('qop') ?? QOP).split(',').some((offered) => offered.trim() === QOP))
      throw new SaslError(`the server wants protection that is not carried out (qop=${said.get('qop')})`)
    const { user, password, service, host, cnonce } = this.#options
    const proof: Proof = {
      user,
      realm: said.get('realm') ?? '',
      password,
      authorizationId: null,
      nonce: required(said, 'nonce'),
      cnonce,
      nonceCount: FIRST_NONCE_COUNT,
      uri: `${service}/${host}`,
    }
    this.#expected = serverResponseOf(proof)
    const realm = said.has('realm') ? `realm=${quoted(proof.realm)},` : ''
    return encoded(
      `charset=utf-8,username=${quoted(user)},${realm}nonce=${quoted(proof.nonce)},nc=${proof.nonceCount},` +
        `cnonce=${quoted(cnonce)},digest-uri=${quoted(proof.uri)},maxbuf=65536,response=${responseOf(proof)},qop=${QOP}`,
    )
  }
}

type Directives = ReadonlyMap<string, string>

/** `key=value,key="value"`; of a repeated key the first counts. Throws `SaslError`. */
export function parseDirectives(token: Uint8Array): Directives {
  if (token.length > TOKEN_BYTES_MAX) throw new SaslError(`a token of ${token.length} bytes is too long`)
  const text = decodeUtf8(token, 0, token.length)
  const directives = new Map<string, string>()
  const pattern = /[\s,]*([^\s,=]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,"]*))\s*(?=,|$)/gsy
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (match === null) {
      if (/^[\s,]*$/.test(text.slice(at))) break
      throw new SaslError(`what stands at position ${at} of the token is no directive`)
    }
    const [, key, inQuotes, plain] = match
    const name = key!.toLowerCase()
    if (!directives.has(name)) directives.set(name, inQuotes?.replaceAll(/\\(.)/gs, '$1') ?? plain!)
  }
  return directives
}

function responseOf(proof: Proof): string {
  return digestOf(proof, `AUTHENTICATE:${proof.uri}`)
}

function serverResponseOf(proof: Proof): string {
  return digestOf(proof, `:${proof.uri}`)
}

function digestOf(proof: Proof, a2: string): string {
  const { user, realm, password, authorizationId, nonce, cnonce, nonceCount } = proof
  const secret = md5([oldLatin(user), ':', oldLatin(realm), ':', oldLatin(password)])
  const a1 = md5([secret, `:${nonce}:${cnonce}${authorizationId === null ? '' : `:${authorizationId}`}`])
  return toHex(md5([`${toHex(a1)}:${nonce}:${nonceCount}:${cnonce}:${QOP}:${toHex(md5([a2]))}`]))
}

/** In ISO 8859-1 where that has all the characters, so that servers which keep only the hash need one of them. */
function oldLatin(text: string): Uint8Array {
  const codes = Array.from(text, (character) => character.codePointAt(0)!)
  return codes.every((code) => code < 0x100) ? Uint8Array.from(codes) : encoded(text)
}

function md5(parts: readonly (string | Uint8Array)[]): Uint8Array {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

function required(said: Directives, key: string): string {
  const value = said.get(key)
  if (value === undefined || value === '') throw new SaslError(`${key} is missing`)
  return value
}

function expect(key: string, said: string, wanted: string): void {
  if (said !== wanted) throw new SaslError(`${key} is "${said}", where "${wanted}" is due`)
}

/** In a time that does not tell how much of it is right. */
function isSame(said: string, wanted: string): boolean {
  let difference = said.length ^ wanted.length
  for (let at = 0; at < wanted.length; at++) difference |= said.charCodeAt(at) ^ wanted.charCodeAt(at)
  return difference === 0
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
