/** Apache's kafka-dump-log reads our segments, indexes, producer snapshots and epochs; after a clean stop and after a crash. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { nodePlatform } from '#platform/node'
import { Codec, RecordBatchBuilder, endTransactionBatch } from '#protocol/records'
import { LogManager, logConfig, type Log } from '#storage'

import { javaTool } from '../../peers/index.ts'

const INDEX_INTERVAL_BYTES = 4096
const SEGMENT_BYTES = 40_000
const BATCHES = 400

let directory: string

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'samsa-log-'))
})

after(() => rmSync(directory, { recursive: true, force: true }))

const CONFIG = logConfig({ segmentBytes: SEGMENT_BYTES, indexIntervalBytes: INDEX_INTERVAL_BYTES })

function filesOf(suffix: string, root = directory): string[] {
  const folder = join(root, 'orders-0')
  return readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => join(folder, name))
}

async function opened(): Promise<LogManager> {
  const platform = nodePlatform({ logLevel: 'error' })
  return await LogManager.open({ platform, directories: [directory], topicConfig: () => CONFIG })
}

/** Batches of all codecs and of several producers, some in transactions. */
async function fill(log: Log, firstSequence: number): Promise<void> {
  const now = Date.now()
  const sequences = [firstSequence, firstSequence, firstSequence]
  for (let index = 0; index < BATCHES; index++) {
    const producer = index % 3
    const isTransactional = producer === 2
    const builder = new RecordBatchBuilder({
      codec: (index % 5) as Codec,
      producerId: 4000 + producer,
      producerEpoch: producer,
      baseSequence: sequences[producer]!,
      isTransactional,
    })
    for (let record = 0; record < 5; record++) {
      const value = new TextEncoder().encode(`order ${index}/${record} `.repeat(15 + (index % 7)))
      builder.append({ timestamp: now + index * 10 + record, key: value.subarray(0, 8), value })
    }
    sequences[producer]! += 5
    assert.equal(log.appendAsLeader(builder.build(), 3, 'client').kind, 'appended')
    if (index % 30 === 29) {
      const type = index % 60 === 59 ? 'abort' : 'commit'
      const marker = endTransactionBatch({
        type,
        coordinatorEpoch: 1,
        producerId: 4002,
        producerEpoch: 2,
        timestamp: now,
      })
      assert.equal(log.appendAsLeader(marker, 3, 'coordinator').kind, 'appended')
    }
    if (index % 20 === 0) await log.settle()
  }
  await log.settle()
}

async function dump(files: readonly string[], ...options: string[]): Promise<string> {
  const { stdout } = await javaTool('kafka-dump-log', [...options, '--files', files.join(',')])
  assert.doesNotMatch(stdout, /mismatch|Mismatch|invalid|out of order|Found timestamp/, stdout.slice(0, 3000))
  return stdout
}

function checkRecords(stdout: string, logEndOffset: number): void {
  const offsets = [...stdout.matchAll(/^\| offset: (\d+)/gm)].map(([, offset]) => Number(offset))
  assert.equal(offsets.length, logEndOffset)
  assert.ok(offsets.every((offset, index) => offset === index))
  assert.doesNotMatch(stdout, /isvalid: false/)
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    assert.match(stdout, new RegExp(`compresscodec: ${codec}`))
}

test('after a clean stop: every record, every index entry, the snapshots and the aborted transactions', async () => {
  const logs = await opened()
  const log = logs.getOrCreate({ topic: 'orders', partition: 0 })
  log.assignTopicId('AAECAwQFBgcICQoLDA0ODw')
  await fill(log, 0)
  const { logEndOffset } = log
  await logs.close()

  assert.ok(filesOf('.log').length >= 3)
  checkRecords(await dump(filesOf('.log'), '--deep-iteration'), logEndOffset)

  const sane = await dump([...filesOf('.index'), ...filesOf('.timeindex')], '--index-sanity-check')
  assert.equal(sane.match(/passed sanity check/g)!.length, filesOf('.log').length * 2)
  await dump([...filesOf('.index'), ...filesOf('.timeindex')], '--verify-index-only')
  for (const path of filesOf('.log')) {
    const entries = readFileSync(path.replace(/log$/, 'index')).length / 8
    const expected = readFileSync(path).length / INDEX_INTERVAL_BYTES
    assert.ok(entries > expected * 0.7 && entries <= expected, `${entries} entries for ${expected} intervals`)
  }

  const snapshots = await dump(filesOf('.snapshot').slice(-1))
  for (const [producer, lastSequence] of [
    [4000, 669],
    [4001, 664],
    [4002, 664],
  ])
    assert.match(
      snapshots,
      new RegExp(
        `producerId: ${producer} .*lastSequence: ${lastSequence}|producerId: ${producer}[\\s\\S]*?${lastSequence}`,
      ),
    )
  const aborted = await dump(filesOf('.txnindex'))
  assert.match(aborted, /producerId: 4002/)
})

test('after a crash: what was written is read by both, indexes are made anew', async () => {
  const logs = await opened()
  const copy = mkdtempSync(join(tmpdir(), 'samsa-log-'))
  try {
    const log = logs.getOrCreate({ topic: 'crashed', partition: 0 })
    await fill(log, 0)
    const { logEndOffset } = log
    // What lies on disk at this moment is what a SIGKILL leaves.
    cpSync(join(directory, 'crashed-0'), join(copy, 'orders-0'), { recursive: true })
    checkRecords(await dump(filesOf('.log', copy), '--deep-iteration'), logEndOffset)
    const platform = nodePlatform({ logLevel: 'error' })
    const recovered = await LogManager.open({ platform, directories: [copy], topicConfig: () => CONFIG })
    assert.equal(recovered.log('orders', 0)!.logEndOffset, logEndOffset)
    await recovered.close()
    const indexes = [...filesOf('.index', copy), ...filesOf('.timeindex', copy)]
    const sane = await dump(indexes, '--index-sanity-check')
    assert.equal(sane.match(/passed sanity check/g)!.length, indexes.length)
    await dump(indexes, '--verify-index-only')
  } finally {
    rmSync(copy, { recursive: true, force: true })
    await logs.close()
  }
})
