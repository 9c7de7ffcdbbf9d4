import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Deferred, type RpcRequest } from '#rpc'

import type { BrokerServices } from '../services.ts'
import { offsetCommit } from './offset-commit.ts'

test('a commit to ZooKeeper holds up what follows on its connection until it is written', async () => {
  const written = Promise.withResolvers<boolean>()
  const broker = {
    metadata: { image: { topic: () => ({}) } },
    config: { offsetMetadataMaxBytes: 100 },
    zk: { ensurePath: () => written.promise },
  } as unknown as BrokerServices
  const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: '' }]
  const message = { groupId: 'g', topics: [{ name: 't', partitions }] }
  const answer = offsetCommit.handle(broker, { message, apiVersion: 0 } as unknown as RpcRequest)
  assert.ok(answer instanceof Deferred)
  let isDone = false
  const effect = answer.effect.then(() => (isDone = true))
  await Promise.resolve()
  assert.equal(isDone, false)
  written.resolve(true)
  await effect
  assert.deepEqual(await answer.response, {
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode: 0 }] }],
  })
})
