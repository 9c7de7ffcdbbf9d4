/** Apache Kafka's brokers on ZooKeeper servers of ours, and records on their way through them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { CLIENTS, Cluster, type ClusterOptions, removeFolder, temporaryFolder } from '../../peers/index.ts'

const RECORDS = 1000

export class ApacheKafka {
  readonly cluster: Cluster
  readonly #folder = temporaryFolder('samsa-apache-kafka-')

  private constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  /** On one server of ours, if the options name no others. */
  static async start(options: Pick<ClusterOptions, 'brokers' | 'zookeeper' | 'heap'>): Promise<ApacheKafka> {
    const kinds = { implementation: 'apache', zookeeperImplementation: 'samsa' } as const
    return new ApacheKafka(await Cluster.start({ ...kinds, ...options }))
  }

  async close(): Promise<void> {
    await this.cluster.close()
    removeFolder(this.#folder)
  }

  /** On every broker that runs. */
  createTopic(name: string, partitions: number): Promise<void> {
    const replicationFactor = this.cluster.brokers.filter(({ running }) => running).length
    return this.cluster.createTopic({ name, partitions, replicationFactor })
  }

  /** What is written to the topic, all of it and nothing else is read from it. */
  async roundTrip(topic: string): Promise<void> {
    const { bootstrap } = this.cluster
    const [sent, received] = [join(this.#folder, `${topic}-sent`), join(this.#folder, `${topic}-received`)]
    const lines = Array.from({ length: RECORDS }, (_, index) => `record ${index}`)
    writeFileSync(sent, `${lines.join('\n')}\n`)
    await CLIENTS.kcat.produce(bootstrap, topic, 'none', sent)
    await CLIENTS.kcat.consume(bootstrap, topic, RECORDS, received)
    const values = readFileSync(received, 'utf8').trimEnd().split('\n')
    assert.equal(values.length, RECORDS)
    assert.deepEqual(new Set(values.map((line) => line.split('\t')[1])), new Set(lines))
  }
}
