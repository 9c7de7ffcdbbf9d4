/** What the security keys of a `zoo.cfg` come to, before any file that they name is read. */
import type { ConfigOf, SettingTable } from './setting.ts'
import { CLIENT_TLS_SETTINGS, QUORUM_TLS_SETTINGS, SECURITY_SETTINGS } from './security-settings.ts'
import { ZooCfgError } from './zoo-cfg-error.ts'

export type TlsConfig = ConfigOf<typeof CLIENT_TLS_SETTINGS>

export interface SecurityConfig extends Omit<
  ConfigOf<typeof SECURITY_SETTINGS>,
  'requireSasl' | 'enforceAuth' | 'enforceAuthSchemes' | 'digestEnabled'
> {
  /** Of ids and ACLs, besides world and auth: digest, ip, sasl, x509. */
  readonly schemes: ReadonlySet<string>
  /** A client must show one of them before it may ask for anything; null: it need not. */
  readonly enforcedSchemes: ReadonlySet<string> | null
  /** SASL users that may do everything. */
  readonly saslSuperUsers: ReadonlySet<string>
  readonly clientTls: TlsConfig
  readonly quorumTls: TlsConfig
}

/** The file's keys, for those who read them. */
interface KeyReader {
  table<Table extends SettingTable>(table: Table): ConfigOf<Table>
  /** The values of all keys that the pattern fits. */
  family(pattern: RegExp): string[]
}

const PROVIDERS: Readonly<Record<string, string>> = {
  SASLAuthenticationProvider: 'sasl',
  X509AuthenticationProvider: 'x509',
  DigestAuthenticationProvider: 'digest',
  IPAuthenticationProvider: 'ip',
}

/** Throws `ZooCfgError`. */
export function securityConfigOf(values: KeyReader): SecurityConfig {
  const { requireSasl, enforceAuth, enforceAuthSchemes, digestEnabled, ...rest } = values.table(SECURITY_SETTINGS)
  const schemes = new Set(['ip', ...(digestEnabled ? ['digest'] : [])])
  for (const provider of values.family(/^authProvider\./)) schemes.add(schemeOf(provider))
  if (rest.secureClientPort !== null || rest.portUnification) schemes.add('x509')
  const config: SecurityConfig = {
    ...rest,
    schemes,
    enforcedSchemes: requireSasl ? new Set(['sasl']) : enforceAuth ? enforceAuthSchemes : null,
    saslSuperUsers: new Set(values.family(/^superUser(?:\.|$)/)),
    clientTls: values.table(CLIENT_TLS_SETTINGS),
    quorumTls: values.table(QUORUM_TLS_SETTINGS),
  }
  check(config)
  return config
}

/** A provider of one's own is a Java class that people run instead of Apache's. */
function schemeOf(provider: string): string {
  const scheme = PROVIDERS[provider.split('.').at(-1)!]
  if (scheme === undefined)
    throw new ZooCfgError(`authProvider ${provider} is not carried out: there are ${Object.keys(PROVIDERS).join(', ')}`)
  return scheme
}

function check(config: SecurityConfig): void {
  const { enforcedSchemes, schemes } = config
  if (enforcedSchemes?.size === 0) throw new ZooCfgError('enforce.auth.enabled=true wants enforce.auth.schemes')
  for (const scheme of enforcedSchemes ?? [])
    if (!schemes.has(scheme))
      throw new ZooCfgError(
        `clients must authenticate by ${scheme}, and that scheme is not there: add authProvider.${scheme} with the class of its provider`,
      )
  if (enforcedSchemes?.has('sasl') === true && config.jaasFile === null)
    throw new ZooCfgError(
      'clients must authenticate by SASL, and java.security.auth.login.config names no file with users',
    )
  if ((config.secureClientPort !== null || config.portUnification) && config.clientTls.keyStoreLocation === null)
    throw new ZooCfgError('ssl.keyStore.location is missing: a port with TLS wants a key')
  if ((config.sslQuorum || config.quorumPortUnification) && config.quorumTls.keyStoreLocation === null)
    throw new ZooCfgError('ssl.quorum.keyStore.location is missing: TLS between servers wants a key')
  checkQuorumSasl(config)
}

/** Source: QuorumPeerConfig.parseProperties. */
function checkQuorumSasl(config: SecurityConfig): void {
  const { quorumSasl, quorumServerRequiresSasl, quorumLearnerRequiresSasl, jaasFile } = config
  if (!quorumSasl && (quorumServerRequiresSasl || quorumLearnerRequiresSasl))
    throw new ZooCfgError('quorum.auth.serverRequireSasl and learnerRequireSasl want quorum.auth.enableSasl=true')
  if (quorumServerRequiresSasl && !quorumLearnerRequiresSasl)
    throw new ZooCfgError('quorum.auth.serverRequireSasl=true wants quorum.auth.learnerRequireSasl=true')
  if (quorumSasl && jaasFile === null)
    throw new ZooCfgError('quorum.auth.enableSasl=true, and java.security.auth.login.config names no file with users')
}
