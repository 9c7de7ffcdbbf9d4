export {
  BROKER_SETTINGS,
  ConfigSource,
  brokerConfig,
  brokerSetting,
  layersOf,
  parseServerProperties,
  type BrokerConfig,
  type BrokerTexts,
  type SourcedText,
} from './broker-config.ts'
export { REPLICA_SELECTORS } from './broker-settings.ts'
export type { ListenerEndpoint } from './listeners.ts'
export { parseProperties } from './properties.ts'
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
