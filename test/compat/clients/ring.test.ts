/**
 * A real file of more than a million lines goes round a ring of clients: each writes it once, in its own codec, and
 * the next one reads it. At each station the file is put together again and compared by its hash.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { CLIENTS, Cluster, type Client, type Codec, type Server, batchesOf } from '../../peers/index.ts'
import { packageIndex, putTogether } from '../data.ts'

const PARTITIONS = 3

/** Who writes in what. The next row reads it, and the first row reads what the last wrote. */
const ROWS: { writer: Client; codec: Codec }[] = [
  { writer: CLIENTS.kcat, codec: 'snappy' },
  { writer: CLIENTS['franz-go'], codec: 'zstd' },
  { writer: CLIENTS.java, codec: 'lz4' },
  { writer: CLIENTS['@confluentinc/kafka-javascript'], codec: 'zstd' },
  { writer: CLIENTS['confluent-kafka'], codec: 'lz4' },
  { writer: CLIENTS['kafka-python'], codec: 'gzip' },
  { writer: CLIENTS.kafkajs, codec: 'none' },
  { writer: CLIENTS['@platformatic/kafka'], codec: 'snappy' },
]

const RING = ROWS.filter(({ writer }) => existsSync(writer.program))
for (const { writer } of ROWS.filter((row) => !RING.includes(row)))
  test(`${writer.name} in the ring`, { skip: 'it is not installed' }, () => {})

let cluster: Cluster
let folder: string
/** The file as it goes in: each line behind its number, so that it can be put together again from any order. */
let file: string
let lines: number
let hash: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'samsa-ring-'))
  file = join(folder, 'input')
  const text = await packageIndex()
  lines = 0
  const numbered = text.replace(/^/gm, () => `${lines++} `)
  writeFileSync(file, `${numbered}\n`)
  hash = createHash('sha256').update(numbered).digest('hex')
  cluster = await Cluster.start({ brokers: 3 })
})

after(async () => {
  await cluster?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('the file has more than a million lines', () => {
  assert.ok(lines > 1_000_000, `${lines} lines`)
})

for (const [index, { writer, codec }] of RING.entries()) {
  const reader = RING[(index + 1) % RING.length]!.writer
  test(`${writer.name} writes in ${codec}, ${reader.name} reads`, async (context) => {
    const topic = `ring-${index}`
    await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
    const output = join(folder, 'output')

    const started = performance.now()
    await writer.produce(cluster.bootstrap, topic, codec, file)
    const written = performance.now()
    await reader.consume(cluster.bootstrap, topic, lines, output)
    const read = performance.now()
    context.diagnostic(`written in ${seconds(written - started)}, read in ${seconds(read - written)}`)

    const station = await putTogether(output)
    assert.deepEqual(
      { ...station, partitions: undefined },
      { received: lines, outOfOrder: 0, hash, partitions: undefined },
    )
    assert.equal(station.partitions, PARTITIONS, 'each partition got its share')
    assert.deepEqual(await storedCodecs(topic), [codec], 'the codecs that the leaders stored')
  })
}

/**
 * The codecs in the segments of the partitions' leaders. A codec of less than a hundredth of the bytes does not count:
 * librdkafka stores a batch as it is if compression does not make it smaller.
 */
async function storedCodecs(topic: string): Promise<Codec[]> {
  const bytesOf = new Map<Codec, number>()
  let total = 0
  for (let partition = 0; partition < PARTITIONS; partition++)
    for (const segment of segmentsOf(await cluster.leaderOf(topic, partition), topic, partition))
      for (const { codec, bytes } of batchesOf(segment)) {
        bytesOf.set(codec, (bytesOf.get(codec) ?? 0) + bytes.length)
        total += bytes.length
      }
  return [...bytesOf].filter(([, bytes]) => bytes > total / 100).map(([codec]) => codec)
}

function segmentsOf(server: Server, topic: string, partition: number): Buffer[] {
  const directory = join(server.directory, 'data', `${topic}-${partition}`)
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'))
  return names.map((name) => readFileSync(join(directory, name)))
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
