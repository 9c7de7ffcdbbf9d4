/**
 * A member of a group that works on one record after the other and prints the offset of each, until it is killed: slowly, so that the
 * one who reads along can choose the moment. Commits five records at a time, before it works on them or after.
 *
 *     killed-consumer.ts BOOTSTRAP TOPIC GROUP before|after
 */
import { setTimeout } from 'node:timers/promises'

import { Consumer } from '#client'
import { silentLogger } from '#platform'
import { nodePlatform } from '#platform/node'

const [bootstrapServers, topic, groupId, commits] = process.argv.slice(2)
const RECORDS_PER_COMMIT = 5

const consumer = new Consumer(
  { ...nodePlatform(), logger: silentLogger },
  {
    bootstrapServers: bootstrapServers!,
    groupId: groupId!,
    autoOffsetReset: 'earliest',
    enableAutoCommit: false,
    sessionTimeoutMs: 300,
    heartbeatIntervalMs: 50,
    maxPollRecords: RECORDS_PER_COMMIT,
  },
)
consumer.subscribe(topic!)
for await (const { records } of consumer.batches()) {
  if (commits === 'before') await consumer.commit()
  for (const { offset } of records) {
    console.log(offset)
    await setTimeout(30)
  }
  if (commits === 'after') await consumer.commit()
}
