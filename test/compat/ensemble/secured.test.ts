/** Servers of both kinds in one ensemble that speak TLS with each other, or authenticate each other by SASL. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { CreateMode, OPEN_ACL, Perms, ZooKeeperClient, type SaslLogin } from '#zookeeper/client'

import { Ensemble, type EnsembleOptions, type EnsembleServer, type Implementation, until } from '../../peers/index.ts'
import { PASSWORD, STRANGER, USER, javaLogin, samsaLogin, stores, writeLogins } from '../zookeeper/secured.ts'

const platform = nodePlatform({ logLevel: 'error' })
const MIXED: readonly Implementation[] = ['samsa', 'apache', 'samsa']

const TLS: EnsembleOptions = { servers: MIXED, properties: { sslQuorum: true, ...stores('ssl.quorum.') } }

test('TLS on quorum and election ports', () => shared(TLS))

test('an ensemble changes over to TLS while it serves', async () => {
  const ensemble = await Ensemble.start({ servers: MIXED, properties: stores('ssl.quorum.') })
  try {
    for (const lines of ['portUnification=true', 'portUnification=true\nsslQuorum=true', 'sslQuorum=true'])
      for (const server of ensemble.servers) {
        await server.stop()
        configure(server, (zooCfg) => `${zooCfg.replaceAll(/^(?:portUnification|sslQuorum)=.*\n/gm, '')}${lines}\n`)
        server.start()
        await ensemble.ready()
        await at(
          server.address,
          async (client) => void (await client.create('/step-', null, { mode: CreateMode.persistentSequential })),
        )
      }
    await at(ensemble.connect, async (client) => assert.equal((await client.getChildren('/')).children.length, 10))
  } finally {
    await ensemble.close()
  }
})

test('a server whose certificate nobody signed stays outside', () =>
  outside(
    TLS,
    (zooCfg) => zooCfg.replace(/(ssl\.quorum\.keyStore\.location)=.*/, `$1=${STRANGER}`),
    /a connection was refused: its certificate is not believed/,
  ))

test('SASL between the servers, required on both sides, and of clients', () =>
  withLogins((options) => shared(options, { user: USER, password: PASSWORD })))

test('a server with another password stays outside', () =>
  withLogins((sasl, wrong) =>
    outside(
      sasl,
      (zooCfg) => zooCfg.replace(/(java\.security\.auth\.login\.config)=.*/, `$1=${wrong}`),
      /is no server of this ensemble: the password of "zk" is wrong/,
    ),
  ))

async function withLogins(run: (sasl: EnsembleOptions, wrongLogins: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-secured-'))
  try {
    const logins = writeLogins(directory)
    const properties = {
      ...samsaLogin(logins),
      'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
      'quorum.auth.enableSasl': true,
      'quorum.auth.learnerRequireSasl': true,
      'quorum.auth.serverRequireSasl': true,
    }
    await run({ servers: MIXED, jvm: javaLogin(logins), properties }, writeLogins(directory, 'looking-glass'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The third server, with its configuration changed, is refused by the first, and the other two do without it. */
async function outside(options: EnsembleOptions, change: (zooCfg: string) => string, refused: RegExp): Promise<void> {
  const ensemble = await Ensemble.prepare(options)
  try {
    const [first, second, third] = ensemble.servers as [EnsembleServer, EnsembleServer, EnsembleServer]
    configure(third, change)
    third.start()
    first.start()
    await until('the third is refused', () => Promise.resolve(refused.test(first.log)), 30_000)
    second.start()
    await first.serving()
    await second.serving()
    await at(first.address, async (client) => void (await client.create('/without', null)))
    assert.equal(await third.mode(), null)
  } finally {
    await ensemble.close()
  }
}

function configure(server: EnsembleServer, change: (zooCfg: string) => string): void {
  const file = join(server.directory, 'zoo.cfg')
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

/** Each server sees what was written at each, before and after the loss of the leader. */
async function shared(options: EnsembleOptions, sasl?: SaslLogin): Promise<void> {
  const ensemble = await Ensemble.start(options)
  try {
    await writeAtEach(ensemble, 'first', sasl)
    const lost = await ensemble.killLeader()
    await ensemble.ready()
    await writeAtEach(ensemble, 'second', sasl)
    lost.start()
    await ensemble.ready()
    await writeAtEach(ensemble, 'third', sasl)
  } finally {
    await ensemble.close()
  }
}

async function writeAtEach({ running }: Ensemble, name: string, sasl?: SaslLogin): Promise<void> {
  const acl = sasl === undefined ? OPEN_ACL : [{ perms: Perms.ALL, id: { scheme: 'auth', id: '' } }]
  const written: string[] = []
  for (const server of running) {
    const path = `/${name}-${server.id}`
    await at(server.address, async (client) => void (await client.create(path, Buffer.from(name), { acl })), sasl)
    written.push(path)
  }
  for (const server of running)
    for (const login of sasl === undefined ? [undefined] : [sasl, undefined])
      await at(
        server.address,
        async (client) => {
          await client.sync('/')
          for (const path of written)
            assert.equal(await textOf(client, path), login === sasl ? name : `NOAUTH (${path})`)
        },
        login,
      )
}

async function textOf(client: ZooKeeperClient, path: string): Promise<string> {
  return await client.getData(path).then(
    ({ data }) => String(Buffer.from(data!)),
    (error: Error) => error.message,
  )
}

async function at(connect: string, run: (client: ZooKeeperClient) => Promise<void>, sasl?: SaslLogin): Promise<void> {
  const options = { connect, sessionTimeoutMs: 10_000, ...(sasl !== undefined && { sasl }) }
  const client = await ZooKeeperClient.connect(platform, options)
  try {
    await run(client)
  } finally {
    await client.close()
  }
}
