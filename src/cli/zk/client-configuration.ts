/**
 * The file that zkCli takes as `-client-configuration`: TLS and SASL of a client, under Java's names.
 *
 *     zookeeper.client.secure=true
 *     zookeeper.ssl.trustStore.location=trust.pem     and keyStore; .password, .passwordPath, .type
 *     zookeeper.ssl.hostnameVerification=true
 *     java.security.auth.login.config=jaas.conf       the section that zookeeper.sasl.clientconfig names: Client
 *
 * The same properties are taken from `-Dname=value` in the variables CLIENT_JVMFLAGS and JVMFLAGS; the file wins. Source:
 * ZKClientConfig, ClientX509Util, zkCli.sh.
 */
import { readFileSync } from 'node:fs'

import type { FileSystem, TlsConnectOptions, TlsVersion } from '#platform'
import { JaasError, loginOf, parseJaas } from '#security/sasl'
import { KeyStoreError, readAuthorities, readIdentity, type StoreOptions } from '#security/tls'
import type { ZooKeeperOptions } from '#zookeeper/client'

import { UserError } from '../user-error.ts'

export type ClientSecurity = Pick<ZooKeeperOptions, 'tls' | 'sasl'>

type Properties = ReadonlyMap<string, string>

const TLS_VERSIONS: readonly string[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] satisfies TlsVersion[]

/** Throws `UserError` for a file that cannot be read or used. `file` null: the variables alone. */
export function clientSecurityOf(files: FileSystem, file: string | null, env: NodeJS.ProcessEnv): ClientSecurity {
  const flags = propertiesOfFlags([env['JVMFLAGS'], env['CLIENT_JVMFLAGS']].join(' '))
  const properties = new Map([...flags, ...(file === null ? [] : parseProperties(readText(file)))])
  try {
    const tls = tlsOf(files, properties)
    const sasl = saslOf(properties)
    return { ...(tls !== null && { tls }), ...(sasl !== null && { sasl }) }
  } catch (error) {
    if (error instanceof KeyStoreError || error instanceof JaasError)
      throw new UserError(error.message, { cause: error })
    throw error
  }
}

function tlsOf(files: FileSystem, properties: Properties): TlsConnectOptions | null {
  if (!flagOf(properties, 'zookeeper.client.secure', false)) return null
  const key = storeOf(properties, 'zookeeper.ssl.keyStore')
  const trust = storeOf(properties, 'zookeeper.ssl.trustStore')
  const versions = versionsOf(properties)
  return {
    identity: key === null ? null : readIdentity(files, key),
    authorities: trust === null ? null : readAuthorities(files, trust),
    minVersion: versions[0]!,
    maxVersion: versions.at(-1)!,
    ciphers: listOf(properties, 'zookeeper.ssl.ciphersuites'),
    verifyHost: flagOf(properties, 'zookeeper.ssl.hostnameVerification', true),
  }
}

function storeOf(properties: Properties, name: string): StoreOptions | null {
  const location = properties.get(`${name}.location`)
  if (location === undefined || location === '') return null
  const passwordPath = properties.get(`${name}.passwordPath`)
  const password = passwordPath === undefined ? properties.get(`${name}.password`) : readText(passwordPath).trim()
  return { location, password: password ?? '', type: properties.get(`${name}.type`) ?? null }
}

/** Ascending; what lies between two of them is spoken, too. */
function versionsOf(properties: Properties): TlsVersion[] {
  const named = listOf(properties, 'zookeeper.ssl.enabledProtocols') ?? listOf(properties, 'zookeeper.ssl.protocol')
  const versions = named?.filter((name) => name !== 'TLS') ?? []
  const unknown = versions.find((name) => !TLS_VERSIONS.includes(name))
  if (unknown !== undefined) throw new UserError(`"${unknown}" is no version of TLS: ${TLS_VERSIONS.join(', ')}`)
  return (versions.length > 0 ? versions.sort() : ['TLSv1.2', 'TLSv1.3']) as TlsVersion[]
}

function saslOf(properties: Properties): { user: string; password: string } | null {
  const file = properties.get('java.security.auth.login.config')
  if (file === undefined || !flagOf(properties, 'zookeeper.sasl.client', true)) return null
  const section = properties.get('zookeeper.sasl.clientconfig') ?? 'Client'
  const config = parseJaas(readText(file))
  return config.has(section) ? loginOf(config, section) : null
}

function flagOf(properties: Properties, name: string, otherwise: boolean): boolean {
  const text = properties.get(name)
  return text === undefined ? otherwise : text.toLowerCase() === 'true'
}

function listOf(properties: Properties, name: string): string[] | null {
  const text = properties.get(name)
  return text === undefined || text === '' ? null : text.split(',').map((part) => part.trim())
}

function parseProperties(text: string): [string, string][] {
  return text.split('\n').flatMap((line): [string, string][] => {
    const match = /^\s*(?<name>[^#!=:\s][^=:\s]*)\s*[=:]\s*(?<value>.*?)\s*$/.exec(line)?.groups
    return match === undefined ? [] : [[match['name']!, match['value']!]]
  })
}

function propertiesOfFlags(flags: string): [string, string][] {
  return Array.from(flags.matchAll(/(?:^|\s)-D([^=\s]+)=(?:"([^"]*)"|(\S*))/g), ([, name, quoted, plain]) => [
    name!,
    quoted ?? plain!,
  ])
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UserError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}): name an existing file`)
  }
}
