export { EmbeddedCluster, type EmbeddedClusterOptions } from './embedded-cluster.ts'
export {
  startBroker,
  startZooKeeper,
  type BrokerSite,
  type EnsembleMemberSite,
  type EnsemblePlace,
  type ZooKeeperSite,
} from './members.ts'
export { freePorts, isPortTaken } from './ports.ts'
