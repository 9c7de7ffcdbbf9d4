export { Broker } from './broker.ts'
export { ConfigError, parseProperties, parseServerProperties, type BrokerConfig } from './config/index.ts'
export type { BrokerServices } from './services.ts'
export type { BrokerOptions } from './parts.ts'
