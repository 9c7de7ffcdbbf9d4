/** A cluster of ours over real sockets, in a folder of its own, for the producer's tests. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { EmbeddedCluster } from '../../src/embedded/index.ts'
import type { Platform } from '../../src/platform/index.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'

export interface TestCluster extends AsyncDisposable {
  readonly platform: Platform
  readonly bootstrapServers: string
  readonly cluster: EmbeddedCluster
}

export async function startTestCluster(overrides: Record<string, string> = {}): Promise<TestCluster> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'samsa-client-'))
  const platform = nodePlatform({ logLevel: 'error' })
  const cluster = await EmbeddedCluster.start(platform, {
    brokers: 3,
    dataDirectory,
    host: '127.0.0.1',
    brokerPorts: [0, 0, 0],
    zookeeperPort: 0,
    overrides,
  })
  return {
    platform,
    cluster,
    bootstrapServers: cluster.bootstrapServers,
    async [Symbol.asyncDispose]() {
      await cluster.close()
      await rm(dataDirectory, { recursive: true, force: true })
    },
  }
}
