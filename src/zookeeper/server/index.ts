export { parseZooCfg, ZooCfgError, type ParsedZooCfg, type ZooKeeperConfig } from './config.ts'
export { ZooKeeperServer } from './server.ts'
