/**
 * The keys of `zoo.cfg` that say who may come in and how. Source: the administrator's guide ("Encryption, Authentication,
 * Authorization Options"), X509Util, ZooKeeperSaslServer, AuthenticationHelper, QuorumAuth.
 */
import { isDigestAlgorithm } from '#zookeeper/tree'
import type { TlsVersion } from '#platform'

import { choice, flag, integer, text, words, type Setting } from './setting.ts'
import { ZooCfgError } from './zoo-cfg-error.ts'

export const SECURITY_SETTINGS = {
  jaasFile: text(
    'java.security.auth.login.config',
    'The file with the passwords of SASL (JAAS): sections `Server`, `QuorumServer`, `QuorumLearner` with `DigestLoginModule`.',
    null,
  ),
  saslServerSection: text('sasl.serverconfig', 'The section of that file with the users of clients.', 'Server'),
  saslSuperPassword: text(
    'SASLAuthenticationProvider.superPassword',
    'The password of the SASL user `super`, instead of the one in the file.',
    null,
  ),
  letAnySaslUserDoX: text(
    'letAnySaslUserDoX',
    'A name in ACLs of the scheme sasl that stands for every user of it.',
    null,
  ),
  allowSaslFailedClients: flag(
    'allowSaslFailedClients',
    'Whether a client whose SASL exchange failed stays connected, as nobody.',
    false,
  ),
  requireSasl: flag('sessionRequireClientSASLAuth', 'Whether clients must authenticate by SASL.', false),
  enforceAuth: flag('enforce.auth.enabled', 'Whether clients must authenticate by one of the schemes below.', false),
  enforceAuthSchemes: words('enforce.auth.schemes', 'Schemes of which a client must show one.', []),
  digestEnabled: flag('DigestAuthenticationProvider.enabled', 'Whether there is the scheme digest.', true),
  digestAlgorithm: digestAlgorithm(),
  x509SuperUser: text(
    'X509AuthenticationProvider.superUser',
    'The subject of a certificate whose owner may do everything.',
    null,
  ),
  secureClientPort: integer('secureClientPort', 'The port for clients with TLS; 0 picks a free one.', {
    default: null,
    min: 0,
    max: 65535,
    follows: 'none',
  }),
  secureClientPortAddress: text('secureClientPortAddress', 'The address to listen on for clients with TLS.', '0.0.0.0'),
  portUnification: flag('client.portUnification', 'Whether clientPort takes clients with TLS, too.', false),
  sslAuthProvider: choice('ssl.authProvider', 'How certificates of clients become ids.', ['x509'], 'x509'),
  sslQuorum: flag('sslQuorum', 'Whether the servers speak TLS with each other.', false),
  quorumPortUnification: flag(
    'portUnification',
    'Whether quorum and election port take connections with and without TLS: while an ensemble changes over.',
    false,
  ),
  quorumSasl: flag('quorum.auth.enableSasl', 'Whether the servers authenticate each other by SASL.', false),
  quorumServerRequiresSasl: flag(
    'quorum.auth.serverRequireSasl',
    'Whether servers that do not authenticate are refused.',
    false,
  ),
  quorumLearnerRequiresSasl: flag(
    'quorum.auth.learnerRequireSasl',
    'Whether this server authenticates with those that it connects to.',
    false,
  ),
  quorumServerSection: text(
    'quorum.auth.server.saslLoginContext',
    'The section of the JAAS file with the users of servers.',
    'QuorumServer',
  ),
  quorumLearnerSection: text(
    'quorum.auth.learner.saslLoginContext',
    'The section of the JAAS file that says who this server is.',
    'QuorumLearner',
  ),
} as const

function digestAlgorithm(): Setting<string> {
  const key = 'DigestAuthenticationProvider.digestAlg'
  const read = (given: string | null): string => {
    const algorithm = given ?? 'SHA1'
    if (!isDigestAlgorithm(algorithm)) throw new ZooCfgError(`${key}=${algorithm}: there is no such digest`)
    return algorithm
  }
  return { key, default: 'SHA1', doc: 'The hash in ids of the scheme digest, as Java names it.', read }
}

/** `ssl.` for clients, `ssl.quorum.` for the servers among themselves. */
function tlsSettings<const Prefix extends 'ssl.' | 'ssl.quorum.'>(prefix: Prefix, verifiesClients: boolean) {
  const store = (name: 'keyStore' | 'trustStore', what: string) =>
    ({
      location: text(`${prefix}${name}.location`, `The file with ${what}: PEM or PKCS #12.`, null),
      password: text(`${prefix}${name}.password`, 'Its password.', ''),
      passwordPath: text(`${prefix}${name}.passwordPath`, 'A file with its password.', null),
      type: text(
        `${prefix}${name}.type`,
        'PEM or PKCS12; without it the ending of the file tells.',
        null,
        'by the ending',
      ),
    }) as const
  const key = store('keyStore', 'the own key and its certificates')
  const trust = store('trustStore', "the certificates that a peer's must lead up to")
  return {
    keyStoreLocation: key.location,
    keyStorePassword: key.password,
    keyStorePasswordPath: key.passwordPath,
    keyStoreType: key.type,
    trustStoreLocation: trust.location,
    trustStorePassword: trust.password,
    trustStorePasswordPath: trust.passwordPath,
    trustStoreType: trust.type,
    clientAuth: choice(
      `${prefix}clientAuth`,
      'Whether a client must, may or need not show a certificate.',
      ['need', 'want', 'none'],
      'need',
    ),
    protocol: tlsVersion(`${prefix}protocol`, 'The only version of TLS, unless enabledProtocols says more.'),
    enabledProtocols: tlsVersions(`${prefix}enabledProtocols`, 'Versions of TLS.'),
    cipherSuites: text(`${prefix}ciphersuites`, "Ciphers, by Java's names, between commas.", null, "the system's"),
    hostnameVerification: flag(
      `${prefix}hostnameVerification`,
      "Whether a certificate must name its owner's host.",
      true,
    ),
    clientHostnameVerification: flag(
      `${prefix}clientHostnameVerification`,
      'Whether that holds for who connects, too.',
      verifiesClients,
    ),
    handshakeTimeoutMs: integer(`${prefix}handshakeDetectionTimeoutMillis`, 'ms that a handshake may take.', {
      default: 5000,
      min: 1,
    }),
  } as const
}

export const CLIENT_TLS_SETTINGS = tlsSettings('ssl.', false)
export const QUORUM_TLS_SETTINGS = tlsSettings('ssl.quorum.', true)

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

function versionOf(key: string, name: string): TlsVersion {
  const version = TLS_VERSIONS.find((each) => each.toLowerCase() === name.trim().toLowerCase())
  if (version === undefined) throw new ZooCfgError(`${key}=${name} is not ${TLS_VERSIONS.join(' or ')}`)
  return version
}

function tlsVersion(key: string, doc: string): Setting<TlsVersion | null> {
  const read = (given: string | null): TlsVersion | null =>
    given === null || given.toUpperCase() === 'TLS' ? null : versionOf(key, given)
  return { key, default: 'TLSv1.2 and TLSv1.3', doc, read }
}

/** The lowest and the highest: what lies between two versions that are allowed is allowed, too. */
function tlsVersions(key: string, doc: string): Setting<{ min: TlsVersion; max: TlsVersion } | null> {
  const read = (given: string | null): { min: TlsVersion; max: TlsVersion } | null => {
    if (given === null) return null
    const ranks = given.split(',').map((name) => TLS_VERSIONS.indexOf(versionOf(key, name)))
    return { min: TLS_VERSIONS[Math.min(...ranks)]!, max: TLS_VERSIONS[Math.max(...ranks)]! }
  }
  return { key, default: 'as protocol', doc, read }
}
