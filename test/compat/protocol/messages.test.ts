/**
 * Every message in every version agrees byte for byte with Apache's Java classes: random messages are encoded
 * there and here, and each side reads what the other has written.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ByteReader, ByteWriter } from '../../../src/base/index.ts'
import { RequestHeaderMessage, ResponseHeaderMessage } from '../../../src/protocol/header.ts'
import type { Message } from '../../../src/protocol/index.ts'
import { apis } from '../../../src/protocol/messages/all.ts'
import * as consumerOffsets from '../../../src/protocol/messages/consumer-offsets.ts'
import * as consumerProtocol from '../../../src/protocol/messages/consumer-protocol.ts'
import { RandomMessages } from '../../../src/protocol/messages/random-messages.ts'
import { javaArguments, run } from '../../peers/index.ts'
import { kafkaJson } from './kafka-json.ts'

const CLIENTS = 'org.apache.kafka.common.message'
const GROUPS = 'org.apache.kafka.coordinator.group.generated'

type AnyMessage = Message<unknown, unknown>
interface Case {
  readonly message: AnyMessage
  readonly version: number
  readonly original: Record<string, unknown>
  readonly javaClass: string
  readonly bytes: Uint8Array
}

const ROUNDS = Number(process.env['SAMSA_CODEC_ROUNDS'] ?? 40)
const SEED = Number(process.env['SAMSA_SEED'] ?? 1)

test(
  'random messages of every API, version and direction are the same bytes in Java',
  { timeout: 300_000 },
  async (t) => {
    const cases = casesOf(new RandomMessages(SEED))
    const verdicts = await judge(cases)
    for (const { message, version, original, javaClass, bytes } of cases) {
      const where = `${javaClass} v${version}, seed ${SEED}: ${kafkaJson(message.schema, original, version)}`
      const theirs = verdicts.bytes()
      const complaint = verdicts.text()
      assert.equal(complaint, '', where)
      assert.deepEqual(bytes, theirs, where)
      assert.deepEqual(message.decodeWhole(theirs, version), original, where)
    }
    t.diagnostic(`${cases.length} messages compared (seed ${SEED})`)
  },
)

function casesOf(random: RandomMessages): Case[] {
  const cases: Case[] = []
  for (const [javaClass, message] of javaClasses())
    for (let version = message.schema.firstVersion; version <= message.schema.lastVersion; version++)
      for (let round = 0; round < ROUNDS; round++) {
        const original = random.message(message.schema, version)
        cases.push({ message, version, original, javaClass, bytes: message.encodeToBytes(original, version) })
      }
  return cases
}

function javaClasses(): [string, AnyMessage][] {
  return [
    ...apis.flatMap(({ name, request, response }): [string, AnyMessage][] => [
      [`${CLIENTS}.${name}RequestData`, request],
      [`${CLIENTS}.${name}ResponseData`, response],
    ]),
    [`${CLIENTS}.RequestHeaderData`, RequestHeaderMessage],
    [`${CLIENTS}.ResponseHeaderData`, ResponseHeaderMessage],
    ...messagesOf(consumerProtocol).map((message): [string, AnyMessage] => [`${CLIENTS}.${message.name}`, message]),
    ...messagesOf(consumerOffsets).map((message): [string, AnyMessage] => [`${GROUPS}.${message.name}`, message]),
  ] as [string, AnyMessage][]
}

function messagesOf(file: object): AnyMessage[] {
  return Object.values(file) as AnyMessage[]
}

/** What the Java program says to each case, in their order: its bytes, then its complaint. */
async function judge(cases: readonly Case[]): Promise<Verdicts> {
  const folder = mkdtempSync(join(tmpdir(), 'samsa-messages-'))
  try {
    const casesFile = join(folder, 'cases')
    const verdictsFile = join(folder, 'verdicts')
    writeFileSync(casesFile, encodeCases(cases))
    const program = join(import.meta.dirname, 'MessageOracle.java')
    await run('java', javaArguments(program, [casesFile, verdictsFile], { heap: '512M' }), { timeoutMs: 240_000 })
    return new Verdicts(new Uint8Array(readFileSync(verdictsFile)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function encodeCases(cases: readonly Case[]): Uint8Array {
  const writer = new ByteWriter(1 << 20)
  const put = (bytes: Uint8Array): void => {
    writer.int32(bytes.length)
    writer.bytes(bytes)
  }
  for (const { message, version, original, javaClass, bytes } of cases) {
    put(Buffer.from(javaClass))
    writer.int16(version)
    put(Buffer.from(kafkaJson(message.schema, original, version)))
    put(bytes)
  }
  return writer.toBytes()
}

class Verdicts {
  readonly #reader: ByteReader

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes)
  }

  bytes(): Uint8Array {
    return this.#reader.slice(this.#reader.int32())
  }

  text(): string {
    return this.#reader.utf8(this.#reader.int32())
  }
}
