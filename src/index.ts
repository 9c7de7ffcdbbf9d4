/** The package's main door: a whole cluster inside a process of one's own. */
export { EmbeddedCluster, type EmbeddedClusterOptions } from '#embedded'
export { nodePlatform } from '#platform/node'
