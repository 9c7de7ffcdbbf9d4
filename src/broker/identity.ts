/**
 * Who this broker is: the id of the cluster, which its first broker makes, and the broker's own, as the configuration, the log
 * directories and ZooKeeper have them. Where they contradict each other the start stops, before anything is written.
 * Source: `kafka.server.KafkaServer.startup`, `getOrGenerateBrokerId`.
 */
import { ZnodePath, decodeClusterId, encodeClusterId } from '#metadata/znodes'
import type { FileSystem, Random } from '#platform'
import { uuidFromBytes } from '#protocol'
import { readMetaProperties, writeMetaProperties, type LogDirectory, type MetaProperties } from '#storage'
import { isZkError, type RetryingZooKeeper } from '#zookeeper/client'

import { ConfigError, type BrokerConfig } from './config/index.ts'

export interface Identity {
  readonly clusterId: string
  readonly brokerId: number
}

export interface EstablishedIdentity {
  readonly identity: Identity
  /** Log directories that do not tell whose they are, with the reason: nothing in them may be used. */
  readonly unreadable: ReadonlyMap<string, unknown>
}

export async function establishIdentity(
  platform: { files: FileSystem; random: Random },
  zk: RetryingZooKeeper,
  config: BrokerConfig,
): Promise<EstablishedIdentity> {
  const clusterId = await clusterIdOf(zk, platform.random)
  const { storedId, unreadable } = checkDirectories(platform.files, config.logDirectories, clusterId)
  if (config.brokerId >= 0 && storedId !== null && config.brokerId !== storedId)
    throw new ConfigError(
      `broker.id=${config.brokerId}, but the data in log.dirs belongs to broker ${storedId}: ` +
        `set broker.id=${storedId}, or other log.dirs`,
    )
  const brokerId =
    config.brokerId >= 0 ? config.brokerId : (storedId ?? (await generateBrokerId(zk, config.reservedBrokerMaxId)))
  return { identity: { clusterId, brokerId }, unreadable }
}

/** Writes `meta.properties` into every directory that lacks it; one that cannot be written has failed. */
export async function recordIdentity(directories: readonly LogDirectory[], identity: Identity): Promise<void> {
  for (const directory of directories) {
    try {
      await writeMetaProperties(directory.files, directory.path, identity)
    } catch (error) {
      directory.fail('writing meta.properties', error)
    }
  }
}

async function clusterIdOf(zk: RetryingZooKeeper, random: Random): Promise<string> {
  const present = await zk.find(ZnodePath.clusterId)
  if (present === null) await zk.ensurePath(ZnodePath.clusterId, encodeClusterId(newClusterId(random)))
  const { data } = present ?? (await zk.getData(ZnodePath.clusterId))
  return decodeClusterId(data)
}

function newClusterId(random: Random): string {
  const bytes = random.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return uuidFromBytes(bytes)
}

/** The broker id that the directories name, or null; they must agree with each other and with the cluster. */
function checkDirectories(
  files: FileSystem,
  directories: readonly string[],
  clusterId: string,
): { storedId: number | null; unreadable: Map<string, unknown> } {
  let brokerId: number | null = null
  const unreadable = new Map<string, unknown>()
  for (const directory of directories) {
    let meta: MetaProperties | null = null
    try {
      meta = readMetaProperties(files, directory)
    } catch (error) {
      unreadable.set(directory, error)
    }
    if (meta === null) continue
    if (meta.clusterId !== null && meta.clusterId !== clusterId)
      throw new ConfigError(
        `the data in ${directory} belongs to the cluster ${meta.clusterId}, but zookeeper.connect leads to ${clusterId}`,
      )
    if (meta.brokerId === null) continue
    if (brokerId !== null && brokerId !== meta.brokerId)
      throw new ConfigError(
        `log.dirs holds data of broker ${brokerId} and, in ${directory}, of broker ${meta.brokerId}`,
      )
    brokerId = meta.brokerId
  }
  return { storedId: brokerId, unreadable }
}

/** Each write to the node raises its version: no two brokers get the same. */
async function generateBrokerId(zk: RetryingZooKeeper, reservedMax: number): Promise<number> {
  try {
    const { version } = await zk.setData(ZnodePath.brokerSequenceId, new Uint8Array(0))
    return version + reservedMax
  } catch (error) {
    if (!isZkError(error, 'NONODE')) throw error
    await zk.ensurePath(ZnodePath.brokerSequenceId)
    return await generateBrokerId(zk, reservedMax)
  }
}
