export { EmbeddedCluster, type EmbeddedClusterOptions } from './embedded-cluster.ts'
export {
  startBroker,
  startZooKeeper,
  type BrokerSite,
  type EnsembleMemberSite,
  type EnsemblePlace,
  type ZooKeeperSite,
} from './members.ts'
export { PORT_END, PORT_FIRST, freePorts, isPortTaken } from './ports.ts'
