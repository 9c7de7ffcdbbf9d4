/** The package as people get it: built, packed, installed into an empty folder, and run. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

/** Every public door, and a cluster in the program's own process. */
const USE_OF_THE_DOORS = `
import { EmbeddedCluster, nodePlatform } from 'samsa'
import { Broker } from 'samsa/broker'
import { Admin } from 'samsa/client'
import { ZooKeeperServer } from 'samsa/zookeeper'

const platform = nodePlatform({ logLevel: 'error' })
const cluster = await EmbeddedCluster.start(platform, {
  brokers: 3, dataDirectory: 'data', host: '127.0.0.1', brokerPorts: [0, 0, 0], zookeeperPort: 0, overrides: {},
})
const admin = new Admin(platform, { bootstrapServers: cluster.bootstrapServers })
await admin.createTopics([{ name: 't', partitions: 1, replicationFactor: 3 }])
const [topic] = await admin.describeTopics(['t'])
await admin.close()
await cluster.close()
if (!(cluster.zookeeper instanceof ZooKeeperServer) || !(cluster.brokers[0] instanceof Broker)) process.exitCode = 1
console.log(topic.partitions[0].replicas.length + ' brokers')
`

test('the package builds, packs, installs and runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'samsa-package-'))
  const run = (command: string, args: string[], cwd: string): string =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    run(process.execPath, ['tools/build.ts'], ROOT)
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], ROOT)) as [
      { filename: string; files: { path: string }[] },
    ]
    assert.deepEqual(
      packed.files.map(({ path }) => path).filter((path) => /\.test\.|(?<!\.d)\.ts$/.test(path)),
      [],
      'neither sources nor tests are in the package',
    )
    writeFileSync(join(folder, 'package.json'), '{}')
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, packed.filename)], folder)
    const help = run(process.execPath, ['node_modules/.bin/samsa', '--help'], folder)
    assert.match(help, /samsa up/)
    writeFileSync(join(folder, 'doors.mjs'), USE_OF_THE_DOORS)
    assert.equal(run(process.execPath, ['doors.mjs'], folder), '3 brokers\n')
    const { bin } = JSON.parse(readFileSync(join(folder, 'node_modules/samsa/package.json'), 'utf8')) as {
      bin: { samsa: string }
    }
    assert.match(bin.samsa, /^(\.\/)?dist\//)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
