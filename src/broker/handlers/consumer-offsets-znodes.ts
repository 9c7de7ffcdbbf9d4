/**
 * Offsets of consumers older than the group protocol: OffsetCommit 0 writes them to `/consumers/<group>/offsets/<topic>/<partition>`
 * in ZooKeeper, OffsetFetch 0 reads them there. No group membership is needed.
 * Source: `KafkaApis.handleOffsetCommitRequest`, `handleOffsetFetchRequest`.
 */
import { ZnodePath, decodeConsumerOffset, encodeConsumerOffset } from '#metadata/znodes'
import type { RetryingZooKeeper } from '#zookeeper/client'

export async function writeConsumerOffset(
  zk: RetryingZooKeeper,
  group: string,
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const path = ZnodePath.consumerOffset(group, topic, partition)
  const data = encodeConsumerOffset(offset)
  if (!(await zk.ensurePath(path, data))) await zk.setData(path, data)
}

/** Null when none was committed. */
export async function readConsumerOffset(
  zk: RetryingZooKeeper,
  group: string,
  topic: string,
  partition: number,
): Promise<number | null> {
  const znode = await zk.find(ZnodePath.consumerOffset(group, topic, partition))
  return znode === null ? null : decodeConsumerOffset(znode.data)
}
