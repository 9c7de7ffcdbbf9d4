import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'

import { FetchSession, type FetchTarget } from './fetch-session.ts'

const ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const OTHER_ID = 'AAAAAAAAAAAAAAAAAAAAAg'

function target(partition: number, fetchOffset: number, topicId = ID): FetchTarget {
  return { topic: 't', topicId, partition, fetchOffset, currentLeaderEpoch: 3, partitionMaxBytes: 100 }
}

/** `session/epoch named -forgotten`, e.g. `7/1 t-0@5 -t-1`. */
function said(session: FetchSession, targets: readonly FetchTarget[]): string {
  const { sessionId, sessionEpoch, topics, forgottenTopicsData } = session.next(targets)
  const named = topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, fetchOffset }) => ` ${topic}-${partition}@${fetchOffset}`),
  )
  const forgotten = forgottenTopicsData!.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ` -${topic}-${partition}`),
  )
  return `${sessionId}/${sessionEpoch}${named.join('')}${forgotten.join('')}`
}

const answer = (sessionId: number, errorCode: number = ErrorCode.NONE) => ({ sessionId, errorCode })

test('a session names everything once, and then only what has changed', () => {
  const session = new FetchSession()
  assert.equal(said(session, [target(0, 0), target(1, 0)]), '0/0 t-0@0 t-1@0')
  assert.ok(session.onAnswer(answer(7)))
  assert.equal(said(session, [target(0, 5), target(1, 0)]), '7/1 t-0@5')
  assert.ok(session.onAnswer(answer(7)))
  assert.equal(said(session, [target(0, 5), target(2, 0)]), '7/2 t-2@0 -t-1')
  assert.equal(session.topicNameOf(ID), 't')
  assert.equal(session.topicNameOf(OTHER_ID), null)
})

test('a topic that was made anew is forgotten under its old id and named under the new one', () => {
  const session = new FetchSession()
  session.next([target(0, 5)])
  session.onAnswer(answer(7))
  assert.equal(said(session, [target(0, 0, OTHER_ID)]), '7/1 t-0@0 -t-0')
})

test('a broker without room for sessions is asked in full each time', () => {
  const session = new FetchSession()
  session.next([target(0, 0)])
  assert.ok(session.onAnswer(answer(0)))
  assert.equal(said(session, [target(0, 1)]), '0/0 t-0@1')
  assert.equal(session.isOpen, false)
})

test('an unknown session begins anew; after any other failure the old one is closed by the new', () => {
  const session = new FetchSession()
  session.next([target(0, 0)])
  session.onAnswer(answer(7))
  session.next([target(0, 0)])
  assert.equal(session.onAnswer(answer(0, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)), false)
  assert.equal(said(session, [target(0, 0)]), '0/0 t-0@0')
  session.onAnswer(answer(8))
  session.next([target(0, 0)])
  session.onFailure()
  assert.equal(said(session, [target(0, 0)]), '8/0 t-0@0')
  session.onAnswer(answer(9))
  assert.deepEqual(session.close(), { sessionId: 9, sessionEpoch: -1, topics: [], forgottenTopicsData: [] })
  assert.equal(session.isOpen, false)
})
