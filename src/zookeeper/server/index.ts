export {
  parseZooCfg,
  readZooCfg,
  ZooCfgError,
  type BesideZooCfg,
  type ParsedZooCfg,
  type ZooKeeperConfig,
} from './config.ts'
export { memberOf, type EnsembleConfig, type EnsembleMember, type MemberRole } from './ensemble-config.ts'
export { ZooKeeperServer } from './server.ts'
