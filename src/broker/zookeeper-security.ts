/**
 * How ZooKeeper is reached: through TLS, as `zookeeper.ssl.…` says, and as whom, as the login configuration says that `KAFKA_OPTS`
 * names. Source: KafkaServer.zkClientConfigFromKafkaConfig, JaasUtils.isZkSaslEnabled.
 */
import { decodeUtf8 } from '#base'
import { FileError, type FileSystem, type TlsConnectOptions, type TlsVersion } from '#platform'
import { JaasError, loginOf, parseJaas } from '#security/sasl'
import { KeyStoreError, readAuthorities, readIdentity } from '#security/tls'

import { ConfigError, type BrokerConfig } from './config/index.ts'

/** Null: in the clear. Throws `ConfigError` where a store cannot be used. */
export function zooKeeperTlsOf(files: FileSystem, config: BrokerConfig): TlsConnectOptions | null {
  if (!config.zookeeperSslClientEnable) return null
  try {
    return tlsOptions(files, config)
  } catch (cause) {
    if (!(cause instanceof KeyStoreError)) throw cause
    throw new ConfigError(`zookeeper.ssl: ${cause.message}`, { cause })
  }
}

/** Null: as nobody. Throws `ConfigError` where the file cannot be used. */
export function zooKeeperLoginOf(
  files: FileSystem,
  { texts: { javaOptions } }: BrokerConfig,
): { user: string; password: string } | null {
  const path = javaProperty(javaOptions, 'java.security.auth.login.config')
  if (path === null || javaProperty(javaOptions, 'zookeeper.sasl.client') === 'false') return null
  const section = javaProperty(javaOptions, 'zookeeper.sasl.clientconfig')
  try {
    const bytes = files.readFile(path)
    const jaas = parseJaas(decodeUtf8(bytes, 0, bytes.length))
    // A file for Kafka's own listeners only has no section for ZooKeeper.
    if (section === null && !jaas.has('Client')) return null
    return loginOf(jaas, section ?? 'Client')
  } catch (cause) {
    if (cause instanceof JaasError) throw new ConfigError(`${path}: ${cause.message}`, { cause })
    if (cause instanceof FileError) throw new ConfigError(`${path} cannot be read (${cause.code})`, { cause })
    throw cause
  }
}

/** The value of `-Dname=value`; the last one counts. */
function javaProperty(options: string, name: string): string | null {
  const words = options.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []
  const found = words.map((word) => word.replaceAll(/["']/g, '')).findLast((word) => word.startsWith(`-D${name}=`))
  return found?.slice(name.length + 3) ?? null
}

function tlsOptions(files: FileSystem, config: BrokerConfig): TlsConnectOptions {
  const { zookeeperSslKeystoreLocation: keyStore, zookeeperSslTruststoreLocation: trustStore } = config
  const versions = (config.zookeeperSslEnabledProtocols ?? [config.zookeeperSslProtocol]).sort() as TlsVersion[]
  const identity = {
    location: keyStore ?? '',
    password: config.zookeeperSslKeystorePassword ?? '',
    type: config.zookeeperSslKeystoreType,
  }
  const authorities = {
    location: trustStore ?? '',
    password: config.zookeeperSslTruststorePassword ?? '',
    type: config.zookeeperSslTruststoreType,
  }
  return {
    identity: keyStore === null ? null : readIdentity(files, identity),
    authorities: trustStore === null ? null : readAuthorities(files, authorities),
    minVersion: versions[0]!,
    maxVersion: versions.at(-1)!,
    ciphers: config.zookeeperSslCipherSuites,
    verifyHost: config.zookeeperSslEndpointIdentificationAlgorithm.toLowerCase() === 'https',
  }
}
