/**
 * Who one client is: what its connection shows (address, certificate), what it proves by auth packets and by SASL. The list of ids
 * only grows. Source: ZooKeeperServer.processPacket, processSasl, AuthenticationHelper, the authentication providers.
 */
import { decodeUtf8, toBase64 } from '#base'
import type { Random } from '#platform'
import { DigestMd5Server, SaslError } from '#security/sasl'
import { subjectOf } from '#security/tls'
import { ZkErrorCode, type Id } from '#zookeeper/protocol'
import { digestIdOf } from '#zookeeper/tree'

import type { Security } from './security.ts'

/** Ids that one client may gather by authenticating again and again. */
const IDS_MAX = 100
/** Realm and host of Apache's servers, whatever they are called. */
const SASL_REALM = 'zk-sasl-md5'
const SASL_SERVICE = 'zookeeper'
const NONCE_BYTES = 30

export interface SaslAnswer {
  readonly err: ZkErrorCode
  readonly token: Uint8Array | null
}

export class Authentication {
  readonly #security: Security
  readonly #random: Random
  /** Never changed in place: a write that is under way keeps the list it came with. */
  #ids: readonly Id[]
  #sasl: DigestMd5Server | null = null

  constructor(security: Security, random: Random, address: string, certificate: Uint8Array | null) {
    this.#security = security
    this.#random = random
    this.#ids = [{ scheme: 'ip', id: address }]
    if (certificate !== null && security.config.schemes.has('x509')) this.#add(this.#certified(subjectOf(certificate)))
  }

  get ids(): readonly Id[] {
    return this.#ids
  }

  /** The client has shown too little to ask for anything. */
  get isInsufficient(): boolean {
    const { enforcedSchemes } = this.#security.config
    return enforcedSchemes !== null && !this.#ids.some(({ scheme }) => enforcedSchemes.has(scheme))
  }

  /** An auth packet. A wrong password is no error: the client simply is someone else. */
  prove(scheme: string, auth: Uint8Array | null): boolean {
    if (auth === null || !this.#security.config.schemes.has(scheme)) return false
    if (scheme === 'ip') return true
    if (scheme === 'x509') return this.#ids.some((id) => id.scheme === scheme)
    return scheme === 'digest' && this.#add(this.#digested(decodeUtf8(auth, 0, auth.length)))
  }

  /**
   * A token of the SASL exchange. An empty answer tells the client that this server has no SASL. After a failure the connection
   * is to be closed, unless there is no error in the answer.
   */
  exchange(token: Uint8Array | null): SaslAnswer & { readonly failure: string | null } {
    const { users, config } = this.#security
    if (users === null) return { err: ZkErrorCode.OK, token: null, failure: null }
    try {
      this.#sasl ??= this.#beginSasl(users)
      const answer = this.#sasl.evaluate(token ?? new Uint8Array(0))
      const user = this.#sasl.authenticated?.user
      if (user !== undefined) this.#add(this.#named(user))
      return { err: ZkErrorCode.OK, token: answer, failure: null }
    } catch (error) {
      if (!(error instanceof SaslError)) throw error
      const isRequired = config.enforcedSchemes?.has('sasl') === true
      const err = isRequired ? ZkErrorCode.SESSIONCLOSEDREQUIRESASLAUTH : ZkErrorCode.AUTHFAILED
      const isLetStay = config.allowSaslFailedClients && !isRequired
      return { err: isLetStay ? ZkErrorCode.OK : err, token: null, failure: error.message }
    }
  }

  #beginSasl(users: ReadonlyMap<string, string>): DigestMd5Server {
    return new DigestMd5Server({
      realm: SASL_REALM,
      service: SASL_SERVICE,
      nonce: toBase64(this.#random.bytes(NONCE_BYTES)),
      passwordOf: (user) => users.get(user) ?? null,
    })
  }

  #named(user: string): Id[] {
    const isSuper = this.#security.config.saslSuperUsers.has(user)
    return [{ scheme: 'sasl', id: user }, ...(isSuper ? [{ scheme: 'super', id: '' }] : [])]
  }

  #certified(subject: string): Id[] {
    const isSuper = subject === this.#security.config.x509SuperUser
    return [...(isSuper ? [{ scheme: 'super', id: subject }] : []), { scheme: 'x509', id: subject }]
  }

  #digested(userAndPassword: string): Id[] {
    const { config, superDigest } = this.#security
    const id = digestIdOf(userAndPassword, config.digestAlgorithm)
    return [...(id === superDigest ? [{ scheme: 'super', id: '' }] : []), { scheme: 'digest', id }]
  }

  /** Whether there was room for them. */
  #add(ids: readonly Id[]): boolean {
    const added = ids.filter((id) => !this.#ids.some((known) => known.scheme === id.scheme && known.id === id.id))
    if (this.#ids.length + added.length > IDS_MAX) return false
    this.#ids = [...this.#ids, ...added]
    return true
  }
}
