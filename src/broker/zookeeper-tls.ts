/** How ZooKeeper is reached through TLS, as `zookeeper.ssl.…` says. Source: KafkaServer.zkClientConfigFromKafkaConfig. */
import type { FileSystem, TlsConnectOptions, TlsVersion } from '#platform'
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
