export { EmbeddedCluster, type EmbeddedClusterOptions } from './embedded-cluster.ts'
export { startBroker, startZooKeeper, type BrokerSite, type ZooKeeperSite } from './members.ts'
