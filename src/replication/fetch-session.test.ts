import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import type { FetchResponse } from '#protocol/messages/fetch'

import { FetchSession, type FetchTarget } from './fetch-session.ts'

const ID_A = 'AAECAwQFBgcICQoLDA0ODw'
const ID_B = 'BBECAwQFBgcICQoLDA0ODw'

function targets(
  ...rows: [topic: string, partition: number, offset: number, topicId?: string | null][]
): Map<string, FetchTarget> {
  return new Map(
    rows.map(([topic, partition, fetchOffset, topicId = ID_A]) => [
      `${topic}-${partition}`,
      {
        topic,
        topicId,
        partition,
        fetchOffset,
        logStartOffset: 0,
        currentLeaderEpoch: 1,
        lastFetchedEpoch: 1,
        maxBytes: 100,
      },
    ]),
  )
}

const answer = (sessionId: number, errorCode = 0): FetchResponse => ({
  sessionId,
  errorCode,
  throttleTimeMs: 0,
  responses: [],
  nodeEndpoints: [],
})

const wanted = ({ topics }: ReturnType<FetchSession['next']>): string[] =>
  topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, fetchOffset }) => `${topic}-${partition}@${fetchOffset}`),
  )

test('the first request is full, later ones carry what has changed and what is no longer wanted', () => {
  const session = new FetchSession()
  const first = session.next(targets(['t', 0, 5], ['t', 1, 7]))
  assert.deepEqual([first.sessionId, first.sessionEpoch, wanted(first)], [0, 0, ['t-0@5', 't-1@7']])
  assert.equal(session.answered(answer(33)), true)
  const second = session.next(targets(['t', 0, 6], ['t', 1, 7]))
  assert.deepEqual([second.sessionId, second.sessionEpoch, wanted(second)], [33, 1, ['t-0@6']])
  session.answered(answer(33))
  const third = session.next(targets(['t', 1, 7], ['t', 2, 0]))
  assert.deepEqual([third.sessionEpoch, wanted(third)], [2, ['t-2@0']])
  assert.deepEqual(third.forgottenTopicsData, [{ topic: 't', topicId: ID_A, partitions: [0] }])
  session.answered(answer(33))
  assert.deepEqual(wanted(session.next(targets(['t', 1, 7], ['t', 2, 0]))), [])
})

test('a topic that was made again under its name is another one', () => {
  const session = new FetchSession()
  session.next(targets(['t', 0, 5]))
  session.answered(answer(1))
  const next = session.next(targets(['t', 0, 0, ID_B]))
  assert.deepEqual(next.forgottenTopicsData, [{ topic: 't', topicId: ID_A, partitions: [0] }])
  assert.equal(next.topics[0]!.topicId, ID_B)
})

test('a lost session, a changed way of naming, or a leader that wants none: full again', () => {
  const session = new FetchSession()
  const start = (): void => {
    session.reset()
    session.next(targets(['t', 0, 5]))
    session.answered(answer(9))
  }
  start()
  assert.equal(session.answered(answer(0, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)), false)
  let next = session.next(targets(['t', 0, 5]))
  assert.deepEqual([next.sessionId, next.sessionEpoch, wanted(next).length], [0, 0, 1])
  start()
  assert.equal(session.answered(answer(0, ErrorCode.INVALID_FETCH_SESSION_EPOCH)), false)
  next = session.next(targets(['t', 0, 5]))
  assert.deepEqual([next.sessionId, next.sessionEpoch], [9, 0])
  start()
  next = session.next(targets(['t', 0, 5], ['u', 0, 0, null]))
  assert.deepEqual([next.sessionEpoch, wanted(next).length, session.usesTopicIds], [0, 2, false])
  session.answered(answer(0))
  assert.equal(session.next(targets(['t', 0, 5])).sessionEpoch, 0)
})
