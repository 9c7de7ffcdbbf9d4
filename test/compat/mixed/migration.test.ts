/**
 * A cluster moves from Apache's brokers to Samsa's, broker by broker on the same data directories, and back again, while clients
 * produce and a group reads on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Implementation } from '../../peers/index.ts'
import { Mixed } from './mixed.ts'

test("from Apache's brokers to Samsa's and back, one at a time", async (context) => {
  const mixed = await Mixed.start(['apache', 'apache', 'apache'])
  try {
    const group = new Group(mixed)
    await group.reads('of the cluster as it was')
    for (const kind of ['samsa', 'apache'] as const) {
      for (const id of [1, 2, 3]) {
        const begun = Date.now()
        await replaced(mixed, id, kind)
        await mixed.progress()
        context.diagnostic(`broker ${id} is ${kind} after ${Date.now() - begun} ms`)
      }
      await group.reads(`of ${kind}`)
    }
    const { acknowledged, ...wrong } = await mixed.account()
    context.diagnostic(`${acknowledged} records acknowledged`)
    assert.ok(acknowledged > 1000)
    assert.deepEqual(wrong, { missing: [], doubled: [], differing: [] })
  } finally {
    await mixed.close()
  }
})

/** As in any rolling restart: it leaves cleanly, comes back as the other kind, and is in sync before the next one goes. */
async function replaced(mixed: Mixed, id: number, kind: Implementation): Promise<void> {
  const server = mixed.cluster.byId(id)
  await server.stop(60_000)
  mixed.cluster.become(id, kind)
  await server.startAgain()
  await mixed.cluster.ready()
  await mixed.inSync()
}

/** Reads a topic a few lines at a time: each begins where the last one committed, whoever is the coordinator by then. */
class Group {
  readonly #mixed: Mixed
  #lines = 0

  constructor(mixed: Mixed) {
    this.#mixed = mixed
  }

  async reads(word: string): Promise<void> {
    const lines = [1, 2, 3].map((index) => `${word} ${this.#lines + index}`)
    this.#lines += lines.length
    if (this.#lines === lines.length)
      await this.#mixed.run('kafka-topics', [
        '--create',
        '--topic',
        'lines',
        '--partitions',
        '1',
        '--replication-factor',
        '3',
      ])
    await this.#mixed.known('lines', 1)
    await this.#mixed.run('kafka-console-producer', ['--topic', 'lines'], `${lines.join('\n')}\n`)
    const read = await this.#mixed.run('kafka-console-consumer', [
      '--topic',
      'lines',
      '--group',
      'readers',
      '--from-beginning',
      '--max-messages',
      String(lines.length),
    ])
    assert.deepEqual(read.trim().split('\n'), lines)
  }
}
