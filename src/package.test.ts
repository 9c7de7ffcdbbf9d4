/** The package as people get it: built, packed, installed into an empty folder, and run. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

/** Every public door, as a program uses it: checked by the compiler, and run with its types taken away. */
const USE_OF_THE_DOORS = `
import { EmbeddedCluster, nodePlatform } from 'samsa'
import { Broker, startBroker } from 'samsa/broker'
import { Admin, Consumer, Producer, type ConsumerRecord, type ProducerOptions } from 'samsa/client'
import { simulateCluster, startCluster, type TestCluster } from 'samsa/testing'
import { ZooKeeperServer, startZooKeeper } from 'samsa/zookeeper'

async function first(consumer: Consumer): Promise<string> {
  let found: ConsumerRecord | null = null
  for await (const record of consumer) {
    found = record
    break
  }
  return new TextDecoder().decode(found?.value ?? undefined)
}

async function inOneProcess(): Promise<string> {
  const cluster = await EmbeddedCluster.start(nodePlatform({ logLevel: 'error' }), {
    brokers: 3, dataDirectory: 'data', host: '127.0.0.1', brokerPorts: [0, 0, 0], zookeeperPort: 0, overrides: {},
  })
  await using admin = new Admin({ 'bootstrap.servers': cluster.bootstrapServers })
  await admin.createTopics([{ name: 't', partitions: 1, replicationFactor: 3 }])
  const [topic] = await admin.describeTopics(['t'])
  const isOurs = cluster.zookeeper instanceof ZooKeeperServer && cluster.brokers[0] instanceof Broker
  await cluster.close()
  return isOurs ? \`\${topic?.partitions[0]?.replicas.length} brokers\` : 'strangers'
}

async function oneByOne(): Promise<string> {
  const zookeeper = await startZooKeeper('dataDir=zk\\nclientPort=0\\nclientPortAddress=127.0.0.1\\nadmin.enableServer=false')
  const broker = await startBroker(
    \`broker.id=5\\nlisteners=PLAINTEXT://127.0.0.1:0\\nlog.dirs=logs\\nzookeeper.connect=127.0.0.1:\${zookeeper.port}\`,
  )
  const { brokerId } = broker
  await broker.close()
  await zookeeper.close()
  return \`broker \${brokerId}\`
}

async function inTests(cluster: TestCluster): Promise<string> {
  const options: ProducerOptions = { bootstrapServers: cluster.bootstrapServers, 'linger.ms': '1' }
  await using producer: Producer = new Producer(options, cluster.platform)
  await producer.send('t', { key: 'k', value: 'a record' })
  await using own: Consumer = cluster.consumer({ autoOffsetReset: 'earliest' })
  own.assign([{ topic: 't', partition: 0 }])
  return await first(own)
}

{
  await using cluster = await startCluster({ brokers: 2, topics: ['t'] })
  console.log(await inTests(cluster))
}
{
  await using cluster = await simulateCluster({ seed: 5, topics: ['t'] })
  console.log(await cluster.run(async () => {
    const producer = new Producer({ bootstrapServers: cluster.bootstrapServers }, cluster.platform)
    await producer.send('t', { value: 'virtual' })
    await producer.close()
    const consumer = cluster.consumer({ 'autoOffsetReset': 'earliest' })
    consumer.assign([{ topic: 't', partition: 0 }])
    return first(consumer)
  }))
}
console.log(await inOneProcess())
console.log(await oneByOne())
`

/** What the compiler must refuse. */
const MISUSE = `
import { Producer } from 'samsa/client'
import { startCluster } from 'samsa/testing'
new Producer({ lingerMs: 5 })
new Producer({ bootstrapServers: 'h:1', lingerMss: 5 })
new Producer({ bootstrapServers: 'h:1', acks: 'most' })
await startCluster({ broker: 3 })
`

const TSCONFIG = {
  compilerOptions: {
    strict: true,
    target: 'esnext',
    module: 'nodenext',
    lib: ['esnext'],
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    noEmit: true,
    erasableSyntaxOnly: true,
  },
}

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
    writeFileSync(join(folder, 'doors.mts'), USE_OF_THE_DOORS)
    writeFileSync(join(folder, 'misuse.mts'), MISUSE)
    const examples = examplesOf('docs/testing.md').map((text, index) => {
      writeFileSync(join(folder, `example-${index}.mts`), text)
      return `example-${index}.mts`
    })
    assert.equal(examples.length, 3)
    const projects = { doors: ['doors.mts', ...examples], misuse: ['misuse.mts'] }
    for (const [name, files] of Object.entries(projects))
      writeFileSync(join(folder, `${name}.json`), JSON.stringify({ ...TSCONFIG, files }))
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    run(tsc, ['-p', 'doors.json'], folder)
    const { stdout: complaints } = spawnSync(tsc, ['-p', 'misuse.json', '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
    })
    assert.deepEqual(
      Array.from(complaints.matchAll(/^misuse\.mts\((\d+),/gm), ([, line]) => Number(line)),
      [4, 5, 6, 7],
      complaints,
    )
    assert.equal(run(process.execPath, ['doors.mts'], folder), 'a record\nvirtual\n3 brokers\nbroker 5\n')
    for (const example of examples) run(process.execPath, [example], folder)
    const { bin } = JSON.parse(readFileSync(join(folder, 'node_modules/samsa/package.json'), 'utf8')) as {
      bin: { samsa: string }
    }
    assert.match(bin.samsa, /^(\.\/)?dist\//)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

/** The programs of a page, which people will paste. */
function examplesOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return Array.from(text.matchAll(/^```ts\n(.*?)^```/gms), ([, program]) => program!)
}
