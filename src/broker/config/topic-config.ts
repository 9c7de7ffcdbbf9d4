/**
 * Topic configurations: their names, defaults and checks, the broker configurations that stand behind them
 * (`log.retention.hours` behind `retention.ms`), and the typed `LogConfig` that the log works with.
 * Source: the running LogConfig and ServerTopicConfigSynonyms of Kafka 3.9.1.
 */
import { UNLIMITED, type CleanupPolicy, type CompressionType, type LogConfig, type TimestampType } from '#storage'

import { ConfigSource, layersOf, type BrokerTexts, type SourcedText } from './broker-config.ts'
import { WORKING_SETTINGS } from './broker-settings.ts'
import { ConfigError, boolean, list, long, type Setting, type SettingOptions } from './setting.ts'

const MAX_LONG = '9223372036854775807'
const later: SettingOptions = { effect: 'later' }
const refused: SettingOptions = { effect: 'refused' }

const throttledReplicas: SettingOptions = {
  check: (text) =>
    text === '' || text === '*' || /^\d+:\d+(?:\s*,\s*\d+:\d+)*$/.test(text)
      ? null
      : `"${text}" is neither * nor partition:broker,partition:broker,…`,
}

/** Same type, check and meaning as the broker's configuration of that name, and never refused for being dynamic. */
function like<Value>(setting: Setting<Value>, effect = setting.effect): Setting<Value> {
  return { ...setting, dynamic: 'no', effect }
}

const broker = WORKING_SETTINGS

export const TOPIC_SETTINGS = {
  'cleanup.policy': like(broker['log.cleanup.policy']),
  'compression.gzip.level': like(broker['compression.gzip.level']),
  'compression.lz4.level': like(broker['compression.lz4.level']),
  'compression.type': like(broker['compression.type']),
  'compression.zstd.level': like(broker['compression.zstd.level']),
  'delete.retention.ms': like(broker['log.cleaner.delete.retention.ms']),
  'file.delete.delay.ms': like(broker['log.segment.delete.delay.ms']),
  'flush.messages': like(broker['log.flush.interval.messages']),
  'flush.ms': long(MAX_LONG, 'Age of an unsynced record after which the log is synced to disk, in ms.', { min: 0 }),
  'follower.replication.throttled.replicas': list(
    '',
    'Replicas whose fetching is slowed, as partition:broker, or *.',
    throttledReplicas,
  ),
  'index.interval.bytes': like(broker['log.index.interval.bytes']),
  'leader.replication.throttled.replicas': list(
    '',
    'Replicas whose feeding is slowed, as partition:broker, or *.',
    throttledReplicas,
  ),
  'local.retention.bytes': like(broker['log.local.retention.bytes']),
  'local.retention.ms': like(broker['log.local.retention.ms']),
  'max.compaction.lag.ms': like(broker['log.cleaner.max.compaction.lag.ms']),
  'max.message.bytes': like(broker['message.max.bytes']),
  'message.downconversion.enable': like(broker['log.message.downconversion.enable']),
  'message.format.version': like(broker['log.message.format.version']),
  'message.timestamp.after.max.ms': like(broker['log.message.timestamp.after.max.ms']),
  'message.timestamp.before.max.ms': like(broker['log.message.timestamp.before.max.ms']),
  'message.timestamp.difference.max.ms': like(broker['log.message.timestamp.difference.max.ms']),
  'message.timestamp.type': like(broker['log.message.timestamp.type']),
  'min.cleanable.dirty.ratio': like(broker['log.cleaner.min.cleanable.ratio']),
  'min.compaction.lag.ms': like(broker['log.cleaner.min.compaction.lag.ms']),
  'min.insync.replicas': like(broker['min.insync.replicas']),
  preallocate: like(broker['log.preallocate']),
  'remote.log.copy.disable': boolean('false', 'Tiering: whether segments no longer move to remote storage.', refused),
  'remote.log.delete.on.disable': boolean(
    'false',
    'Tiering: whether remote segments go when it is turned off.',
    refused,
  ),
  'remote.storage.enable': boolean('false', 'Tiering: whether segments move to remote storage.', refused),
  'retention.bytes': like(broker['log.retention.bytes']),
  'retention.ms': long('604800000', 'Records older than this may be deleted, in ms; -1 = kept for ever.', {
    min: -1,
    ...later,
  }),
  'segment.bytes': like(broker['log.segment.bytes']),
  'segment.index.bytes': like(broker['log.index.size.max.bytes']),
  'segment.jitter.ms': long('0', 'Upper end of what is taken at random from segment.ms, in ms.', { min: 0 }),
  'segment.ms': long('604800000', 'A segment older than this is rolled, in ms.', { min: 1 }),
  'unclean.leader.election.enable': like(broker['unclean.leader.election.enable']),
} satisfies Record<string, Setting>

export type TopicSettingName = keyof typeof TOPIC_SETTINGS

export function topicSetting(name: string): Setting | undefined {
  return Object.hasOwn(TOPIC_SETTINGS, name) ? TOPIC_SETTINGS[name as TopicSettingName] : undefined
}

interface BrokerSynonym {
  readonly name: string
  /** What a unit of it is in ms, where the topic's configuration is in ms. */
  readonly scale?: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** The broker configurations behind each topic configuration; the first that is set holds. */
const SYNONYMS: Partial<Record<TopicSettingName, readonly BrokerSynonym[]>> = {
  'segment.ms': [{ name: 'log.roll.ms' }, { name: 'log.roll.hours', scale: HOUR_MS }],
  'segment.jitter.ms': [{ name: 'log.roll.jitter.ms' }, { name: 'log.roll.jitter.hours', scale: HOUR_MS }],
  'segment.index.bytes': [{ name: 'log.index.size.max.bytes' }],
  'flush.messages': [{ name: 'log.flush.interval.messages' }],
  'flush.ms': [{ name: 'log.flush.interval.ms' }, { name: 'log.flush.scheduler.interval.ms' }],
  'retention.ms': [
    { name: 'log.retention.ms' },
    { name: 'log.retention.minutes', scale: MINUTE_MS },
    { name: 'log.retention.hours', scale: HOUR_MS },
  ],
  'max.message.bytes': [{ name: 'message.max.bytes' }],
  'delete.retention.ms': [{ name: 'log.cleaner.delete.retention.ms' }],
  'min.compaction.lag.ms': [{ name: 'log.cleaner.min.compaction.lag.ms' }],
  'max.compaction.lag.ms': [{ name: 'log.cleaner.max.compaction.lag.ms' }],
  'file.delete.delay.ms': [{ name: 'log.segment.delete.delay.ms' }],
  'min.cleanable.dirty.ratio': [{ name: 'log.cleaner.min.cleanable.ratio' }],
  'unclean.leader.election.enable': [{ name: 'unclean.leader.election.enable' }],
  'min.insync.replicas': [{ name: 'min.insync.replicas' }],
  'compression.type': [{ name: 'compression.type' }],
  'compression.gzip.level': [{ name: 'compression.gzip.level' }],
  'compression.lz4.level': [{ name: 'compression.lz4.level' }],
  'compression.zstd.level': [{ name: 'compression.zstd.level' }],
  'leader.replication.throttled.replicas': [],
  'follower.replication.throttled.replicas': [],
  'remote.storage.enable': [],
  'remote.log.copy.disable': [],
  'remote.log.delete.on.disable': [],
}

export function synonymsOf(name: TopicSettingName): readonly BrokerSynonym[] {
  return SYNONYMS[name] ?? [{ name: `log.${name}` }]
}

/** A topic's own texts, as `/config/topics/T` holds them. */
export type TopicTexts = ReadonlyMap<string, string>

/** The text in force and where it is from. A broker's text in hours or minutes is answered in ms. */
export function effectiveTopicText(name: TopicSettingName, topic: TopicTexts, brokerTexts: BrokerTexts): SourcedText {
  const own = topic.get(name)
  if (own !== undefined) return { name, text: own, source: ConfigSource.TOPIC }
  for (const synonym of synonymsOf(name)) {
    const layer = layersOf(brokerTexts, synonym.name)[0]
    if (layer === undefined) continue
    const { text, source } = layer
    return { name, text: synonym.scale === undefined || text === null ? text : inMs(text, synonym.scale), source }
  }
  return { name, text: TOPIC_SETTINGS[name].defaultText, source: ConfigSource.DEFAULT }
}

function inMs(text: string, scale: number): string {
  const value = Number(text)
  return value < 0 ? '-1' : String(value * scale)
}

/**
 * All that speaks of a topic's configuration, highest first, for DescribeConfigs: of the broker's configurations what follows the first
 * one of the main name, so that hours are shown behind milliseconds only. Source: `ConfigHelper.configSynonyms`.
 */
export function topicSynonymLayers(name: TopicSettingName, topic: TopicTexts, brokerTexts: BrokerTexts): SourcedText[] {
  const own = topic.get(name)
  const layers: SourcedText[] = own === undefined ? [] : [{ name, text: own, source: ConfigSource.TOPIC }]
  const synonyms = synonymsOf(name)
  const behind = synonyms.flatMap((synonym) => layersOf(brokerTexts, synonym.name)).sort((a, b) => a.source - b.source)
  const first = behind.findIndex((layer) => layer.name === synonyms[0]?.name)
  return [...layers, ...(first < 0 ? [] : behind.slice(first))]
}

/**
 * Checks what somebody wants a topic's configuration to be: unknown names and bad values throw `ConfigError`.
 * Returns the names that are accepted and not yet carried out.
 */
export function validateTopicTexts(topic: TopicTexts, brokerTexts: BrokerTexts): string[] {
  const waiting: string[] = []
  for (const [name, text] of topic) {
    const setting = topicSetting(name)
    if (setting === undefined) throw new ConfigError(`Unknown topic config name: ${name}`)
    try {
      setting.parse(text)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      throw new ConfigError(`Invalid value ${text} for configuration ${name}: ${error.message}`)
    }
    if (setting.effect === 'refused' && text.trim() !== setting.defaultText)
      throw new ConfigError(`Configuration ${name}=${text} is not carried out yet`)
    if (setting.effect === 'later' && text.trim() !== setting.defaultText) waiting.push(name)
  }
  const { minCompactionLagMs, maxCompactionLagMs } = topicLogConfig(topic, brokerTexts)
  if (minCompactionLagMs > maxCompactionLagMs)
    throw new ConfigError(
      `conflict topic config setting min.compaction.lag.ms (${minCompactionLagMs}) > max.compaction.lag.ms (${maxCompactionLagMs})`,
    )
  return waiting
}

/**
 * A topic's configuration in force. Texts that cannot be read, which somebody wrote into ZooKeeper past all checks, are passed
 * over in favour of the broker's, and reported.
 */
export function topicLogConfig(
  topic: TopicTexts,
  brokerTexts: BrokerTexts,
  onUnreadable: (name: string, reason: string) => void = () => {},
): LogConfig {
  const read = <Name extends TopicSettingName>(name: Name): ReturnType<(typeof TOPIC_SETTINGS)[Name]['parse']> => {
    const setting = TOPIC_SETTINGS[name] as Setting
    type Value = ReturnType<(typeof TOPIC_SETTINGS)[Name]['parse']>
    try {
      return setting.parse(effectiveTopicText(name, topic, brokerTexts).text!) as Value
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      onUnreadable(name, error.message)
      return setting.parse(effectiveTopicText(name, new Map(), brokerTexts).text!) as Value
    }
  }
  // The older name bounds both directions where the newer ones were left alone.
  const difference = unbounded(read('message.timestamp.difference.max.ms'))
  const bound = (value: number): number => (unbounded(value) === UNLIMITED ? difference : value)
  return {
    cleanupPolicy: read('cleanup.policy') as CleanupPolicy[],
    compressionType: read('compression.type') as CompressionType,
    compressionGzipLevel: read('compression.gzip.level'),
    compressionLz4Level: read('compression.lz4.level'),
    compressionZstdLevel: read('compression.zstd.level'),
    deleteRetentionMs: unbounded(read('delete.retention.ms')),
    fileDeleteDelayMs: unbounded(read('file.delete.delay.ms')),
    flushMessages: unbounded(read('flush.messages')),
    flushMs: unbounded(read('flush.ms')),
    followerThrottledReplicas: read('follower.replication.throttled.replicas'),
    leaderThrottledReplicas: read('leader.replication.throttled.replicas'),
    indexIntervalBytes: read('index.interval.bytes'),
    maxCompactionLagMs: unbounded(read('max.compaction.lag.ms')),
    maxMessageBytes: read('max.message.bytes'),
    messageDownconversionEnable: read('message.downconversion.enable'),
    messageTimestampType: read('message.timestamp.type') as TimestampType,
    messageTimestampBeforeMaxMs: bound(read('message.timestamp.before.max.ms')),
    messageTimestampAfterMaxMs: bound(read('message.timestamp.after.max.ms')),
    minCleanableDirtyRatio: read('min.cleanable.dirty.ratio'),
    minCompactionLagMs: unbounded(read('min.compaction.lag.ms')),
    minInsyncReplicas: read('min.insync.replicas'),
    preallocate: read('preallocate'),
    retentionBytes: read('retention.bytes'),
    retentionMs: unbounded(read('retention.ms')),
    segmentBytes: read('segment.bytes'),
    segmentIndexBytes: read('segment.index.bytes'),
    segmentJitterMs: unbounded(read('segment.jitter.ms')),
    segmentMs: unbounded(read('segment.ms')),
    uncleanLeaderElectionEnable: read('unclean.leader.election.enable'),
  }
}

/** Kafka says "no bound" by the largest long. */
function unbounded(value: number): number {
  return value >= 2 ** 63 ? UNLIMITED : value
}
