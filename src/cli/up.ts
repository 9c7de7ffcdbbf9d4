/** `samsa up`: a whole cluster in this process. */
import { existsSync, readdirSync } from 'node:fs'

import { Admin } from '#client'
import { EmbeddedCluster } from '#embedded'
import { type Platform, sleep } from '#platform'
import { nodePlatform } from '#platform/node'

import { LoopWatch } from './loop-watch.ts'
import { stopRequested } from './stop.ts'
import { UserError, parseAssignments } from './user-error.ts'

export interface UpOptions {
  brokers: number
  zookeepers: number
  data: string
  /** Port of the first broker; undefined where people expect a cluster: brokers from 9092 on, ZooKeeper from 2181 on. */
  port?: number
  override?: string[]
}

const HOST = '127.0.0.1'
const DEFAULT_BROKER_PORT = 9092
const DEFAULT_ZOOKEEPER_PORT = 2181
/** How one calls the command: in a checkout, where the sources run, or installed. */
const SAMSA = import.meta.filename.endsWith('.ts') ? 'npm run -s samsa --' : 'samsa'
/** Between two looks at whether the cluster is complete. */
const POLL_INTERVAL_MS = 5

export async function up(options: UpOptions): Promise<void> {
  const platform = nodePlatform({ logLevel: 'warn' })
  const firstPort = options.port ?? DEFAULT_BROKER_PORT
  if (firstPort + options.brokers > 65_536)
    throw new UserError(`--port ${firstPort}: the last broker's port would be over 65535`)
  if (options.port !== undefined && options.port <= options.zookeepers)
    throw new UserError(`--port ${firstPort}: there is no room for ${options.zookeepers} ZooKeeper ports before it`)
  refuseOtherEnsemble(options)
  const layout = {
    brokers: options.brokers,
    zookeepers: options.zookeepers,
    dataDirectory: options.data,
    host: HOST,
    brokerPorts: Array.from({ length: options.brokers }, (_, index) => firstPort + index),
    zookeeperPort: options.port === undefined ? DEFAULT_ZOOKEEPER_PORT : options.port - options.zookeepers,
    overrides: parseAssignments('--override', options.override),
  }
  const cluster = await EmbeddedCluster.start(platform, layout, nodePlatform({ logLevel: 'warn' }))
  const stop = stopRequested()
  process.stdout.write(await welcome(platform, cluster, options))
  const loop = new LoopWatch()
  // ZooKeeper stops by itself when its log cannot be written, a broker when it has no log directory left, and has said so then.
  const signal = await Promise.race([
    stop,
    cluster.zookeeperLost.then(() => null),
    cluster.brokersGone.then(() => null),
  ])
  process.stdout.write(`\nStopping. The longest turn of the loop took at most ${loop.longestTurnMs().toFixed(0)} ms.\n`)
  await cluster.close()
  if (signal === null) process.exitCode = 1
}

/** Servers without the data of the others could outvote them, and all of it would be gone. */
function refuseOtherEnsemble({ data, zookeepers }: UpOptions): void {
  const wanted =
    zookeepers === 1 ? ['zookeeper'] : Array.from({ length: zookeepers }, (_, index) => `zookeeper-${index + 1}`)
  const found = existsSync(data) ? readdirSync(data).filter((name) => /^zookeeper(?:-\d+)?$/.test(name)) : []
  if (found.every((name) => wanted.includes(name))) return
  throw new UserError(
    `${data} has the data of ${found.length === 1 ? 'one ZooKeeper server' : `${found.length} ZooKeeper servers`}: ` +
      `start it with --zookeepers ${found.length}, or name another --data`,
  )
}

async function welcome(platform: Platform, cluster: EmbeddedCluster, options: UpOptions): Promise<string> {
  const controllerId = await controllerOf(platform, cluster)
  const port = cluster.brokers[0]!.boundPort
  const target = port === DEFAULT_BROKER_PORT ? '' : ` -b ${HOST}:${port}`
  const lines = [
    ...cluster.zookeepers.map(({ port: zookeeperPort }, index) => {
      const name = cluster.zookeepers.length === 1 ? 'ZooKeeper' : `ZooKeeper ${index + 1}`
      return `${name.padEnd(11)} ${HOST}:${zookeeperPort}`
    }),
    ...cluster.brokers.map(
      (broker) =>
        `Broker ${broker.brokerId}    ${HOST}:${broker.boundPort}${broker.brokerId === controllerId ? '   controller' : ''}`,
    ),
    `Data        ${options.data}`,
    '',
    'Try next, in another terminal:',
    `  ${SAMSA} topics create hello --partitions 3${target}`,
    `  ${SAMSA} topics describe hello${target}`,
    `  echo 'hello, samsa' | ${SAMSA} produce hello${target}`,
    `  ${SAMSA} consume hello -e${target}`,
    `  ${SAMSA} cluster describe${target}`,
    `  ${SAMSA} zk${cluster.zookeeper.port === DEFAULT_ZOOKEEPER_PORT ? '' : ` -s ${cluster.zookeeperConnect}`} ls -R /brokers`,
    '',
    'Ctrl-C stops the cluster; the data stays.',
  ]
  return `${lines.join('\n')}\n`
}

/** Waits until a client sees all brokers and a controller: only then is the cluster up. */
async function controllerOf(platform: Platform, cluster: EmbeddedCluster): Promise<number> {
  const admin = new Admin(platform, { bootstrapServers: cluster.bootstrapServers })
  try {
    for (;;) {
      const { brokers, controllerId } = await admin.describeCluster()
      if (controllerId !== null && brokers.length === cluster.brokers.length) return controllerId
      await sleep(platform.clock, POLL_INTERVAL_MS)
    }
  } finally {
    await admin.close()
  }
}
