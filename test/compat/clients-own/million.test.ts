/**
 * Lines of a real file through `samsa produce` and `samsa consume`, in each codec; kcat does the same beside it, for the measure.
 * SAMSA_LINES=1000000 says how many lines; without it there are fewer, so that the run is short.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { CLIENTS, CODECS, Cluster, type Codec, TARGET, run, samsa } from '../../peers/index.ts'
import { packageIndex, putTogether } from '../data.ts'
import { storedBatches, upTo } from './own.ts'

const PARTITIONS = 3
const LINES = Number(process.env['SAMSA_LINES'] ?? 150_000)
const TRANSFER_TIMEOUT_MS = 120_000

interface Carrier {
  produce(topic: string, codec: Codec, from: string): Promise<void>
  consume(topic: string, to: string): Promise<void>
}

let cluster: Cluster
let folder: string
let file: string
let hash: string

const OURS: Carrier = {
  produce: (topic, codec, from) => command(['produce', topic, '--file', from, '-z', codec], {}),
  consume: (topic, to) => command(['consume', topic, '-e', '-f', '%p\\t%s\\n'], { outputFile: to }),
}
const KCAT: Carrier = {
  produce: (topic, codec, from) => CLIENTS.kcat.produce(cluster.bootstrap, topic, codec, from),
  consume: (topic, to) => CLIENTS.kcat.consume(cluster.bootstrap, topic, LINES, to),
}
const hasKcat = existsSync(CLIENTS.kcat.program)

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'samsa-million-'))
  file = join(folder, 'input')
  const text = (await packageIndex()).split('\n', LINES)
  // Behind its number each line finds its place again, from whichever partition.
  const numbered = text.map((line, index) => `${index} ${line}`).join('\n')
  writeFileSync(file, `${numbered}\n`)
  hash = createHash('sha256').update(numbered).digest('hex')
  cluster = await Cluster.start({ brokers: 3 })
})

after(async () => {
  await cluster?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function command(args: readonly string[], files: { outputFile?: string }): Promise<void> {
  const [program, ...all] = samsa(...args, '-b', cluster.bootstrap)
  await run(program, all, { ...files, timeoutMs: TRANSFER_TIMEOUT_MS })
}

const ratios = { produce: [] as number[], consume: [] as number[] }

for (const codec of CODECS)
  test(`${LINES} lines in ${codec} are the same behind the cluster`, async (t) => {
    const output = join(folder, 'output')
    const pass = async (carrier: Carrier, topic: string): Promise<{ produced: number; consumed: number }> => {
      await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
      const started = performance.now()
      await carrier.produce(topic, codec, file)
      const written = performance.now()
      await carrier.consume(topic, output)
      return { produced: (written - started) / 1000, consumed: (performance.now() - written) / 1000 }
    }
    // kcat first: what the disk still has to write of the other's is then ours to bear.
    const theirs = hasKcat ? await pass(KCAT, `kcat-${codec}`) : null
    const ours = await pass(OURS, `samsa-${codec}`)
    assert.deepEqual(await putTogether(output), { received: LINES, outOfOrder: 0, partitions: PARTITIONS, hash })
    for (const partition of upTo(PARTITIONS)) {
      const codecs = (await storedBatches(cluster, `samsa-${codec}`, partition)).map((batch) => batch.codec)
      assert.deepEqual(new Set(codecs), new Set([codec]))
    }
    if (theirs === null) return
    const rates = [theirs.produced / ours.produced, theirs.consumed / ours.consumed] as const
    ratios.produce.push(rates[0])
    ratios.consume.push(rates[1])
    t.diagnostic(
      `against ${TARGET}, ours and kcat's: written in ${ours.produced.toFixed(2)} and ${theirs.produced.toFixed(2)} s (${rates[0].toFixed(2)} of its rate), ` +
        `read in ${ours.consumed.toFixed(2)} and ${theirs.consumed.toFixed(2)} s (${rates[1].toFixed(2)})`,
    )
  })

test(
  'the rate beside that of kcat, in the mean of the codecs',
  { skip: hasKcat ? false : 'kcat is not installed' },
  (t) => {
    const mean = (values: readonly number[]): string =>
      Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length).toFixed(2)
    t.diagnostic(`produce ${mean(ratios.produce)}, consume ${mean(ratios.consume)}`)
  },
)
