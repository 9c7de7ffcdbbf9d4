/** What a test may ask of its cluster, and what is said when it asks for something else. */
import { inspect } from 'node:util'

import type { NewTopic } from '#client'
import type { LogLevel } from '#platform'

/** As for `Admin.createTopics`: one partition if none are given, and a replica on each broker, up to three. */
export type TopicOptions = NewTopic

export interface ClusterOptions {
  /** Default 3. Their ids are 1, 2, …, as with `samsa up`. */
  readonly brokers?: number
  /** ZooKeeper servers; default 1. More are an ensemble, which bears the loss of less than half. */
  readonly zookeepers?: number
  /** Topics that are there, with leaders, when the cluster is. */
  readonly topics?: readonly (string | TopicOptions)[]
  /** Settings of all brokers, under the names of `server.properties`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Folder of the data, in the layout of `samsa up`; it stays. In memory if left out. */
  readonly dataDirectory?: string
  /** The least level of the brokers' log that is printed, on stderr. Default `error`. */
  readonly logLevel?: LogLevel
}

export interface SimulationOptions extends Omit<ClusterOptions, 'zookeepers' | 'dataDirectory' | 'logLevel'> {
  /** Everything that is left to chance follows from it: delays, choices, ids. Default 1. */
  readonly seed?: number
  /** Takes each line of the machines' logs, with its virtual time in ms. */
  readonly onLog?: (level: LogLevel, line: string) => void
}

/** An option that is unknown, or no value for its name. */
export class ClusterOptionsError extends Error {
  override name = 'ClusterOptionsError'
}

/** The options that both kinds of cluster share, with every value in place. */
export interface Layout {
  readonly brokerIds: readonly number[]
  readonly topics: readonly Required<Pick<TopicOptions, 'name' | 'partitions'>>[]
  readonly settings: Readonly<Record<string, string>>
}

const BROKERS_DEFAULT = 3
const BROKERS_MAX = 100
/** More would only be slower. */
const ZOOKEEPERS_MAX = 9
const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error'] satisfies LogLevel[]

/** What a test's brokers do differently from others. */
const TEST_SETTINGS = {
  // A broker that was killed is missed after so long, and its id is free again.
  'zookeeper.session.timeout.ms': '2000',
  'zookeeper.connection.timeout.ms': '18000',
  // A stop that cannot hand a leadership over does not hold the test up.
  'controlled.shutdown.retry.backoff.ms': '100',
  // 50 partitions are for large clusters: here they would only take time when the first group appears.
  'offsets.topic.num.partitions': '5',
}

/** Lines of its `zoo.cfg`: sessions as short as the brokers ask for, told to a fortieth of a second. */
export const ZOOKEEPER_SETTINGS = { tickTime: '500', minSessionTimeout: '100', maxSessionTimeout: '3600000' }

/** Settings that say who a broker is and where: the kit gives them. */
const OWN_SETTINGS = ['broker.id', 'listeners', 'advertised.listeners', 'log.dirs', 'log.dir', 'zookeeper.connect']

const SHARED_OPTIONS = ['brokers', 'topics', 'settings']

/** Throws `ClusterOptionsError`. */
export function readClusterOptions(
  options: ClusterOptions,
): Layout & { zookeepers: number; dataDirectory: string | null; logLevel: LogLevel } {
  expectKnown(options, [...SHARED_OPTIONS, 'zookeepers', 'dataDirectory', 'logLevel'])
  const { zookeepers = 1, dataDirectory = null, logLevel = 'error' } = options
  if (!Number.isInteger(zookeepers) || zookeepers < 1 || zookeepers > ZOOKEEPERS_MAX)
    throw wrong('zookeepers', zookeepers, `a whole number from 1 to ${ZOOKEEPERS_MAX}`)
  if (dataDirectory !== null && (typeof dataDirectory !== 'string' || dataDirectory === ''))
    throw wrong('dataDirectory', dataDirectory, 'the path of a folder; leave it out for a cluster in memory')
  if (!LOG_LEVELS.includes(logLevel)) throw wrong('logLevel', logLevel, `one of ${LOG_LEVELS.join(', ')}`)
  return { ...readLayout(options), zookeepers, dataDirectory, logLevel }
}

/** Throws `ClusterOptionsError`. */
export function readSimulationOptions(
  options: SimulationOptions,
): Layout & { seed: number; onLog: SimulationOptions['onLog'] | null } {
  expectKnown(options, [...SHARED_OPTIONS, 'seed', 'onLog'])
  const { seed = 1, onLog = null } = options
  if (!Number.isSafeInteger(seed)) throw wrong('seed', seed, 'a whole number')
  if (onLog !== null && typeof onLog !== 'function') throw wrong('onLog', onLog, 'a function')
  return { ...readLayout(options), seed, onLog }
}

function readLayout({ brokers = BROKERS_DEFAULT, topics = [], settings = {} }: SimulationOptions): Layout {
  if (!Number.isInteger(brokers) || brokers < 1 || brokers > BROKERS_MAX)
    throw wrong('brokers', brokers, `a whole number from 1 to ${BROKERS_MAX}`)
  if (!Array.isArray(topics)) throw wrong('topics', topics, 'a list of names or of { name, partitions, … }')
  return {
    brokerIds: Array.from({ length: brokers }, (_, index) => index + 1),
    topics: topics.map((topic: string | TopicOptions) => readTopic(topic)),
    settings: { ...TEST_SETTINGS, ...readSettings(settings) },
  }
}

export function readTopic(topic: string | TopicOptions): Layout['topics'][number] {
  const given = typeof topic === 'string' ? { name: topic } : topic
  if (typeof given?.name !== 'string') throw wrong('topics', topic, 'a list of names or of { name, partitions, … }')
  return { partitions: 1, ...given }
}

function readSettings(settings: NonNullable<ClusterOptions['settings']>): Record<string, string> {
  const read: Record<string, string> = {}
  for (const [name, value] of Object.entries(settings)) {
    if (OWN_SETTINGS.includes(name))
      throw new ClusterOptionsError(`the setting ${name} differs from broker to broker and is given by the test kit`)
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw wrong(`settings["${name}"]`, value, 'text, a number, true or false')
    read[name] = String(value)
  }
  return read
}

function expectKnown(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new ClusterOptionsError(`there is no option ${name}; there are ${known.join(', ')}`)
}

function wrong(name: string, value: unknown, valid: string): ClusterOptionsError {
  return new ClusterOptionsError(`${name} is ${inspect(value)}, and must be ${valid}`)
}
