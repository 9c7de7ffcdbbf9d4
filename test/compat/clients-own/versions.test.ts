/** A round of our clients against the newest Apache Kafka and the oldest that starts here: from a topic's creation to its deletion. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { Admin, Consumer, Producer } from '#client'

import { CODECS, KAFKA_VERSIONS, type KafkaVersion, run, samsa, startKafka, until } from '../../peers/index.ts'
import { Member, platform, readAll, sharedEvenly, textOf, upTo } from './own.ts'

const PARTITIONS = 3
const RECORDS_PER_CODEC = 500
const TOTAL = RECORDS_PER_CODEC * CODECS.length

for (const version of Object.keys(KAFKA_VERSIONS) as KafkaVersion[]) {
  const skip = KAFKA_VERSIONS[version].isInstalled() ? false : 'it is not installed'
  test(`a round against the ${version} Apache Kafka`, { skip }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'samsa-version-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    await using kafka = await startKafka(version, folder)
    const { bootstrap: bootstrapServers } = kafka
    await using admin = new Admin(platform, { bootstrapServers })
    const topic = 'round'

    await t.test('a topic is created and described', async () => {
      const created = await admin.createTopics([{ name: topic, partitions: 1, configs: { 'retention.ms': '3600000' } }])
      assert.deepEqual([...created], [[topic, null]])
      assert.deepEqual([...(await admin.createPartitions(new Map([[topic, PARTITIONS]])))], [[topic, null]])
      // The controller knows of the new partitions before the broker tells of them.
      const described = await until('all partitions are there', async () => {
        const [seen] = await admin.describeTopics([topic])
        return seen!.partitionCount === PARTITIONS && seen!.partitions.every(({ leader }) => leader === 1) && seen!
      })
      assert.deepEqual(
        described.partitions.map(({ leader, replicas, isr }) => ({ leader, replicas, isr })),
        upTo(PARTITIONS).map(() => ({ leader: 1, replicas: [1], isr: [1] })),
      )
      const { brokers, controllerId } = await admin.describeCluster()
      assert.deepEqual([brokers.map(({ nodeId }) => nodeId), controllerId], [[1], 1])
    })

    for (const codec of CODECS)
      await t.test(`records in ${codec}`, async () => {
        await using producer = new Producer(platform, { bootstrapServers, compressionType: codec })
        const sent = await Promise.all(
          upTo(RECORDS_PER_CODEC).map((index) =>
            producer.send(topic, { key: `${index}`, value: `${codec} ${index}`.padEnd(200, 'ab') }),
          ),
        )
        const found = await readAll(bootstrapServers, topic, PARTITIONS)
        for (const [index, { partition, offset }] of sent.entries())
          assert.equal(textOf(found[partition]![offset]!.value), `${codec} ${index}`.padEnd(200, 'ab'))
      })

    await t.test('a group reads it, commits, and goes on from there', async () => {
      const options = {
        bootstrapServers,
        groupId: 'readers',
        autoOffsetReset: 'earliest',
        autoCommitIntervalMs: 100,
      } as const
      const members = [new Member(topic, options), new Member(topic, options)]
      await sharedEvenly(members, PARTITIONS)
      await using later = new Consumer(platform, options)
      const seen = (): Set<string> => new Set(members.flatMap((member) => member.seen))
      await until('all is read', () => seen().size === TOTAL)
      const [group] = await admin.groups.describe(['readers'])
      assert.deepEqual([group!.state, group!.members.length], ['Stable', 2])
      for (const member of members) await member.close()
      const lag = await admin.groups.lag('readers')
      assert.deepEqual(
        lag.map((partition) => partition.lag),
        upTo(PARTITIONS).map(() => 0),
      )
      later.subscribe(topic)
      await using producer = new Producer(platform, { bootstrapServers })
      const { offset } = await producer.send(topic, { value: 'later', partition: 1 })
      for await (const record of later.records({ toEnd: true })) assert.equal(record.offset, offset)
      assert.deepEqual(
        (await admin.groups.list()).map(({ groupId }) => groupId),
        ['readers'],
      )
    })

    await t.test('offsets by time and at the ends', async () => {
      await using consumer = new Consumer(platform, { bootstrapServers })
      const places = upTo(PARTITIONS).map((partition) => ({ topic, partition }))
      const ends = await consumer.endOffsets(places)
      assert.equal(
        ends.reduce((sum, end) => sum + end, 0),
        TOTAL + 1,
      )
      const found = await consumer.offsetsForTimes(places.map((place) => ({ ...place, timestamp: 1 })))
      assert.deepEqual(
        found.map((at) => at.found?.offset),
        [0, 0, 0],
      )
    })

    await t.test('the command', async () => {
      const [program, ...described] = samsa('cluster', 'describe', '-b', bootstrapServers)
      assert.match((await run(program, described)).stdout, /127\.0\.0\.1/)
      const [, ...produced] = samsa('produce', topic, '-b', bootstrapServers, '-p', '2', '-z', 'zstd')
      await run(program, produced, { input: 'from a pipe\n' })
      const [, ...consumed] = samsa('consume', topic, '-b', bootstrapServers, '-p', '2', '-o', '-1', '-e')
      assert.equal((await run(program, consumed)).stdout, 'from a pipe\n')
    })

    await t.test('configurations change; group and topic are deleted', async () => {
      await admin.alterTopicConfigs(topic, new Map([['retention.ms', '7200000']]))
      assert.deepEqual([...(await admin.groups.delete(['readers']))], [['readers', null]])
      assert.deepEqual([...(await admin.deleteTopics([topic]))], [[topic, null]])
      await until('the topic is gone', async () => (await admin.listTopics()).every(({ name }) => name !== topic))
    })
  })
}
