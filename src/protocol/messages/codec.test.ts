import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { type Message, defaultOf, interpretDecode, interpretEncode, supportedApis } from '#protocol'

import { apis } from './all.ts'
import * as consumerOffsets from './consumer-offsets.ts'
import * as consumerProtocol from './consumer-protocol.ts'
import { RandomMessages } from './random-messages.ts'

type AnyMessage = Message<unknown, unknown>

const messages: readonly AnyMessage[] = [
  ...apis.flatMap((api) => [api.request, api.response]),
  ...(Object.values(consumerOffsets) as AnyMessage[]),
  ...(Object.values(consumerProtocol) as AnyMessage[]),
]

test('there are messages for every API that a broker advertises, in all its versions', () => {
  const declared = apis.map(({ key, name, versions: [minVersion, maxVersion], flexibleSince }) => ({
    key,
    name,
    minVersion,
    maxVersion,
    flexibleSince,
  }))
  assert.deepEqual(declared, supportedApis)
})

test('the compiled code and the interpreter agree on every message in every version', () => {
  const random = new RandomMessages(20_251_124)
  for (const [message, version] of versionsOf(messages))
    for (let round = 0; round < 3; round++) {
      const original = random.message(message.schema, version)
      const where = `${message.name} v${version}`
      const interpreted = new ByteWriter()
      interpretEncode(message.schema, interpreted, original, version)
      const bytes = interpreted.toBytes()
      assert.deepEqual(message.encodeToBytes(original, version), bytes, where)
      assert.deepEqual(message.decodeWhole(bytes, version), original, where)
      assert.deepEqual(interpretDecode(message.schema, new ByteReader(bytes), version), original, where)
    }
})

test('what may be left out when encoding comes back at its default', () => {
  const random = new RandomMessages(3)
  for (const [message, version] of versionsOf(messages)) {
    const given = random.message(message.schema, version)
    const expected = { ...given }
    for (const { name, field } of message.schema.members) {
      if (field.traits.defaultValue === undefined) continue
      delete given[name]
      expected[name] = defaultOf(field)
    }
    const bytes = message.encodeToBytes(given, version)
    assert.deepEqual(message.decodeWhole(bytes, version), expected, `${message.name} v${version}`)
    const interpreted = new ByteWriter()
    interpretEncode(message.schema, interpreted, given, version)
    assert.deepEqual(interpreted.toBytes(), bytes, `${message.name} v${version}`)
  }
})

/** Bytes that are nearly right reach further into a message than noise does. */
test('damaged messages are read alike by both, or refused by both with words', () => {
  const random = new RandomMessages(9)
  let refused = 0
  let read = 0
  for (const [message, version] of versionsOf(messages)) {
    const whole = message.encodeToBytes(random.message(message.schema, version), version)
    for (let round = 0; round < 8; round++) {
      const bytes = damaged(whole, random)
      const compiled = outcome(() => message.decode(new ByteReader(bytes), version))
      const interpreted = outcome(() => interpretDecode(message.schema, new ByteReader(bytes), version))
      assert.deepEqual(compiled, interpreted, `${message.name} v${version}`)
      if (typeof compiled === 'string') refused++
      else read++
    }
  }
  assert.ok(refused > 500 && read > 500, `${refused} refused, ${read} read`)
})

function damaged(whole: Uint8Array, random: RandomMessages): Uint8Array {
  const bytes = whole.slice(0, random.below(3) === 0 ? random.below(whole.length + 1) : whole.length)
  const flips = bytes.length === 0 ? 0 : random.below(4)
  for (let flip = 0; flip < flips; flip++)
    bytes[random.below(bytes.length)] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)]!
  return bytes
}

/** What came out, or the words of the refusal. */
function outcome(decode: () => unknown): unknown {
  try {
    return decode()
  } catch (error) {
    assert.ok(error instanceof MalformedBytesError, String(error))
    return error.message
  }
}

function* versionsOf(messages: readonly AnyMessage[]): Generator<[AnyMessage, number]> {
  for (const message of messages)
    for (let version = message.schema.firstVersion; version <= message.schema.lastVersion; version++)
      yield [message, version]
}
