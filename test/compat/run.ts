/**
 * `npm run test:compat`: installs the programs of others, runs the tests that need them one file after another, and
 * says what was skipped and why, and how long each part took.
 *
 *   npm run test:compat                     everything
 *   npm run test:compat -- --quick          what needs little: for a second version of Node
 *   npm run test:compat -- hostile faults   files whose path contains one of the words
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

import { install } from '../peers/install.ts'
import { TARGET } from '../peers/servers.ts'

const HERE = import.meta.dirname
const TEST_TIMEOUT_MS = 240_000
const QUICK = ['clients/tools', 'clients/old-offsets', 'hostile/']

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const wanted = process.argv.includes('--quick') ? QUICK : words
const files = globSync('**/*.test.ts', { cwd: HERE })
  .filter((path) => wanted.length === 0 || wanted.some((word) => path.includes(word)))
  .sort()
  .map((path) => join(HERE, path))

console.log(`Node ${process.version}, ${availableParallelism()} processors, against ${TARGET}`)
const installed = await install()
for (const { name, seconds, skipped } of installed)
  console.log(skipped === null ? `installed ${name} (${seconds.toFixed(1)} s)` : `SKIPPED ${name}: ${skipped}`)
// CI is where all of it must be there; elsewhere a registry may be out of reach.
if (process.env['CI'] === 'true' && installed.some(({ skipped }) => skipped !== null)) process.exitCode = 1

const secondsOf = new Map<string, number>()
const skippedTests: string[] = []
// Servers, clients and measures of memory want the machine for themselves: one file at a time.
run({ files, concurrency: 1, timeout: TEST_TIMEOUT_MS })
  .on('test:summary', ({ file, duration_ms }) => {
    if (file !== undefined) secondsOf.set(file, duration_ms / 1000)
  })
  .on('test:skip', ({ file, name, skip }) => {
    skippedTests.push(`${relative(HERE, file ?? '')}: ${name}${typeof skip === 'string' ? `: ${skip}` : ''}`)
  })
  .on('test:fail', () => {
    process.exitCode = 1
  })
  .on('end', () => {
    for (const [file, seconds] of secondsOf) console.log(`${seconds.toFixed(1).padStart(7)} s  ${relative(HERE, file)}`)
    for (const skipped of skippedTests) console.log(`SKIPPED ${skipped}`)
  })
  .compose(spec)
  .pipe(process.stdout)
