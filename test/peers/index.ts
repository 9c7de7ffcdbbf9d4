/** The programs of others, and ours beside them: where they are, and how to start, drive and end them. */
export { CLIENTS, type Client, runPython, startKcatGroup, startPython } from './clients.ts'
export { Ensemble, type EnsembleOptions, EnsembleServer, type Mode, adminWord } from './ensemble.ts'
export { type JavaTool, KAFKA_TOOLS, ToolServer, javaArguments, javaTool, startJavaTool } from './java.ts'
export * from './places.ts'
export {
  type Ended,
  Process,
  type RunResult,
  type Usage,
  freePort,
  freePorts,
  ownCpuSeconds,
  removeFolder,
  run,
  sleep,
  temporaryFolder,
  until,
  usageOf,
} from './processes.ts'
export {
  Cluster,
  type ClusterOptions,
  IMPLEMENTATIONS,
  type Implementation,
  type Place,
  SESSION_TIMEOUT_MS,
  Server,
  TARGET,
  broker,
  samsa,
  startSamsaUp,
  startZooKeeper,
  zooKeeperCommand,
} from './servers.ts'
export { KAFKA_VERSIONS, type KafkaVersion, startKafka } from './versions.ts'
export * from './bytes.ts'
export * from './wire.ts'
export { ZooKeeperWire, createRequest, deleteRequest, getRequest, setRequest } from './zookeeper-wire.ts'
