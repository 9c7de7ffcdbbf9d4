/** Runs the programs that the pages about the clients show, in the order of the pages, against a cluster of ours. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

import { Admin } from '../../src/client/index.ts'
import { startTestCluster, type TestCluster } from './cluster.ts'

const ROOT = join(import.meta.dirname, '../..')
const DOCS = join(ROOT, 'docs')
const PAGES = [
  'getting-started.md',
  'clients.md',
  ...readdirSync(join(DOCS, 'clients')).map((name) => `clients/${name}`),
]
/** As the pages name it. */
const BOOTSTRAP = /127\.0\.0\.1:9092/g
const DOOR = pathToFileURL(join(ROOT, 'src/samsa-client.ts')).href
const TIMEOUT_MS = 60_000

let cluster: TestCluster
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'samsa-docs-'))
  cluster = await startTestCluster({ 'group.initial.rebalance.delay.ms': '0' })
  await using admin = new Admin(cluster.platform, { bootstrapServers: cluster.bootstrapServers })
  await admin.createTopics(['orders', 'readings'].map((name) => ({ name, partitions: 3, replicationFactor: 3 })))
})

after(async () => {
  await cluster[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

// What the first pages send the others read.
for (const page of PAGES.toSorted((a, b) => Number(b.includes('producing')) - Number(a.includes('producing'))))
  for (const [index, program] of programsOf(page).entries())
    test(`${page}, program ${index + 1}`, async () => {
      const file = join(folder, `${basename(page, '.md')}-${index}.ts`)
      const [bootstrap] = cluster.bootstrapServers.split(',')
      writeFileSync(file, program.replaceAll(BOOTSTRAP, bootstrap!).replaceAll("'samsa/client'", `'${DOOR}'`))
      const run = promisify(execFile)(process.execPath, [file], { timeout: TIMEOUT_MS })
      await run.catch((error: { stderr?: string; message: string }) => {
        assert.fail(`${error.message}\n${error.stderr ?? ''}`)
      })
    })

function programsOf(page: string): string[] {
  const text = readFileSync(join(DOCS, page), 'utf8')
  return Array.from(text.matchAll(/^```ts\n([^]*?)^```$/gm), ([, code]) => code!)
}
