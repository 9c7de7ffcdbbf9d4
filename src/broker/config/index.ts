export {
  BROKER_SETTINGS,
  ConfigSource,
  LISTENER_PREFIX,
  brokerConfig,
  brokerSetting,
  layersOf,
  parseServerProperties,
  type BrokerConfig,
  type BrokerSettingName,
  type BrokerTexts,
  type SourcedText,
} from './broker-config.ts'
export { REPLICA_SELECTORS } from './broker-settings.ts'
export { listenerChangeFault, type ListenerEndpoint, type Listeners } from './listeners.ts'
export { parseProperties } from './properties.ts'
export { threadCountFault } from './thread-counts.ts'
export { ConfigError, SettingType, splitList, type Setting } from './setting.ts'
export {
  TOPIC_SETTINGS,
  effectiveTopicText,
  topicLogConfig,
  topicSetting,
  topicSynonymLayers,
  validateTopicTexts,
  type TopicSettingName,
  type TopicTexts,
} from './topic-config.ts'
