/**
 * Who is who, and what is encrypted: the files that the configuration names, read once at the start, and what follows from them
 * for each connection.
 */
import { decodeUtf8 } from '#base'
import {
  FileError,
  type FileSystem,
  type Network,
  type Platform,
  type Random,
  type TlsListenOptions,
  type TlsOptions,
} from '#platform'
import { JaasError, loginOf, parseJaas, usersOf, type JaasConfig } from '#security/sasl'
import { KeyStoreError, TlsNetwork, readAuthorities, readIdentity } from '#security/tls'
import type { AclRules } from '#zookeeper/tree'

import { Authentication } from './authentication.ts'
import type { ZooKeeperConfig } from './config.ts'
import { memberOf, type EnsembleConfig } from './ensemble-config.ts'
import { QuorumAuthNetwork } from './quorum-auth-network.ts'
import type { SecurityConfig, TlsConfig } from './security-config.ts'
import { ZooCfgError } from './zoo-cfg-error.ts'

/** How servers prove to each other who they are. */
export interface QuorumSasl {
  /** Passwords of those who may connect. */
  readonly users: ReadonlyMap<string, string>
  /** Who this server says to be. */
  readonly login: { readonly user: string; readonly password: string }
  /** Who does not authenticate is refused. */
  readonly required: boolean
  /** This server authenticates where it connects. */
  readonly authenticates: boolean
}

export class Security {
  readonly config: SecurityConfig
  /** The digest id that may do everything; null: there is none. */
  readonly superDigest: string | null
  readonly aclRules: AclRules
  /** Passwords of clients by user; null: there is no SASL. */
  readonly users: ReadonlyMap<string, string> | null
  /** Of the ports for clients; null: neither has TLS. */
  readonly clientTls: TlsListenOptions | null
  readonly quorumSasl: QuorumSasl | null
  readonly #quorumTls: TlsListenOptions | null
  readonly #random: Random

  /** Throws `ZooCfgError` where a file is missing, damaged or not what is needed. */
  static open(platform: Pick<Platform, 'files' | 'random'>, config: ZooKeeperConfig): Security {
    try {
      return new Security(platform, config)
    } catch (cause) {
      if (cause instanceof JaasError) throw new ZooCfgError(`${config.security.jaasFile}: ${cause.message}`, { cause })
      if (cause instanceof KeyStoreError) throw new ZooCfgError(cause.message, { cause })
      throw cause
    }
  }

  private constructor(
    { files, random }: Pick<Platform, 'files' | 'random'>,
    { security: config, superDigest }: ZooKeeperConfig,
  ) {
    this.config = config
    this.superDigest = superDigest
    this.#random = random
    this.aclRules = { schemes: config.schemes, anySaslUser: config.letAnySaslUserDoX }
    const jaas = config.jaasFile === null ? null : parseJaas(readText(files, config.jaasFile))
    this.users = usersOfClients(jaas, config)
    this.quorumSasl = config.quorumSasl ? quorumSaslOf(jaas!, config) : null
    const { secureClientPort, portUnification, sslQuorum, quorumPortUnification } = config
    this.clientTls = secureClientPort !== null || portUnification ? listenOptions(files, config.clientTls, false) : null
    this.#quorumTls =
      sslQuorum || quorumPortUnification ? listenOptions(files, config.quorumTls, quorumPortUnification) : null
  }

  /** Who a client is, as far as its connection shows. */
  authenticationOf(address: string, certificate: Uint8Array | null): Authentication {
    return new Authentication(this, this.#random, address, certificate)
  }

  /** The network for quorum and election ports: encrypted, authenticated, both or neither. */
  quorumNetwork(
    platform: Pick<Platform, 'network' | 'clock' | 'random' | 'logger'>,
    ensemble: EnsembleConfig,
  ): Network {
    const network = this.#encrypted(platform.network)
    if (this.quorumSasl === null) return network
    const own = memberOf(ensemble, ensemble.sid)
    const isElectionPort = (host: string | null, port: number): boolean =>
      host === null
        ? own?.electionPort === port
        : ensemble.members.some((member) => member.host === host && member.electionPort === port)
    return new QuorumAuthNetwork(network, platform, this.quorumSasl, isElectionPort)
  }

  #encrypted(network: Network): Network {
    const tls = this.#quorumTls
    if (tls === null) return network
    const { sslQuorum, quorumTls } = this.config
    return new TlsNetwork(network, {
      listen: tls,
      connect: sslQuorum ? { ...tls, verifyHost: quorumTls.hostnameVerification } : null,
    })
  }
}

/** A file for the servers among themselves only needs no section for clients. */
function usersOfClients(jaas: JaasConfig | null, config: SecurityConfig): ReadonlyMap<string, string> | null {
  const { saslServerSection, saslSuperPassword, quorumSasl } = config
  if (jaas === null || (quorumSasl && !jaas.has(saslServerSection))) return null
  const users = usersOf(jaas, saslServerSection)
  return saslSuperPassword === null ? users : new Map([...users, ['super', saslSuperPassword]])
}

function quorumSaslOf(jaas: JaasConfig, config: SecurityConfig): QuorumSasl {
  return {
    users: usersOf(jaas, config.quorumServerSection),
    login: loginOf(jaas, config.quorumLearnerSection),
    required: config.quorumServerRequiresSasl,
    authenticates: config.quorumLearnerRequiresSasl,
  }
}

function listenOptions(files: FileSystem, config: TlsConfig, orPlain: boolean): TlsListenOptions {
  const { hostnameVerification, clientHostnameVerification, handshakeTimeoutMs } = config
  return {
    ...tlsOptions(files, config),
    clientCertificate: ({ need: 'required', want: 'wanted', none: 'none' } as const)[config.clientAuth],
    verifyClientHost: hostnameVerification && clientHostnameVerification,
    orPlain,
    handshakeTimeoutMs,
  }
}

function tlsOptions(files: FileSystem, config: TlsConfig): TlsOptions {
  const { keyStoreLocation, keyStoreType, trustStoreLocation, trustStoreType, protocol, enabledProtocols } = config
  const password = (text: string, path: string | null): string => (path === null ? text : readText(files, path).trim())
  const keyPassword = password(config.keyStorePassword, config.keyStorePasswordPath)
  const trustPassword = password(config.trustStorePassword, config.trustStorePasswordPath)
  const versions = enabledProtocols ?? { min: protocol ?? 'TLSv1.2', max: protocol ?? 'TLSv1.3' }
  return {
    identity: readIdentity(files, { location: keyStoreLocation!, password: keyPassword, type: keyStoreType }),
    authorities:
      trustStoreLocation === null
        ? null
        : readAuthorities(files, { location: trustStoreLocation, password: trustPassword, type: trustStoreType }),
    minVersion: versions.min,
    maxVersion: versions.max,
    ciphers: config.cipherSuites?.split(',').map((cipher) => cipher.trim()) ?? null,
  }
}

function readText(files: FileSystem, path: string): string {
  try {
    const bytes = files.readFile(path)
    return decodeUtf8(bytes, 0, bytes.length)
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause
    throw new ZooCfgError(`${path} cannot be read (${cause.code})`, { cause })
  }
}
