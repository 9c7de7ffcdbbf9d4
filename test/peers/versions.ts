/** One broker of another version of Apache Kafka, for our clients: the newest, and the oldest that starts on Java 17. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { javaArguments } from './java.ts'
import { KAFKA_NEWEST_JARS, KAFKA_OLDEST_JARS } from './places.ts'
import { freePort, run } from './processes.ts'
import { Server, broker, startZooKeeper } from './servers.ts'

export type KafkaVersion = keyof typeof KAFKA_VERSIONS

export const KAFKA_VERSIONS = {
  newest: { jars: KAFKA_NEWEST_JARS, isInstalled: () => existsSync(KAFKA_NEWEST_JARS) },
  oldest: { jars: KAFKA_OLDEST_JARS, isInstalled: () => existsSync(KAFKA_OLDEST_JARS) },
} as const

const JVM = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
const SAY_WARNINGS = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
const CLUSTER_ID = 'c2Ftc2Etb3duLWNsaWVudA'

export interface RunningKafka extends AsyncDisposable {
  readonly server: Server
  readonly bootstrap: string
}

export function startKafka(version: KafkaVersion, directory: string): Promise<RunningKafka> {
  return version === 'newest' ? startNewest(directory) : startOldest(directory)
}

/** Broker and KRaft controller in one process. */
async function startNewest(directory: string): Promise<RunningKafka> {
  const [port, controllerPort] = [await freePort(), await freePort()]
  const home = join(directory, 'newest')
  mkdirSync(home, { recursive: true })
  const file = join(home, 'server.properties')
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': join(home, 'data'),
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 3,
    'share.coordinator.state.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
  }
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(file, lines.join(''))
  const java = (mainClass: string, args: string[]): string[] =>
    javaArguments(mainClass, args, { jars: KAFKA_NEWEST_JARS, heap: '384M', jvm: [...JVM, SAY_WARNINGS] })
  await run('java', java('kafka.tools.StorageTool', ['format', '-t', CLUSTER_ID, '-c', file]))
  return running(new Server('newest', port, home, ['java', ...java('kafka.Kafka', [file])]), async () => {})
}

/** A broker on a ZooKeeper server of Apache's 3.9. */
async function startOldest(directory: string): Promise<RunningKafka> {
  const zookeeper = await startZooKeeper({ implementation: 'apache', directory })
  const configured = await broker({ implementation: 'apache', directory, id: 1, zookeeper: zookeeper.address })
  const file = join(configured.directory, 'server.properties')
  const args = javaArguments('kafka.Kafka', [file], { jars: KAFKA_OLDEST_JARS, heap: '384M', jvm: JVM })
  const server = new Server('oldest', configured.port, configured.directory, ['java', ...args])
  return running(server, () => zookeeper.kill())
}

async function running(server: Server, close: () => Promise<void>): Promise<RunningKafka> {
  const end = async (): Promise<void> => {
    await server.kill()
    await close()
  }
  try {
    server.start()
    await server.accepting(60_000)
  } catch (error) {
    await end()
    throw error
  }
  return { server, bootstrap: server.address, [Symbol.asyncDispose]: end }
}
