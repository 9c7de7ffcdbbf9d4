/** Servers of both kinds in one ensemble that speak TLS with each other, or authenticate each other by SASL. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { ZooKeeperClient } from '#zookeeper/client'

import { Ensemble, type EnsembleOptions, type EnsembleServer, type Implementation, until } from '../../peers/index.ts'
import { STRANGER, javaLogin, samsaLogin, stores, writeLogins } from '../zookeeper/secured.ts'

const platform = nodePlatform({ logLevel: 'error' })
const MIXED: readonly Implementation[] = ['samsa', 'apache', 'samsa']

const TLS: EnsembleOptions = { servers: MIXED, properties: { sslQuorum: true, ...stores('ssl.quorum.') } }

test('TLS on quorum and election ports', () => shared(TLS))

test('a server whose certificate nobody signed stays outside', () =>
  outside(
    TLS,
    (zooCfg) => zooCfg.replace(/(ssl\.quorum\.keyStore\.location)=.*/, `$1=${STRANGER}`),
    /a connection was refused: its certificate is not believed/,
  ))

test('SASL between the servers, required on both sides', () => withLogins((sasl) => shared(sasl)))

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
    const file = join(third.directory, 'zoo.cfg')
    writeFileSync(file, change(readFileSync(file, 'utf8')))
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

/** Each server sees what was written at each, before and after the loss of the leader. */
async function shared(options: EnsembleOptions): Promise<void> {
  const ensemble = await Ensemble.start(options)
  try {
    await writeAtEach(ensemble, 'first')
    const lost = await ensemble.killLeader()
    await ensemble.ready()
    await writeAtEach(ensemble, 'second')
    lost.start()
    await ensemble.ready()
    await writeAtEach(ensemble, 'third')
  } finally {
    await ensemble.close()
  }
}

async function writeAtEach({ running }: Ensemble, name: string): Promise<void> {
  const written: string[] = []
  for (const server of running) {
    const path = `/${name}-${server.id}`
    await at(server.address, async (client) => void (await client.create(path, Buffer.from(name))))
    written.push(path)
  }
  for (const server of running)
    await at(server.address, async (client) => {
      await client.sync('/')
      for (const path of written) assert.equal(String(Buffer.from((await client.getData(path)).data!)), name)
    })
}

async function at(connect: string, run: (client: ZooKeeperClient) => Promise<void>): Promise<void> {
  const client = await ZooKeeperClient.connect(platform, { connect, sessionTimeoutMs: 10_000 })
  try {
    await run(client)
  } finally {
    await client.close()
  }
}
