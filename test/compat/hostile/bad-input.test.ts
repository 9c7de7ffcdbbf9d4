/**
 * Bad input over real sockets: each case ends in a typed error or a closed connection, costs little memory, and
 * leaves the other clients undisturbed. A client works all the time beside it and would notice.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

import {
  API,
  Bytes,
  Cluster,
  type Server,
  TARGET,
  Wire,
  batchOf,
  fetch,
  metadata,
  produce,
  sealed,
  sleep,
  until,
  usageOf,
} from '../../peers/index.ts'
import { Bystander } from './bystander.ts'

const TOPIC = 'target'
const MiB = 1 << 20
/** Above idle memory. The collector of a JVM keeps its own counsel, so the bound holds for Samsa. */
const MEMORY_BAD_INPUT_MAX = 64 * MiB

const CORRUPT_MESSAGE = 2
const UNSUPPORTED_VERSION = 35
const INVALID_RECORD = 87

let cluster: Cluster
let server: Server
let idleBytes: number
let bystander: Bystander

before(async () => {
  cluster = await Cluster.start({ brokers: 1 })
  server = cluster.anyone
  await cluster.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 1 })
  bystander = await Bystander.start(cluster)
  await until('it works', () => bystander.rounds > 200)
  idleBytes = usageOf(server.pid).residentBytes
})

after(async () => {
  await bystander?.stop()
  await cluster?.close()
})

/** Sends bytes on a connection of their own and waits until the broker closes it. */
async function closes(bytes: Uint8Array, what = 'the broker closes the connection'): Promise<void> {
  const wire = await Wire.connect(server.address)
  wire.socket.write(bytes)
  await Promise.race([
    wire.closed,
    sleep(10_000).then(() => {
      wire.close()
      throw new Error(`${what}: it is still open`)
    }),
  ])
}

async function assertUnharmed(): Promise<void> {
  await bystander.assertUndisturbed()
  assert.ok(server.running, 'the broker runs')
  if (TARGET === 'apache') return
  await until(
    'memory is within its bound',
    () => usageOf(server.pid).residentBytes - idleBytes <= MEMORY_BAD_INPUT_MAX,
    10_000,
  ).catch((cause: unknown) => {
    const grown = (usageOf(server.pid).residentBytes - idleBytes) / MiB
    throw new Error(`${grown.toFixed(0)} MiB above idle`, { cause })
  })
}

describe('frames', () => {
  test('random bytes, fifty times', async () => {
    for (let attempt = 0; attempt < 50; attempt++) {
      const wire = await Wire.connect(server.address)
      wire.socket.write(randomBytes(1 + Math.floor(Math.random() * 4096)))
      // A first length that happens to be small leaves the broker waiting for the rest, as it should.
      await Promise.race([wire.closed, sleep(20)])
      wire.close()
    }
    await assertUnharmed()
  })

  for (const [what, length] of [
    ['a frame of 2 GiB', 0x7fffffff],
    ['a frame just over the limit', 104_857_601],
    ['a negative length', -1],
    ['the most negative length', -0x80000000],
  ] as const)
    test(what, async () => {
      await closes(new Bytes().int32(length).raw(Buffer.alloc(64)).done())
      await assertUnharmed()
    })

  test('a frame too short for a header', async () => {
    for (let length = 0; length < 8; length++) await closes(new Bytes().bytes(Buffer.alloc(length)).done(), `${length}`)
    await assertUnharmed()
  })

  // An Apache broker allocates what a frame claims, and dies of this one.
  test('large frames that never come, on a hundred connections', { skip: TARGET === 'apache' }, async () => {
    const wires = await Promise.all(Array.from({ length: 100 }, () => Wire.connect(server.address)))
    for (const wire of wires)
      wire.socket.write(
        new Bytes()
          .int32(100 * MiB)
          .raw(Buffer.alloc(1000))
          .done(),
      )
    await sleep(300)
    await assertUnharmed()
    for (const wire of wires) wire.close()
    await assertUnharmed()
  })

  test('a request cut in the middle', async () => {
    const frame = Wire.frame(API.produce, 3, 1, produceBody(batchOf(['cut'])))
    for (let length = 1; length < frame.length; length += 7) {
      const wire = await Wire.connect(server.address)
      wire.socket.end(frame.subarray(0, length))
      await wire.closed
    }
    await assertUnharmed()
  })

  test('other protocols', async () => {
    await closes(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'))
    await closes(Buffer.from('16030100f0010000ec0303', 'hex'))
    await assertUnharmed()
  })

  test('two requests in one packet, and one a byte at a time', async () => {
    const wire = await Wire.connect(server.address)
    const [one, two] = await Promise.all([metadata(wire), metadata(wire)])
    assert.deepEqual(one, two)
    let answer: Buffer | null = null
    wire.socket.on('data', (chunk: Buffer) => (answer = chunk))
    for (const byte of Wire.frame(API.metadata, 1, 99, new Bytes().int32(0).done())) {
      wire.socket.write(Buffer.from([byte]))
      await sleep(1)
    }
    await until('it is answered', () => answer !== null)
    wire.close()
  })
})

describe('headers', () => {
  test('an unknown API, and known ones in unknown versions', async () => {
    for (const [key, version] of [
      [-1, 0],
      [32_767, 0],
      [999, 0],
      [API.produce, 99],
      [API.metadata, -1],
      [API.fetch, 0x7fff],
    ] as const)
      await closes(Wire.frame(key, version, 1, Buffer.alloc(20)), `API ${key} version ${version}`)
    await assertUnharmed()
  })

  test('ApiVersions in an unknown version is answered in version 0', async () => {
    await Wire.ask(server.address, async (wire) => {
      // Every version that is not known yet has a flexible header: no tagged fields.
      const answer = await wire.request(API.apiVersions, 99, Buffer.alloc(1))
      assert.equal(answer.int16(), UNSUPPORTED_VERSION)
      const rows = answer.array(() => [answer.int16(), answer.int16(), answer.int16()])
      assert.deepEqual(
        rows.find(([key]) => key === API.apiVersions),
        [API.apiVersions, 0, 4],
      )
    })
    await assertUnharmed()
  })

  test('a client id that lies about its length', async () => {
    for (const length of [1000, 0x7fff])
      await closes(
        new Bytes().bytes(new Bytes().int16(API.metadata).int16(1).int32(1).int16(length).int32(0).done()).done(),
        `length ${length}`,
      )
    await assertUnharmed()
  })
})

describe('bodies', () => {
  test('an array that lies about its length', async () => {
    for (const length of [0x7fffffff, 1_000_000, -2]) {
      const wire = await Wire.connect(server.address)
      wire.socket.write(Wire.frame(API.metadata, 1, 1, new Bytes().int32(length).done()))
      if (length > 0) await Promise.race([wire.closed, sleep(10_000).then(() => assert.fail(`${length}: still open`))])
      wire.close()
    }
    await assertUnharmed()
  })

  test('a string that lies about its length', async () => {
    await closes(Wire.frame(API.metadata, 1, 1, new Bytes().int32(1).int16(30_000).raw(Buffer.from('abc')).done()))
    await assertUnharmed()
  })

  test('arrays in arrays that lie', async () => {
    const body = new Bytes().string(null).int16(-1).int32(1000).int32(1).string(TOPIC).int32(0x7ffffff0).done()
    await closes(Wire.frame(API.produce, 3, 1, body))
    await assertUnharmed()
  })

  test('random bodies of every API', async () => {
    for (let key = 0; key < 68; key++) {
      // Those that stop or move replicas need their sender's good will; they are for brokers only.
      if ([4, 5, 6, 7].includes(key)) continue
      for (let version = 0; version < 3; version++) {
        const wire = await Wire.connect(server.address)
        wire.socket.write(Wire.frame(key, version, 1, randomBytes(200)))
        await Promise.race([wire.closed, sleep(10)])
        wire.close()
      }
    }
    await assertUnharmed()
  })
})

describe('record batches', () => {
  const good = batchOf(['a', 'b', 'c'])
  /** What the checksum covers. */
  const covered = good.subarray(21)

  /** A good batch, changed behind its checksum, which is then right again. */
  function changed(change: (covered: Buffer) => void): Buffer {
    const copy = Buffer.from(covered)
    change(copy)
    return sealed(copy)
  }

  const cases: [string, Buffer, number[]][] = [
    ['a wrong CRC', sealed(covered, 12_345), [CORRUPT_MESSAGE]],
    [
      'a length that is too large',
      patched((batch) => batch.writeInt32BE(good.length + 100, 8)),
      [CORRUPT_MESSAGE, INVALID_RECORD],
    ],
    ['a length that is too small', patched((batch) => batch.writeInt32BE(20, 8)), [CORRUPT_MESSAGE, INVALID_RECORD]],
    ['a negative length', patched((batch) => batch.writeInt32BE(-5, 8)), [CORRUPT_MESSAGE, INVALID_RECORD]],
    ['an unknown magic', patched((batch) => batch.writeInt8(127, 16)), [CORRUPT_MESSAGE, INVALID_RECORD]],
    // Behind the CRC: attributes 0, last offset delta 2, …, record count 36.
    ['a count that is too large', changed((part) => part.writeInt32BE(4, 36)), [INVALID_RECORD]],
    ['a count that is too small', changed((part) => part.writeInt32BE(2, 36)), [INVALID_RECORD]],
    ['a negative count', changed((part) => part.writeInt32BE(-1, 36)), [INVALID_RECORD, CORRUPT_MESSAGE]],
    ['a count of two thousand million', changed((part) => part.writeInt32BE(0x7fffffff, 36)), [INVALID_RECORD]],
    ['a last offset that lies', changed((part) => part.writeInt32BE(7, 2)), [INVALID_RECORD]],
    ['a control batch', changed((part) => part.writeInt16BE(0x20, 0)), [INVALID_RECORD]],
    ['an unknown codec', changed((part) => part.writeInt16BE(7, 0)), [CORRUPT_MESSAGE, INVALID_RECORD, -1]],
    ['gzip that is none', changed((part) => part.writeInt16BE(1, 0)), [CORRUPT_MESSAGE, INVALID_RECORD, -1]],
    ['snappy that is none', changed((part) => part.writeInt16BE(2, 0)), [CORRUPT_MESSAGE, INVALID_RECORD, -1]],
    ['lz4 that is none', changed((part) => part.writeInt16BE(3, 0)), [CORRUPT_MESSAGE, INVALID_RECORD, -1]],
    [
      'a record that lies about its length',
      changed((part) => part.writeUInt8(0x7e, 40)),
      [INVALID_RECORD, CORRUPT_MESSAGE],
    ],
    ['nothing at all', Buffer.alloc(0), [CORRUPT_MESSAGE, INVALID_RECORD]],
    ['two batches', Buffer.concat([good, good]), [INVALID_RECORD]],
    ['half a batch', good.subarray(0, 40), [CORRUPT_MESSAGE, INVALID_RECORD]],
  ]
  for (const [what, batch, allowed] of cases)
    test(what, async () => {
      const end = await Wire.ask(
        server.address,
        async (wire) => (await fetch(wire, TOPIC, 0, { maxWaitMs: 0 })).highWatermark,
      )
      const error = await answerTo(batch)
      assert.ok(error === null || allowed.includes(error), `error ${error}, expected one of ${allowed.join()}`)
      const after_ = await Wire.ask(
        server.address,
        async (wire) => (await fetch(wire, TOPIC, 0, { maxWaitMs: 0 })).highWatermark,
      )
      assert.equal(after_, end, 'nothing was stored')
      await assertUnharmed()
    })

  test('and the good one is stored', async () => {
    assert.equal(await answerTo(good), 0)
  })

  /** The error code, or null if the broker closed the connection instead. */
  async function answerTo(batch: Buffer): Promise<number | null> {
    const wire = await Wire.connect(server.address)
    try {
      return (await produce(wire, TOPIC, batch)).error
    } catch (error) {
      if (error instanceof Error && error.message.includes('connection closed')) return null
      throw error
    } finally {
      wire.close()
    }
  }

  function patched(patch: (batch: Buffer) => void): Buffer {
    const copy = Buffer.from(good)
    patch(copy)
    return copy
  }
})

/** Produce v3 of one batch to the topic. */
function produceBody(batch: Uint8Array): Buffer {
  const body = new Bytes().string(null).int16(-1).int32(1000)
  return body.int32(1).string(TOPIC).int32(1).int32(0).bytes(batch).done()
}
