/** A cluster of our own brokers in this process, over real sockets, and records in it: for the tests of the clients. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Admin } from '#client'
import { EmbeddedCluster } from '#embedded'
import { silentLogger, type Platform } from '#platform'
import { nodePlatform } from '#platform/node'
import { Produce } from '#protocol/messages/produce'
import { RecordBatchBuilder } from '#protocol/records'
import { BrokerConnection } from '#rpc'

export const platform: Platform = { ...nodePlatform(), logger: silentLogger }

export interface TestCluster extends AsyncDisposable {
  readonly bootstrapServers: string
  readonly admin: Admin
  readonly brokers: EmbeddedCluster['brokers']
}

export async function startTestCluster(brokers = 1, overrides: Record<string, string> = {}): Promise<TestCluster> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'samsa-client-'))
  const cluster = await EmbeddedCluster.start(platform, {
    brokers,
    dataDirectory,
    host: '127.0.0.1',
    brokerPorts: Array.from({ length: brokers }, () => 0),
    zookeeperPort: 0,
    overrides: { 'offsets.topic.num.partitions': '3', ...overrides },
  })
  const { bootstrapServers } = cluster
  const admin = new Admin(platform, { bootstrapServers })
  return {
    bootstrapServers,
    admin,
    brokers: cluster.brokers,
    async [Symbol.asyncDispose]() {
      await admin.close()
      await cluster.close()
      await rm(dataDirectory, { recursive: true })
    },
  }
}

export async function createTopic(cluster: TestCluster, name: string, partitions: number): Promise<void> {
  const results = await cluster.admin.createTopics([{ name, partitions, replicationFactor: 1 }])
  for (const error of results.values()) if (error !== null) throw error
}

/** Appends one batch of texts, to a cluster of one broker. */
export async function produce(
  cluster: TestCluster,
  topic: string,
  partition: number,
  values: readonly string[],
): Promise<void> {
  const [host, port] = cluster.bootstrapServers.split(',')[0]!.split(':')
  const connection = new BrokerConnection(platform, { host: host!, port: Number(port), clientId: 'test' })
  const builder = new RecordBatchBuilder({})
  for (const value of values)
    builder.append({ timestamp: Date.now(), key: null, value: new TextEncoder().encode(value) })
  for (;;) {
    const response = await connection.send(
      Produce,
      {
        transactionalId: null,
        acks: -1,
        timeoutMs: 5000,
        topicData: [{ name: topic, partitionData: [{ index: partition, records: builder.build() }] }],
      },
      { maxVersion: 9 },
    )
    const { errorCode } = response.responses[0]!.partitionResponses[0]!
    if (errorCode === 0) break
    // The topic is new, and its leader not yet one.
    if (errorCode !== 3 && errorCode !== 6) throw new Error(`Produce failed with ${errorCode}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  connection.close()
}

export function textOf(value: Uint8Array | null): string {
  return value === null ? '' : new TextDecoder().decode(value)
}

/** Resolves when it holds; fails after ten seconds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`did not happen within 10 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
