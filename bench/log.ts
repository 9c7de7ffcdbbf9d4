/**
 * The append path alone: bytes of a Produce request in, batch in the log. One iteration is a turn of the loop with
 * a number of requests, and the write at its end.
 *
 * Sketch: a batch of 16 KiB is copied once (1.6 us at 10 GB/s), its CRC taken (1.1 us at 15 GB/s), each of its
 * records walked (160 of 100 B), and written (3.5 us gathered): about 8 us, 2 GB/s.
 *
 *     node bench/log.ts [--seconds 3]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { nodePlatform } from '#platform/node'
import { RecordBatchBuilder } from '#protocol/records'
import { LogManager, logConfig, type Log } from '#storage'

import { scriptOptions } from '../tools/options.ts'

interface Point {
  name: string
  batchBytes: number
  recordBytes: number
  partitions: number
  requestsPerTurn: number
}

const POINTS: Point[] = [
  { name: '16 KiB of 100 B', batchBytes: 16_384, recordBytes: 100, partitions: 1, requestsPerTurn: 4 },
  { name: '16 KiB of 1 KiB', batchBytes: 16_384, recordBytes: 1024, partitions: 1, requestsPerTurn: 4 },
  { name: '16 KiB of 1 KiB, 6 partitions', batchBytes: 16_384, recordBytes: 1024, partitions: 6, requestsPerTurn: 12 },
  { name: '64 KiB of 100 B, 6 partitions', batchBytes: 65_536, recordBytes: 100, partitions: 6, requestsPerTurn: 6 },
  { name: '1 KiB of 1 KiB, 6 partitions', batchBytes: 1200, recordBytes: 1024, partitions: 6, requestsPerTurn: 24 },
]

/** Of each producer, before its sequences begin anew: more than caches hold. */
const BATCHES = 512

const { seconds: SECONDS } = scriptOptions({ seconds: 3 })

async function measure(point: Point, seconds: number) {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-bench-log-'))
  const platform = nodePlatform({ logLevel: 'error' })
  // Segments are rolled and deleted on the way, so that the disk does not fill.
  const logs = await LogManager.open({
    platform,
    directories: [directory],
    topicConfig: () => logConfig({ fileDeleteDelayMs: 0, segmentBytes: 512 * 1024 * 1024 }),
  })
  const partitions = Array.from({ length: point.partitions }, (_, partition) =>
    logs.getOrCreate({ topic: 'bench', partition }),
  )
  const producer = new Producer(point)
  let appends = 0
  const startedCpu = process.cpuUsage()
  const started = performance.now()
  while (performance.now() - started < seconds * 1000) {
    for (let turn = 0; turn < 50; turn++) {
      for (let request = 0; request < point.requestsPerTurn; request++) {
        producer.send(partitions[appends % point.partitions]!)
        appends += 1
      }
      for (const log of partitions) log.writePending()
    }
    for (const log of partitions)
      if (log.logEndOffset - log.logStartOffset > 2_000_000) log.raiseLogStart(log.logEndOffset - 1_000_000)
    await new Promise<void>((resolve) => platform.clock.nextTurn(resolve))
  }
  const elapsed = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(startedCpu)
  await logs.close()
  rmSync(directory, { recursive: true, force: true })
  return { appends, seconds: elapsed, cpuSeconds: (user + system) / 1e6, bytes: appends * producer.batchBytes }
}

/** An idempotent producer per partition. Its batches are made beforehand, and begin anew when they have all been sent. */
class Producer {
  readonly #batches: Uint8Array[]
  readonly #sent = new Map<Log, number>()

  constructor({ batchBytes, recordBytes }: Point) {
    const value = new Uint8Array(recordBytes).fill(7)
    const now = Date.now()
    let baseSequence = 0
    this.#batches = Array.from({ length: BATCHES }, () => {
      const builder = new RecordBatchBuilder({ producerId: 1, producerEpoch: 0, baseSequence })
      do builder.append({ timestamp: now, key: null, value })
      while (builder.sizeInBytes + recordBytes + 20 < batchBytes)
      baseSequence += builder.recordCount
      return builder.build().slice()
    })
  }

  get batchBytes(): number {
    return this.#batches[0]!.length
  }

  send(log: Log): void {
    const sent = this.#sent.get(log) ?? 0
    if (sent % BATCHES === 0) log.producers.clear(log.nextOffset)
    this.#sent.set(log, sent + 1)
    const appended = log.appendAsLeader(this.#batches[sent % BATCHES]!, 1, 'client')
    if (appended.kind === 'refused') throw new Error(appended.message)
  }
}

for (const point of POINTS) {
  await measure(point, 0.5)
  const { appends, seconds, cpuSeconds, bytes } = await measure(point, SECONDS)
  const line = [
    point.name.padEnd(32),
    `${(bytes / seconds / 1e6).toFixed(0)} MB/s`.padStart(10),
    `${((seconds / appends) * 1e6).toFixed(2)} us`.padStart(10),
    `${((cpuSeconds / appends) * 1e6).toFixed(2)} us CPU`.padStart(14),
    'per append',
  ]
  console.log(line.join(' '))
}
