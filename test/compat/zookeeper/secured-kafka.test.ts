/** Apache Kafka's broker and ours on our ZooKeeper, which takes only who comes with TLS and a password. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { ZooKeeperClient } from '#zookeeper/client'

import { Ensemble, type Implementation, broker, freePort, until } from '../../peers/index.ts'
import { PASSWORD, USER, javaLogin, ownTls, samsaLogin, stores, writeLogins } from './secured.ts'

const platform = nodePlatform({ logLevel: 'error' })

for (const implementation of ['samsa', 'apache'] as const)
  test(`a broker of ${implementation} registers through TLS and with a password`, () => registers(implementation))

async function registers(implementation: Implementation): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-secured-'))
  const logins = writeLogins(directory)
  const port = await freePort()
  const ensemble = await Ensemble.start({
    servers: ['samsa'],
    properties: {
      ...samsaLogin(logins),
      ...stores('ssl.'),
      secureClientPort: port,
      secureClientPortAddress: '127.0.0.1',
      'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
      sessionRequireClientSASLAuth: true,
    },
  })
  const zookeeper = `localhost:${port}/secured`
  const storeKeys = Object.entries(stores('zookeeper.ssl.')).map(([key, value]) => [key.toLowerCase(), value])
  const properties = {
    'zookeeper.ssl.client.enable': true,
    'zookeeper.clientCnxnSocket': 'org.apache.zookeeper.ClientCnxnSocketNetty',
    ...(Object.fromEntries(storeKeys) as Record<string, string>),
  }
  const server = await broker({ implementation, directory, id: 1, zookeeper, properties })
  // Kafka's scripts hand KAFKA_OPTS to Java, which is started without them here.
  process.env['KAFKA_OPTS'] = process.env['JAVA_TOOL_OPTIONS'] = javaLogin(logins).join(' ')
  try {
    server.start()
    delete process.env['KAFKA_OPTS']
    delete process.env['JAVA_TOOL_OPTIONS']
    const sasl = { user: USER, password: PASSWORD }
    const tls = ownTls(platform.files)
    const client = await ZooKeeperClient.connect(platform, {
      connect: `localhost:${port}`,
      sessionTimeoutMs: 6000,
      tls,
      sasl,
    })
    const registration = await until(`${server.name} registers`, async () => {
      if (!server.running) throw new Error(`${server.name} has ended\n${server.log.slice(-3000)}`)
      return (await client.exists('/secured/brokers/ids/1')) ?? false
    })
    assert.notEqual(registration, false)
    await client.close()
  } finally {
    await server.kill()
    await ensemble.close()
    rmSync(directory, { recursive: true })
  }
}
