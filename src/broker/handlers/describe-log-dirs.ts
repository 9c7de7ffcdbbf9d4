/** DescribeLogDirs: which replicas lie in which directory, and how large they are. */
import { ErrorCode } from '#protocol'
import { DescribeLogDirs, type DescribeLogDirsRequest } from '#protocol/messages/describe-log-dirs'
import type { Log, LogDirectory } from '#storage'

import type { BrokerServices } from '../services.ts'
import { groupedByTopic, handler } from './handler.ts'

export const describeLogDirs = handler(DescribeLogDirs, (broker, { topics }) => ({
  throttleTimeMs: 0,
  errorCode: ErrorCode.NONE,
  results: broker.logs.directories.map((directory) => describe(broker, directory, topics)),
}))

function describe(broker: BrokerServices, directory: LogDirectory, wanted: DescribeLogDirsRequest['topics']) {
  const { path, isOffline } = directory
  const logs = isOffline
    ? []
    : [...broker.logs.logs, ...broker.logs.futureLogs].filter(
        (log) => log.directory === directory && isWanted(log, wanted),
      )
  return {
    errorCode: isOffline ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NONE,
    logDir: path,
    topics: groupedByTopic(logs, (name, of) => ({
      name,
      partitions: of.map((log) => ({
        partitionIndex: log.partition,
        partitionSize: log.sizeInBytes,
        offsetLag: lagOf(broker, log),
        isFutureKey: isFuture(broker, log),
      })),
    })),
  }
}

function isWanted({ topic, partition }: Log, wanted: DescribeLogDirsRequest['topics']): boolean {
  return wanted === null || wanted.some((each) => each.topic === topic && each.partitions.includes(partition))
}

function isFuture({ logs }: BrokerServices, log: Log): boolean {
  return logs.futureLog(log.topic, log.partition) === log
}

/** How far a move is behind its log; how far a follower's log ends behind the high watermark that it was told. */
function lagOf({ replicas }: BrokerServices, log: Log): number {
  const partition = replicas.partition(log.topic, log.partition)
  if (partition !== null && partition.log !== log)
    return Math.max(0, (partition.log?.logEndOffset ?? 0) - log.logEndOffset)
  return partition === null || partition.isLeader ? 0 : Math.max(0, log.highWatermark - log.logEndOffset)
}
