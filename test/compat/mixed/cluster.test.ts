/**
 * Samsa's and Apache's brokers in one cluster: each kind is the controller, leads and follows in turn, while Apache's tools make,
 * grow, move and delete topics under load.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { until } from '../../peers/index.ts'
import { MIXES, Mixed, PARTITIONS, assigned } from './mixed.ts'

for (const kinds of MIXES)
  test(`${kinds.join(', ')}: each is controller, leader and follower in turn`, async (context) => {
    const mixed = await Mixed.start(kinds)
    try {
      for (const controller of [1, 3]) {
        await mixed.makeController(controller)
        await administer(mixed, `${kinds[controller - 1]}-controls`)
        await moveThrough(mixed, context)
      }
      const { acknowledged, ...wrong } = await mixed.account()
      context.diagnostic(`${acknowledged} records acknowledged`)
      assert.ok(acknowledged > 1000)
      assert.deepEqual(wrong, { missing: [], doubled: [], differing: [] })
    } finally {
      await mixed.close()
    }
  })

/** A topic is made, grown and deleted; afterwards no broker has anything of it. */
async function administer(mixed: Mixed, topic: string): Promise<void> {
  await mixed.run('kafka-topics', ['--create', '--topic', topic, '--partitions', '3', '--replication-factor', '3'])
  await mixed.known(topic, 3)
  await mixed.run('kafka-topics', ['--alter', '--topic', topic, '--partitions', '6'])
  await mixed.known(topic, 6)
  await mixed.inSync([topic])
  await mixed.run('kafka-console-producer', ['--topic', topic], 'one\ntwo\n')
  const read = ['--topic', topic, '--from-beginning', '--max-messages', '2']
  assert.deepEqual((await mixed.run('kafka-console-consumer', read)).trim().split('\n').sort(), ['one', 'two'])
  await mixed.run('kafka-topics', ['--delete', '--topic', topic])
  await until(`${topic} is gone everywhere`, () =>
    mixed.cluster.brokers.every(({ directory }) =>
      readdirSync(join(directory, 'data')).every((name) => !name.startsWith(topic) || name.endsWith('-delete')),
    ),
  )
}

/** Every partition of a loaded topic moves to one broker alone, from broker to broker, and back to all. */
async function moveThrough(mixed: Mixed, context: TestContext): Promise<void> {
  const all = [1, 2, 3]
  for (const target of [[3], [1], [2, 3, 1], all]) {
    const begun = Date.now()
    await reassign(mixed, target)
    await mixed.run('kafka-leader-election', ['--election-type', 'preferred', '--all-topic-partitions']).catch(() => {})
    await until(`broker ${target[0]} leads`, async () => {
      const { topics } = await mixed.cluster.metadata(['java'])
      return topics[0]!.partitions.every(({ leader }) => leader === target[0])
    })
    // With fewer replicas than min.insync.replicas asks for, all of them are enough.
    await mixed.progress()
    context.diagnostic(`moved to ${target.join(', ')} in ${Date.now() - begun} ms`)
  }
  await mixed.inSync()
}

async function reassign(mixed: Mixed, replicas: readonly number[]): Promise<void> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: 'java', partition, replicas }))
  const file = join(mixed.cluster.directory, 'reassignment.json')
  writeFileSync(file, JSON.stringify({ version: 1, partitions }))
  const plan = ['--reassignment-json-file', file]
  const throttle = ['--throttle', '50000000']
  assert.match(
    await mixed.run('kafka-reassign-partitions', [...plan, '--execute', ...throttle]),
    /Successfully started/,
  )
  await until(
    'the partitions have moved',
    async () =>
      /is (?:still in progress|complete)/.test(
        await mixed.run('kafka-reassign-partitions', [...plan, '--verify', '--preserve-throttles']),
      ) && !(await mixed.run('kafka-reassign-partitions', ['--list'])).includes('replicas:'),
  )
  // The tool takes the replicas from any broker, which hears of the last step after the controller has done it.
  await assigned(mixed.cluster, 'java', Array<readonly number[]>(PARTITIONS).fill(replicas))
  const verified = await mixed.run('kafka-reassign-partitions', [...plan, '--verify'])
  assert.equal(verified.match(/is (?:complete|completed)/g)?.length ?? 0, PARTITIONS, verified)
  assert.match(verified, /Clearing broker-level throttles/)
  assert.ok(existsSync(file))
}
