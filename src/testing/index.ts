/** The door `samsa/testing`: clusters for the tests of programs that use Kafka. */
export { ClusterClosedError, type TestBroker, type TestClients, type TestCluster } from './cluster.ts'
export { ClusterOptionsError, type ClusterOptions, type SimulationOptions, type TopicOptions } from './options.ts'
export { startCluster } from './real-cluster.ts'
export { SimulationError, type SimulatedBroker, type SimulatedCluster, type WithinOptions } from './simulated.ts'
export { simulateCluster } from './simulated-cluster.ts'
