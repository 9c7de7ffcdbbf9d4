/**
 * What a broker is told: the texts from file, environment and command line, with their sources, and the typed values
 * that the code reads (`config.numPartitions` is `num.partitions`).
 */
import { WORKING_SETTINGS } from './broker-settings.ts'
import { resolveListeners, type Listeners } from './listeners.ts'
import { configurationsOfEnvironment, decodePropertiesFile, parseProperties } from './properties.ts'
import { REFUSED_SETTINGS } from './refused-settings.ts'
import { ConfigError, SettingType, splitList, type Setting } from './setting.ts'

export const BROKER_SETTINGS = { ...WORKING_SETTINGS, ...REFUSED_SETTINGS }

type Table = typeof BROKER_SETTINGS
export type BrokerSettingName = keyof Table
type Camel<Name extends string> = Name extends `${infer Head}.${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name
type ValueOf<S> = S extends Setting<infer Value> ? Value : never

/** Every configuration under its name in camelCase, read into its type. */
export type BrokerValues = { readonly [Name in BrokerSettingName as Camel<Name>]: ValueOf<Table[Name]> }

export interface BrokerConfig extends BrokerValues, Listeners {
  /** -1 = to be made through ZooKeeper, or taken from meta.properties. */
  readonly brokerId: number
  /** Directories of the data, at least one. */
  readonly logDirectories: readonly string[]
  readonly zookeeperConnect: string
  readonly maxConnectionsPerIpByAddress: ReadonlyMap<string, number>
  /** The texts, for DescribeConfigs and for changes at run time. */
  readonly texts: BrokerTexts
  /** One line each, to be logged at the start. */
  readonly warnings: readonly string[]
}

/** Where a value comes from: the ids of DescribeConfigs' `configSource`. */
export const ConfigSource = {
  TOPIC: 1,
  DYNAMIC_BROKER: 2,
  DYNAMIC_DEFAULT_BROKER: 3,
  STATIC_BROKER: 4,
  DEFAULT: 5,
} as const
export type ConfigSource = (typeof ConfigSource)[keyof typeof ConfigSource]

export interface SourcedText {
  readonly name: string
  readonly text: string | null
  readonly source: ConfigSource
}

/** The layers of a broker's texts, highest first: `/config/brokers/N`, `/config/brokers/<default>`, what it was started with. */
export interface BrokerTexts {
  readonly perBroker: ReadonlyMap<string, string>
  readonly clusterDefault: ReadonlyMap<string, string>
  readonly given: ReadonlyMap<string, string>
  /** Java's command line (`KAFKA_OPTS`), where people name the file with the login for ZooKeeper. */
  readonly javaOptions: string
}

/**
 * Reads a `server.properties`, the `KAFKA_*` variables (which win over the file) and overrides (which win over both).
 * Throws `ConfigError` whose one line names every bad value and every key that is not carried out.
 */
export function parseServerProperties(
  file: string | Uint8Array,
  env: Readonly<Record<string, string | undefined>> = {},
  overrides: Readonly<Record<string, string>> = {},
): BrokerConfig {
  const text = typeof file === 'string' ? file : decodePropertiesFile(file)
  const given = parseProperties(text)
  for (const [name, value] of configurationsOfEnvironment(env)) given.set(name, value)
  for (const [name, value] of Object.entries(overrides)) given.set(name, value)
  nameBothIds(given)
  const javaOptions = env['KAFKA_OPTS'] ?? ''
  return brokerConfig({ given, perBroker: new Map(), clusterDefault: new Map(), javaOptions })
}

/** Each of the two names stands for the other. Source: `KafkaConfig.populateSynonyms`. */
function nameBothIds(given: Map<string, string>): void {
  const [brokerId, nodeId] = [given.get('broker.id'), given.get('node.id')]
  if (brokerId !== undefined && nodeId === undefined) given.set('node.id', brokerId)
  if (nodeId !== undefined && brokerId === undefined) given.set('broker.id', nodeId)
}

export function brokerConfig(texts: BrokerTexts): BrokerConfig {
  const faults: string[] = []
  const warnings = warningsAbout(texts.given)
  refuseWhatIsMissing(texts.given, faults)
  const values = readValues(texts, faults)
  if (faults.length > 0) throw new ConfigError(faults.sort().join('; '))
  const config = { ...values, ...resolveIdentity(texts, values), ...resolveListenersOf(texts, values), texts, warnings }
  checkTogether(config)
  return config
}

/** The layers that speak of `name`, highest first, the default last. */
export function layersOf(texts: BrokerTexts, name: string): SourcedText[] {
  const layers: SourcedText[] = []
  const add = (text: string | null | undefined, source: ConfigSource): void => {
    if (text !== undefined && text !== null) layers.push({ name, text, source })
  }
  add(texts.perBroker.get(name), ConfigSource.DYNAMIC_BROKER)
  add(texts.clusterDefault.get(name), ConfigSource.DYNAMIC_DEFAULT_BROKER)
  add(texts.given.get(name), ConfigSource.STATIC_BROKER)
  add(brokerSetting(name)?.defaultText, ConfigSource.DEFAULT)
  return layers
}

export function brokerSetting(name: string): Setting | undefined {
  return Object.hasOwn(BROKER_SETTINGS, name) ? BROKER_SETTINGS[name as BrokerSettingName] : undefined
}

/** Of a configuration that is one listener's own. */
export const LISTENER_PREFIX = /^listener\.name\.[^.]+\./

function warningsAbout(given: ReadonlyMap<string, string>): string[] {
  const unknown: string[] = []
  const waiting: string[] = []
  for (const [name, text] of given) {
    if (/^(?:rsm|rlmm)\.config\./.test(name)) continue
    const setting = brokerSetting(name.replace(LISTENER_PREFIX, ''))
    if (setting === undefined) unknown.push(name)
    else if (setting.effect === 'later' && text.trim() !== setting.defaultText) waiting.push(name)
  }
  const warnings: string[] = []
  if (unknown.length > 0) warnings.push(`unknown configurations, ignored: ${unknown.join(', ')}`)
  if (waiting.length > 0) warnings.push(`configurations that are not carried out yet: ${waiting.join(', ')}`)
  return warnings
}

function refuseWhatIsMissing(given: ReadonlyMap<string, string>, faults: string[]): void {
  for (const [name, text] of given) {
    const setting = brokerSetting(name.replace(LISTENER_PREFIX, ''))
    if (setting?.effect !== 'refused' || text.trim().replace(/\s*,\s*/g, ',') === (setting.defaultText ?? '')) continue
    const shown = setting.type === SettingType.PASSWORD ? '' : `=${text.trim()}`
    faults.push(`${name}${shown} is not carried out yet: take it out of the configuration`)
  }
}

function readValues(texts: BrokerTexts, faults: string[]): BrokerValues {
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries<Setting>(BROKER_SETTINGS)) {
    const text = layersOf(texts, name)[0]?.text ?? null
    try {
      values[camelCase(name)] = text === null ? null : setting.parse(text)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      faults.push(`${name}: ${error.message}`)
    }
  }
  return values as unknown as BrokerValues
}

function camelCase(name: string): string {
  return name.replace(/\.(.)/g, (_, letter: string) => letter.toUpperCase())
}

function resolveIdentity(
  { given }: BrokerTexts,
  values: BrokerValues,
): Pick<BrokerConfig, 'brokerId' | 'logDirectories' | 'zookeeperConnect' | 'maxConnectionsPerIpByAddress'> {
  if (values.zookeeperConnect === null || values.zookeeperConnect === '')
    throw new ConfigError('zookeeper.connect: not set')
  if (given.has('broker.id') && given.has('node.id') && values.brokerId !== values.nodeId)
    throw new ConfigError(`broker.id=${values.brokerId} and node.id=${values.nodeId} contradict each other`)
  const logDirectories = splitList(values.logDirs ?? values.logDir)
  if (logDirectories.length === 0) throw new ConfigError('log.dirs: not set')
  if (new Set(logDirectories).size !== logDirectories.length)
    throw new ConfigError('log.dirs: a directory occurs twice')
  return {
    brokerId: given.has('node.id') ? values.nodeId : values.brokerId,
    logDirectories,
    zookeeperConnect: values.zookeeperConnect,
    maxConnectionsPerIpByAddress: connectionOverrides(values.maxConnectionsPerIpOverrides),
  }
}

function connectionOverrides(text: string): Map<string, number> {
  const limits = new Map<string, number>()
  for (const item of splitList(text)) {
    const match = /^(.+):(\d+)$/.exec(item)
    if (match === null) throw new ConfigError(`max.connections.per.ip.overrides: "${item}" is not address:count`)
    limits.set(match[1]!, Number(match[2]))
  }
  return limits
}

function resolveListenersOf(texts: BrokerTexts, values: BrokerValues): Listeners {
  return resolveListeners({
    listeners: values.listeners,
    advertisedListeners: values.advertisedListeners,
    securityProtocolMap: values.listenerSecurityProtocolMap,
    interBrokerListenerName: values.interBrokerListenerName,
    securityInterBrokerProtocol: values.securityInterBrokerProtocol,
    securityInterBrokerProtocolSet: texts.given.has('security.inter.broker.protocol'),
  })
}

/** Rules between configurations. */
function checkTogether(config: BrokerConfig): void {
  const rules: [boolean, string][] = [
    [
      config.brokerId >= (config.brokerIdGenerationEnable ? -1 : 0),
      `broker.id: ${config.brokerId} is no id, and broker.id.generation.enable=${config.brokerIdGenerationEnable}`,
    ],
    [
      !config.brokerIdGenerationEnable || config.brokerId <= config.reservedBrokerMaxId,
      `broker.id: ${config.brokerId} is above reserved.broker.max.id=${config.reservedBrokerMaxId}`,
    ],
    [
      config.replicaFetchWaitMaxMs <= config.replicaSocketTimeoutMs,
      'replica.socket.timeout.ms: must be at least replica.fetch.wait.max.ms',
    ],
    [
      config.replicaFetchWaitMaxMs <= config.replicaLagTimeMaxMs,
      'replica.lag.time.max.ms: must be at least replica.fetch.wait.max.ms',
    ],
    [
      config.logRetentionMs === null || config.logRetentionMs >= 1 || config.logRetentionMs === -1,
      'log.retention.ms: must be -1 or at least 1',
    ],
  ]
  for (const [holds, fault] of rules) if (!holds) throw new ConfigError(fault)
}
