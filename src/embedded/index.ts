export { EmbeddedCluster, type EmbeddedClusterOptions } from './embedded-cluster.ts'
export {
  freePorts,
  startBroker,
  startZooKeeper,
  type BrokerSite,
  type EnsembleMemberSite,
  type EnsemblePlace,
  type ZooKeeperSite,
} from './members.ts'
