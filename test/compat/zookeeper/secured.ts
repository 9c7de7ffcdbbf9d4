/** What both kinds of servers need to be secured: files with users, and the stores of the tests. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { readAuthorities, readIdentity } from '#security/tls'
import type { FileSystem, TlsConnectOptions } from '#platform'

import type { Properties } from '../../peers/servers.ts'

const STORES = join(import.meta.dirname, '../../../src/security/tls/testdata')
const MODULE = 'org.apache.zookeeper.server.auth.DigestLoginModule required'

export const USER = 'alice'
/** Beyond ASCII and within ISO 8859-1, where Java's two ways of writing text differ. */
export const PASSWORD = 'wonderland é'

export const STRANGER = join(STORES, 'stranger.pem')

/** A login configuration for servers and clients alike; its path. */
export function writeLogins(directory: string, password = PASSWORD): string {
  const path = join(directory, `${password === PASSWORD ? 'right' : 'wrong'}.jaas`)
  writeFileSync(
    path,
    `Server { ${MODULE} user_${USER}="${password}"; };
     Client { ${MODULE} username="${USER}" password="${password}"; };
     QuorumServer { ${MODULE} user_zk="${password}"; };
     QuorumLearner { ${MODULE} username="zk" password="${password}"; };`,
  )
  return path
}

/** Java takes the file by its command line only; Samsa as a key of `zoo.cfg`, too. DIGEST-MD5 wants the last one. */
export function javaLogin(path: string): string[] {
  return [`-Djava.security.auth.login.config=${path}`, '-Dfile.encoding=UTF-8', '-Dzookeeper.fips-mode=false']
}

export function samsaLogin(path: string): Properties {
  return { 'java.security.auth.login.config': path }
}

/** Key and trust stores, under `ssl.` or `ssl.quorum.`. */
export function stores(prefix: string): Properties {
  return {
    [`${prefix}keyStore.location`]: join(STORES, 'server.p12'),
    [`${prefix}keyStore.password`]: 'secret',
    [`${prefix}trustStore.location`]: join(STORES, 'trust.p12'),
    [`${prefix}trustStore.password`]: 'secret',
  }
}

/** A Java client that shows the certificate of the tests' client. */
export function javaTls(keyStore = join(STORES, 'client-3des.p12')): string[] {
  return [
    '-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty',
    '-Dzookeeper.client.secure=true',
    ...Object.entries({ ...stores('ssl.'), 'ssl.keyStore.location': keyStore }).map(
      ([key, value]) => `-Dzookeeper.${key}=${value}`,
    ),
  ]
}

/** The same for our client. */
export function ownTls(files: FileSystem): TlsConnectOptions {
  const store = (name: string): Parameters<typeof readIdentity>[1] => ({
    location: join(STORES, name),
    password: 'secret',
    type: null,
  })
  return {
    identity: readIdentity(files, store('client.pem')),
    authorities: readAuthorities(files, store('trust.p12')),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: null,
    verifyHost: true,
  }
}
