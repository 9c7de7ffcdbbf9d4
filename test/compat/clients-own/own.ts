/** What the tests of our own clients share: the platform, records in and out, and waiting. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { Consumer, type ConsumerOptions, type ConsumerRecord } from '#client'
import { silentLogger, type Platform } from '#platform'
import { nodePlatform } from '#platform/node'

import { type Cluster, type Codec, batchesOf, until } from '../../peers/index.ts'

export const platform: Platform = { ...nodePlatform(), logger: silentLogger }

export function textOf(content: Uint8Array | null): string | null {
  return content === null ? null : new TextDecoder().decode(content)
}

/** Numbers from 0 on. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** Every record of a topic, by partition, from its beginning to its end. */
export async function readAll(
  bootstrapServers: string,
  topic: string,
  partitions: number,
): Promise<ConsumerRecord[][]> {
  await using consumer = new Consumer(platform, { bootstrapServers, autoOffsetReset: 'earliest', fetchMaxWaitMs: 50 })
  consumer.assign(upTo(partitions).map((partition) => ({ topic, partition })))
  const found: ConsumerRecord[][] = upTo(partitions).map(() => [])
  for await (const record of consumer.records({ toEnd: true })) found[record.partition]!.push(record)
  return found
}

export interface StoredBatch {
  readonly codec: Codec
  readonly bytes: Buffer
}

/** The batches as they lie on the disk of the partition's leader. */
export async function storedBatches(cluster: Cluster, topic: string, partition: number): Promise<StoredBatch[]> {
  const directory = join((await cluster.leaderOf(topic, partition)).directory, 'data', `${topic}-${partition}`)
  const segments = readdirSync(directory).filter((name) => name.endsWith('.log'))
  return segments.sort().flatMap((name) => [...batchesOf(readFileSync(join(directory, name)))])
}

/** A member of a group in this process that notes what it is given, until it is closed. */
export class Member {
  readonly consumer: Consumer
  /** `PARTITION@OFFSET` in the order of arrival. */
  readonly seen: string[] = []
  readonly #running: Promise<void>

  constructor(topic: string, options: ConsumerOptions) {
    this.consumer = new Consumer(platform, options)
    this.consumer.subscribe(topic)
    this.#running = this.consumer.run({
      eachMessage: ({ partition, offset }) => void this.seen.push(`${partition}@${offset}`),
    })
    this.#running.catch(() => {})
  }

  get owned(): number[] {
    return this.consumer
      .assignment()
      .map(({ partition }) => partition)
      .sort((a, b) => a - b)
  }

  async close(): Promise<void> {
    await this.consumer.close()
    await this.#running
  }
}

/** Resolves when every partition has exactly one of the members, and their shares are as even as can be. */
export function sharedEvenly(members: readonly Member[], partitions: number): Promise<boolean> {
  const most = Math.ceil(partitions / members.length)
  return until(`${members.length} members share ${partitions} partitions`, () => {
    const owned = members.map((member) => member.owned)
    const all = new Set(owned.flat())
    return all.size === partitions && owned.flat().length === partitions && owned.every(({ length }) => length <= most)
  })
}
