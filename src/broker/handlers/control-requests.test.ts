import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { LeaderAndIsrRequest, LeaderAndIsrResponseInput } from '#protocol/messages/leader-and-isr'
import type { RpcRequest } from '#rpc'
import { ZkError, ZkErrorCode } from '#zookeeper/client'

import type { BrokerServices } from '../services.ts'
import { leaderAndIsr } from './control-requests.ts'

/** A broker that notes what it does; ZooKeeper fails that often before it answers. */
function broker(failures: number): { services: BrokerServices; deeds: string[] } {
  const deeds: string[] = []
  const loaded = new Set<string>()
  let left = failures
  const services = {
    topicConfigs: {
      isLoaded: (topic: string) => loaded.has(topic),
      async reload(topic: string) {
        await Promise.resolve()
        if (left-- > 0) throw new ZkError(ZkErrorCode.SESSIONEXPIRED, '/config/topics/t')
        deeds.push(`read ${topic}`)
        loaded.add(topic)
      },
    },
    replicas: {
      becomeLeaderOrFollower({ topicStates }: LeaderAndIsrRequest) {
        deeds.push(`roles of ${topicStates.map(({ topicName }) => topicName).join()}`)
        return { errorCode: 0, topics: [], partitionErrors: [] }
      },
    },
  } as unknown as BrokerServices
  return { services, deeds }
}

function request(...topics: string[]): RpcRequest {
  const topicStates = topics.map((topicName) => ({ topicName }))
  return { apiVersion: 7, message: { topicStates, ungroupedPartitionStates: [] } } as unknown as RpcRequest
}

const DONE: LeaderAndIsrResponseInput = { errorCode: 0, topics: [] }

test('a topic that was not heard of is configured before its first replica is made, and read once', async () => {
  const { services, deeds } = broker(0)
  assert.deepEqual(await leaderAndIsr.handle(services, request('a', 'b', 'a')), DONE)
  assert.deepEqual(deeds, ['read a', 'read b', 'roles of a,b,a'])
  // Synchronously now: what follows on the connection finds the roles changed.
  assert.deepEqual(leaderAndIsr.handle(services, request('b')), DONE)
  assert.equal(deeds.at(-1), 'roles of b')
})

test('where ZooKeeper does not say it no role is taken, not even by half; the same word is obeyed later (KAFKA-9769)', async () => {
  const { services, deeds } = broker(1)
  await assert.rejects(Promise.resolve(leaderAndIsr.handle(services, request('a', 'b'))), /SESSIONEXPIRED/)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(deeds, ['read b'])
  assert.deepEqual(await leaderAndIsr.handle(services, request('a', 'b')), DONE)
  assert.deepEqual(deeds, ['read b', 'read a', 'roles of a,b'])
})
