export { EmbeddedCluster, type EmbeddedClusterOptions } from './embedded-cluster.ts'
