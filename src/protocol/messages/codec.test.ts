import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter } from '#base'
import { type Message, interpretDecode, interpretEncode } from '#protocol'

import { apis } from './all.ts'
import * as consumerOffsets from './consumer-offsets.ts'
import * as consumerProtocol from './consumer-protocol.ts'
import { RandomMessages } from './random-messages.ts'

type AnyMessage = Message<unknown, unknown>

const messages: AnyMessage[] = [
  ...apis.flatMap((api) => [api.request, api.response]),
  ...(Object.values(consumerOffsets) as AnyMessage[]),
  ...(Object.values(consumerProtocol) as AnyMessage[]),
]

test('the compiled code and the interpreter agree on every message in every version', () => {
  const random = new RandomMessages(20_251_124)
  for (const message of messages)
    for (let version = message.schema.firstVersion; version <= message.schema.lastVersion; version++)
      for (let round = 0; round < 4; round++) {
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
