/** Quotas: Apache's server and ours count the same, say it in the same bytes, and refuse the same writes; also after a restart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { CreateMode, ZooKeeperClient, type MultiStep } from '#zookeeper/client'

import { Ensemble, type Implementation } from '../../peers/index.ts'

const platform = nodePlatform({ logLevel: 'error' })

test('both servers count and refuse the same', async () => {
  const samsa = await transcript('samsa')
  assert.deepEqual(samsa, await transcript('apache'))
  assert.ok(samsa.includes('create /a/third: QUOTAEXCEEDED (/a/third)'))
  assert.ok(samsa.some((line) => /^\/a count=\d+,bytes=\d+ version/.test(line)))
})

async function transcript(implementation: Implementation): Promise<string[]> {
  const ensemble = await Ensemble.start({ servers: [implementation], properties: { enforceQuota: true, snapCount: 4 } })
  try {
    const story = new Story(ensemble.connect)
    await story.tell(beforeRestart)
    const [server] = ensemble.servers
    await server!.stop()
    server!.start()
    await ensemble.ready()
    await story.tell(afterRestart)
    return story.lines
  } finally {
    await ensemble.close()
  }
}

async function beforeRestart(story: Story): Promise<void> {
  await story.create('/a', 'top')
  await story.create('/a/early', '12345')
  await story.quota('/a', 'count=2,bytes=20=;byteHardLimit=30;countHardLimit=5')
  await story.create('/a/second', '123')
  await story.set('/a/second', '123456789')
  await story.set('/a/second', 'x'.repeat(40))
  await story.set('/a/second', 'x'.repeat(40), 99)
  await story.create('/ab', 'beside')
  await story.create('/a/s-', 'ab', CreateMode.persistentSequential)
  await story.create('/a/e', '1', CreateMode.ephemeral)
  await story.create('/a/third', '')
  await story.delete('/a/early')
  await story.multi([
    { op: 'create', path: '/a/m', data: Buffer.from('12') },
    { op: 'setData', path: '/a/m', data: Buffer.from('1'), version: -1 },
    { op: 'delete', path: '/a/m', version: -1 },
  ])
  await story.multi([
    { op: 'create', path: '/a/n', data: null },
    { op: 'create', path: '/a/n/n', data: null },
    { op: 'check', path: '/ab', version: 0 },
  ])
  await story.create('/a/n/deep', 'deep')
  await story.set('/zookeeper/quota/a/zookeeper_limits', 'count=-1,bytes=-1')
  await story.create('/a/n/deep', 'deep')
  // One within the other.
  await story.create('/zookeeper/quota/a/n', '')
  await story.quota('/a/n', 'count=1,bytes=1')
  await story.create('/a/n/deeper', 'deeper')
  await story.set('/a', '')
  await story.quota('/none', 'count=1,bytes=1')
  await story.create('/none', '123')
  await story.set('/zookeeper/quota/none/zookeeper_stats', 'count=7,bytes=7=;countHardLimit=3')
  await story.set('/none', '12345')
}

async function afterRestart(story: Story): Promise<void> {
  await story.stats()
  await story.create('/a/later', '1')
  await story.create('/a/n/later', '1')
  await story.delete('/zookeeper/quota/a/n/zookeeper_limits')
  await story.create('/a/n/latest', '1')
  await story.delete('/zookeeper/quota/none/zookeeper_stats')
  await story.set('/none', '')
}

/** What was done, what came of it, and what all statistics are afterwards. */
class Story {
  readonly lines: string[] = []
  readonly #connect: string
  readonly #quotas: string[] = []
  #client: ZooKeeperClient | null = null

  constructor(connect: string) {
    this.#connect = connect
  }

  /** Ephemeral znodes go with the end of each chapter. */
  async tell(chapter: (story: Story) => Promise<void>): Promise<void> {
    this.#client = await ZooKeeperClient.connect(platform, { connect: this.#connect, sessionTimeoutMs: 10_000 })
    await chapter(this)
    await this.#client.close()
    this.#client = await ZooKeeperClient.connect(platform, { connect: this.#connect, sessionTimeoutMs: 10_000 })
    await this.stats()
    await this.#client.close()
  }

  async quota(path: string, limits: string): Promise<void> {
    const folder = `/zookeeper/quota${path}`
    await this.#client!.create(folder, null).catch(() => {})
    this.#quotas.push(path)
    await this.create(`${folder}/zookeeper_limits`, limits)
    await this.create(`${folder}/zookeeper_stats`, 'count=-1,bytes=-1')
  }

  create(path: string, data: string, mode: CreateMode = CreateMode.persistent): Promise<void> {
    return this.#note(`create ${path}`, this.#client!.create(path, Buffer.from(data), { mode }))
  }

  set(path: string, data: string, version = -1): Promise<void> {
    return this.#note(`set ${path}`, this.#client!.setData(path, Buffer.from(data), version))
  }

  delete(path: string): Promise<void> {
    return this.#note(`delete ${path}`, this.#client!.delete(path))
  }

  multi(steps: readonly MultiStep[]): Promise<void> {
    return this.#note(`multi ${steps.map(({ op, path }) => `${op} ${path}`).join(', ')}`, this.#client!.multi(steps))
  }

  async stats(): Promise<void> {
    for (const path of this.#quotas) {
      const node = await this.#client!.getData(`/zookeeper/quota${path}/zookeeper_stats`).catch(() => null)
      if (node === null) continue
      const { version, mzxid, czxid, pzxid, dataLength } = node.stat
      const text = String(Buffer.from(node.data!))
      this.lines.push(`${path} ${text} version ${version} length ${dataLength} zxids ${mzxid} ${czxid} ${pzxid}`)
    }
  }

  async #note(what: string, done: Promise<unknown>): Promise<void> {
    const outcome = await done.then(
      () => 'done',
      (error: Error) => error.message,
    )
    this.lines.push(`${what}: ${outcome}`)
    await this.stats()
  }
}
