/** What a client believes when brokers that know more and less answer in turn. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode, ZERO_UUID } from '#protocol'
import type { MetadataResponse } from '#protocol/messages/metadata'

import { ClusterImage } from './image.ts'

const ID = 'QV9hX3RvcGljX2FfaWQtLQ'
const OTHER_ID = 'b3RoZXJfdG9waWNfaWQtLQ'

interface Told {
  readonly topicId?: string
  readonly leader?: number
  readonly leaderEpoch?: number
  readonly errorCode?: number
}

function answer(told: Told | null): MetadataResponse {
  const broker = { nodeId: 1, host: 'a', port: 1, rack: null }
  const topic = ({ topicId = ID, leader = 1, leaderEpoch = 0, errorCode = ErrorCode.NONE }: Told) => ({
    errorCode,
    name: 't',
    topicId,
    isInternal: false,
    partitions:
      errorCode === ErrorCode.NONE
        ? [
            {
              errorCode,
              partitionIndex: 0,
              leaderId: leader,
              leaderEpoch,
              replicaNodes: [1, 2],
              isrNodes: [1, 2],
              offlineReplicas: [],
            },
          ]
        : [],
    topicAuthorizedOperations: 0,
  })
  return {
    throttleTimeMs: 0,
    brokers: [broker],
    clusterId: 'c',
    controllerId: 1,
    topics: told === null ? [] : [topic(told)],
    clusterAuthorizedOperations: 0,
  }
}

function leaderAfter(answers: readonly (Told | null)[], isOfAllTopics = false): { leader: number; epoch: number } {
  const image = new ClusterImage()
  for (const told of answers) image.apply(answer(told), isOfAllTopics)
  const { leader, leaderEpoch } = image.topics.get('t')!.partitions[0]!
  return { leader, epoch: leaderEpoch }
}

const NEWER: Told = { leader: 2, leaderEpoch: 3 }
const OLDER: Told = { leader: 1, leaderEpoch: 2 }
const UNKNOWN: Told = { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }

test('an older leader is not believed, also after an answer that did not know the topic at all', () => {
  assert.deepEqual(leaderAfter([NEWER, OLDER]), { leader: 2, epoch: 3 })
  assert.deepEqual(leaderAfter([NEWER, UNKNOWN, OLDER]), { leader: 2, epoch: 3 })
  assert.deepEqual(leaderAfter([NEWER, null, OLDER], true), { leader: 2, epoch: 3 })
})

test('a topic that was made anew under its name begins again at epoch 0', () => {
  const anew = { topicId: OTHER_ID, leader: 1, leaderEpoch: 0 }
  assert.deepEqual(leaderAfter([NEWER, anew]), { leader: 1, epoch: 0 })
  assert.deepEqual(leaderAfter([NEWER, UNKNOWN, anew]), { leader: 1, epoch: 0 })
})

test('without topic ids a topic that was missing may be another one', () => {
  const nameless = (told: Told): Told => ({ ...told, topicId: ZERO_UUID })
  assert.deepEqual(leaderAfter([nameless(NEWER), nameless(OLDER)]), { leader: 2, epoch: 3 })
  assert.deepEqual(leaderAfter([nameless(NEWER), UNKNOWN, nameless(OLDER)]), { leader: 1, epoch: 2 })
})
