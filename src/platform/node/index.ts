import type { LogLevel, Platform } from '#platform'

import { NodeClock } from './clock.ts'
import { NodeFileSystem, PoolShare } from './files.ts'
import { NodeHttp } from './http.ts'
import { NodeLogger } from './logger.ts'
import { NodeNetwork } from './network.ts'
import { NodeRandom } from './random.ts'

export interface NodePlatformOptions {
  /** The least level that is printed. Default `info`. */
  logLevel?: LogLevel
  /** Carried by each line of the log, e.g. `broker 1`. */
  name?: string
  /**
   * How many threads of libuv's pool this platform's flushes, cold reads and pooled writes may hold at once.
   * Default: three quarters of the pool. Where a ZooKeeper server and brokers share a process, each gets a
   * platform with a share of its own, so that slow flushes of a broker cannot hold up ZooKeeper's log.
   */
  poolThreadsMax?: number
}

/** The world as Node has it: real time, randomness, files, sockets, and a log on stderr. */
export function nodePlatform(options: NodePlatformOptions = {}): Platform {
  const logger = new NodeLogger(options.logLevel ?? 'info', options.name ?? '')
  return {
    clock: new NodeClock(),
    random: new NodeRandom(),
    files: new NodeFileSystem(new PoolShare(options.poolThreadsMax)),
    network: new NodeNetwork(logger),
    http: new NodeHttp(logger),
    logger,
  }
}
