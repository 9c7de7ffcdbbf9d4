import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MalformedBytesError } from '#base'

import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-messages.ts'

const SUBSCRIPTION = {
  topics: ['b', 'a'],
  userData: Uint8Array.of(1, 2),
  ownedPartitions: [
    { topic: 'b', partition: 1 },
    { topic: 'a', partition: 2 },
    { topic: 'a', partition: 0 },
  ],
  generation: 5,
  rackId: 'r',
}

/** As Java's consumer of 3.9 writes it: version 3, topics and partitions sorted. */
const BYTES = Buffer.from(
  [
    '0003',
    '00000002 0001 61 0001 62',
    '00000002 0102',
    '00000002 0001 61 00000002 00000000 00000002 0001 62 00000001 00000001',
    '00000005',
    '0001 72',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
)

test('a subscription is the bytes that Java writes, and is read back', () => {
  assert.deepEqual(Buffer.from(encodeSubscription(SUBSCRIPTION)), BYTES)
  const read = decodeSubscription(BYTES)
  assert.deepEqual(read.topics, ['a', 'b'])
  assert.deepEqual([read.generation, read.rackId, [...read.userData!]], [5, 'r', [1, 2]])
  assert.equal(read.ownedPartitions.length, 3)
})

test('older subscriptions lack fields, and newer ones have more', () => {
  const oldest = Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 1, 0x61, 0xff, 0xff, 0xff, 0xff)
  assert.deepEqual(decodeSubscription(oldest), {
    topics: ['a'],
    userData: null,
    ownedPartitions: [],
    generation: -1,
    rackId: null,
  })
  const newer = Uint8Array.of(...BYTES, 1, 2, 3)
  newer[1] = 9
  assert.equal(decodeSubscription(newer).generation, 5)
  assert.throws(() => decodeSubscription(Uint8Array.of(0xff, 0xff, 0, 0)), MalformedBytesError)
  assert.throws(() => decodeSubscription(Uint8Array.of(0)), MalformedBytesError)
})

test('an assignment keeps its order by topic; none at all is no partitions', () => {
  const partitions = [
    { topic: 'b', partition: 1 },
    { topic: 'b', partition: 0 },
    { topic: 'a', partition: 7 },
  ]
  assert.deepEqual(decodeAssignment(encodeAssignment(partitions)), partitions)
  assert.deepEqual(decodeAssignment(new Uint8Array(0)), [])
})
