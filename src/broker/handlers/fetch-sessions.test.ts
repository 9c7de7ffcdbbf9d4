import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'

import {
  FetchSessionCache,
  type AnsweredPartition,
  type FetchRequestSession,
  type WantedPartition,
} from './fetch-sessions.ts'

const NOBODY = (): undefined => undefined

function cacheOf(slots = 1000): FetchSessionCache {
  let next = 1
  const random = { next: () => 0, below: () => next++, bytes: (length: number) => new Uint8Array(length) }
  return new FetchSessionCache(random, slots)
}

function wanted(topic: string, partition: number, fetchOffset = 0): WantedPartition {
  return {
    topic,
    topicId: null,
    partition,
    fetchOffset,
    logStartOffset: -1,
    maxBytes: 1000,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
  }
}

function request(
  sessionId: number,
  sessionEpoch: number,
  partitions: WantedPartition[] = [],
  more: Partial<FetchRequestSession> = {},
): FetchRequestSession {
  return { sessionId, sessionEpoch, privileged: false, usesTopicIds: false, partitions, forgotten: [], ...more }
}

interface Named extends AnsweredPartition {
  name: string
}

function answer(wanted: WantedPartition, more: Partial<AnsweredPartition> = {}): Named {
  return {
    name: `${wanted.topic}-${wanted.partition}`,
    errorCode: 0,
    highWatermark: 10,
    logStartOffset: 0,
    records: { length: 0 },
    divergingEpoch: null,
    preferredReadReplica: -1,
    ...more,
  }
}

/** Answers all that the context wants, as `more` says by name. */
function run(
  cache: FetchSessionCache,
  asked: FetchRequestSession,
  more: Record<string, Partial<AnsweredPartition>> = {},
  now = 0,
) {
  const context = cache.contextOf(asked, NOBODY, now)
  const answers = context.partitions.map((each) => answer(each, more[`${each.topic}-${each.partition}`]))
  const { errorCode, sessionId, answers: said } = context.answer(answers)
  return {
    errorCode: context.errorCode || errorCode,
    sessionId,
    wants: context.partitions.map((each) => `${each.topic}-${each.partition}@${each.fetchOffset}`),
    says: said.map((each) => each.name),
  }
}

test('without a session everything is asked for and answered each time', () => {
  const cache = cacheOf()
  const result = run(cache, request(0, -1, [wanted('a', 0)]))
  assert.deepEqual(result, { errorCode: 0, sessionId: 0, wants: ['a-0@0'], says: ['a-0'] })
  assert.equal(cache.size, 0)
})

test('an incremental answer speaks only of what is new', () => {
  const cache = cacheOf()
  const { sessionId } = run(cache, request(0, 0, [wanted('a', 0), wanted('a', 1)]))
  assert.ok(sessionId > 0)
  assert.deepEqual(run(cache, request(sessionId, 1)).says, [])
  assert.deepEqual(run(cache, request(sessionId, 2), { 'a-1': { records: { length: 5 } } }).says, ['a-1'])
  assert.deepEqual(run(cache, request(sessionId, 3), { 'a-0': { highWatermark: 11 } }).says, ['a-0'])
  assert.deepEqual(run(cache, request(sessionId, 4), { 'a-0': { highWatermark: 11, logStartOffset: 3 } }).says, ['a-0'])
})

test('an error is told, and what follows it too', () => {
  const cache = cacheOf()
  const { sessionId } = run(cache, request(0, 0, [wanted('a', 0)]))
  assert.deepEqual(run(cache, request(sessionId, 1), { 'a-0': { errorCode: 6, highWatermark: -1 } }).says, ['a-0'])
  assert.deepEqual(run(cache, request(sessionId, 2)).says, ['a-0'])
  assert.deepEqual(run(cache, request(sessionId, 3)).says, [])
})

test('partitions are changed, added and forgotten; what gave records comes last', () => {
  const cache = cacheOf()
  const { sessionId } = run(cache, request(0, 0, [wanted('a', 0), wanted('a', 1)]))
  const second = run(cache, request(sessionId, 1, [wanted('a', 0, 7), wanted('b', 0)]), {
    'a-0': { records: { length: 1 } },
  })
  assert.deepEqual(second.wants, ['a-0@7', 'a-1@0', 'b-0@0'])
  assert.deepEqual(second.says, ['a-0', 'b-0'])
  const forgotten = [{ topic: 'a', topicId: null, partition: 1 }]
  assert.deepEqual(run(cache, request(sessionId, 2, [], { forgotten })).wants, ['b-0@0', 'a-0@7'])
  const all = [
    { topic: 'a', topicId: null, partition: 0 },
    { topic: 'b', topicId: null, partition: 0 },
  ]
  const empty = run(cache, request(sessionId, 3, [], { forgotten: all }))
  assert.deepEqual([empty.sessionId, empty.wants, cache.size], [0, [], 0])
})

test('a wrong epoch, an unknown session and another way of naming topics are refused', () => {
  const cache = cacheOf()
  const { sessionId } = run(cache, request(0, 0, [wanted('a', 0)]))
  assert.equal(run(cache, request(sessionId, 2)).errorCode, ErrorCode.INVALID_FETCH_SESSION_EPOCH)
  assert.equal(run(cache, request(sessionId + 1, 1)).errorCode, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
  assert.equal(
    run(cache, request(sessionId, 1, [], { usesTopicIds: true })).errorCode,
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
  )
  assert.equal(run(cache, request(sessionId, 1)).errorCode, 0)
})

test('an answer that another request has overtaken is void', () => {
  const cache = cacheOf()
  const { sessionId } = run(cache, request(0, 0, [wanted('a', 0)]))
  const slow = cache.contextOf(request(sessionId, 1), NOBODY, 0)
  run(cache, request(sessionId, 2))
  const { errorCode } = slow.answer(slow.partitions.map((each) => answer(each)))
  assert.equal(errorCode, ErrorCode.INVALID_FETCH_SESSION_EPOCH)
})

test('epoch -1 closes a session, epoch 0 replaces it', () => {
  const cache = cacheOf()
  const first = run(cache, request(0, 0, [wanted('a', 0)])).sessionId
  const second = run(cache, request(first, 0, [wanted('a', 0)])).sessionId
  assert.notEqual(first, second)
  assert.equal(cache.size, 1)
  run(cache, request(second, -1, [wanted('a', 0)]))
  assert.equal(cache.size, 0)
})

test('a topic id that becomes known is resolved in the session', () => {
  const cache = cacheOf()
  const unknown = { ...wanted('', 0), topicId: 'id' }
  const asked = request(0, 0, [unknown], { usesTopicIds: true })
  const { sessionId } = run(cache, asked, { '-0': { errorCode: ErrorCode.UNKNOWN_TOPIC_ID } })
  const context = cache.contextOf(request(sessionId, 1, [], { usesTopicIds: true }), () => 'known', 0)
  assert.deepEqual(
    context.partitions.map((each) => each.topic),
    ['known'],
  )
})

test('a consumer that has set partitions aside is not kept waiting, until they do not come back', () => {
  const cache = cacheOf()
  const both = [wanted('a', 0), wanted('a', 1)]
  const { sessionId } = run(cache, request(0, 0, both))
  let epoch = 1
  const patience = (partitions: WantedPartition[], forgotten: WantedPartition[] = []): number => {
    const context = cache.contextOf(request(sessionId, epoch++, partitions, { forgotten }), NOBODY, 0)
    context.answer(context.partitions.map((each) => answer(each)))
    return context.patienceMs
  }
  assert.equal(patience([]), Infinity)
  assert.equal(patience([], [both[1]!]), 20)
  assert.equal(patience([]), 40)
  assert.equal(patience([]), 80)
  assert.equal(patience([], [wanted('a', 7)]), 160, 'a partition that was not there is not set aside')
  assert.equal(patience([both[1]!]), Infinity)
  assert.equal(patience([], [both[0]!]), 20)
})

test('a follower waits as long as it asks to', () => {
  const cache = cacheOf()
  const { sessionId } = run(cache, request(0, 0, [wanted('a', 0), wanted('a', 1)], { privileged: true }))
  const asked = request(sessionId, 1, [], { privileged: true, forgotten: [wanted('a', 1)] })
  assert.equal(cache.contextOf(asked, NOBODY, 0).patienceMs, Infinity)
})

test('a full cache gives way to followers, to the stale, and to nobody else', () => {
  const cache = cacheOf(2)
  const make = (privileged: boolean, size: number, now: number): number =>
    run(
      cache,
      request(
        0,
        0,
        Array.from({ length: size }, (_, index) => wanted('a', index)),
        { privileged },
      ),
      {},
      now,
    ).sessionId
  const small = make(false, 1, 0)
  make(false, 2, 0)
  assert.equal(make(false, 9, 1000), 0)
  assert.ok(make(true, 1, 1000) > 0)
  assert.equal(run(cache, request(small, 1), {}, 1000).errorCode, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
  assert.ok(make(false, 1, 130_000) > 0)
})
