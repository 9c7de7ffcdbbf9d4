export { Broker, type BrokerOptions } from './broker.ts'
export { ConfigError, parseProperties, parseServerProperties, type BrokerConfig } from './config/index.ts'
export type { BrokerServices } from './services.ts'
