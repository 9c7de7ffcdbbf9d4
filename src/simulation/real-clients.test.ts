/** Our own clients in the simulated cluster: a few seeds in every test run, and that the simulation finds what is broken in them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runSeed } from './cluster/run-seed.ts'
import type { ClientFaults } from './workload/real-recorder.ts'

test('a seed with real clients has no finding, and is the same the second time', async () => {
  const [first, second] = [await runSeed(4, { clients: 'real' }), await runSeed(4, { clients: 'real' })]
  assert.deepEqual(first.findings, [])
  assert.ok(first.acknowledgedRecords > 1000, `only ${first.acknowledgedRecords} records were acknowledged`)
  assert.deepEqual(second, first)
})

/** Of each: a fault, and what must be among the findings of the first seed that has any. */
const BREAKS: readonly [ClientFaults, RegExp][] = [
  [{ sequenceAtEverySend: true }, /^duplicate in /],
  [{ positionMovesEarly: true }, /^commit-ahead in /],
]
const SEEDS_MAX = 5

for (const [clientFaults, finding] of BREAKS)
  test(`${Object.keys(clientFaults).join()} is found`, async () => {
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      if (seed % 4 === 3) continue
      const { findings } = await runSeed(seed, { clients: 'real', clientFaults })
      if (findings.some((found) => finding.test(found))) return
    }
    assert.fail(`not within ${SEEDS_MAX} seeds`)
  })
