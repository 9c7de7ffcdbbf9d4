/** What callers without types may give by mistake: each is refused at once, in words, before anything is asked of a cluster. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, Consumer, KafkaError, Producer } from '#client'
import type { Platform } from '#platform'
import { World } from '#simulation'

const bootstrapServers = 'nobody:9092'

test('mistakes are told at once and in words', async () => {
  const world = new World(1)
  let platform!: Platform
  world.process('client').start(async (given) => void (platform = given))
  await world.run(1)
  // As JavaScript sees them.
  const untyped = (client: object): Record<string, (...given: unknown[]) => unknown> => client as never
  const producer = untyped(new Producer(platform, { bootstrapServers }))
  const consumer = untyped(new Consumer(platform, { bootstrapServers, groupId: 'g' }))
  const admin = untyped(new Admin(platform, { bootstrapServers }))
  const rows: [() => unknown, RegExp][] = [
    [() => producer['send']!({ topic: 't', messages: [] }), /named by text.*not by \{"topic":"t","messages":\[\]\}/],
    [() => producer['send']!('', { value: 'x' }), /not by empty text/],
    [() => producer['sendBatch']!(7, [{ value: 'x' }]), /not by 7/],
    [() => producer['push']!(undefined, { value: 'x' }), /not by undefined/],
    [() => producer['partitionsOf']!(null), /not by null/],
    [() => producer['send']!('t', 'hello'), /a record is an object such as \{ key, value \}, and not hello/],
    [() => producer['send']!('t'), /and not undefined/],
    [() => producer['send']!('t', { value: 'x', timestamp: 'noon' }), /whole number of ms.*not noon/],
    [() => consumer['subscribe']!({ topic: 't' }), /a name, a list of names or a RegExp/],
    [() => consumer['subscribe']!(['t', 5]), /not by 5/],
    [() => consumer['assign']!({ topic: 't', partition: 0 }), /a list of \{ topic, partition \}/],
    [() => consumer['assign']!([{ topic: 't', partition: '0' }]), /a partition is a whole number from 0 on, and not 0/],
    [() => consumer['assign']!([null]), /not by undefined/],
    [() => admin['createTopics']!('t'), /topics are a list such as/],
    [() => admin['createTopics']!(['t']), /not by undefined/],
    [() => admin['deleteTopics']!('t'), /topics to delete are a list/],
    [() => new Producer(platform, undefined as never), /settings of a producer are an object/],
  ]
  for (const [call, expected] of rows) {
    const error = await Promise.resolve()
      .then(call)
      .then(() => 'it was accepted')
      .catch((failure: unknown) => failure)
    assert.ok(error instanceof KafkaError, `${String(call)}: ${String(error)}`)
    assert.match(error.message, expected)
  }
})
