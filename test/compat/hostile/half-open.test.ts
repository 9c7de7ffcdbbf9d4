/** Ten thousand connections that begin a request and say no more, from another process. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Cluster, PEERS, Process, TARGET, sleep, until, usageOf } from '../../peers/index.ts'
import { Bystander } from './bystander.ts'

const CONNECTIONS = 10_000
/** Above idle memory. Node itself needs 4 KiB for a socket. The bound is Samsa's, not that of a JVM. */
const MEMORY_MAX = 96 << 20

test('they cost little memory, and nobody else notices', async (context) => {
  const cluster = await Cluster.start({ brokers: 1 })
  const { pid, port } = cluster.anyone
  const bystander = await Bystander.start(cluster)
  await until('the bystander works', () => bystander.rounds > 1000)
  const idle = usageOf(pid).residentBytes
  const holder = new Process(process.execPath, [`${PEERS}/node/half-open.js`, String(port), String(CONNECTIONS)])
  let printed = ''
  holder.child.stdout!.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  try {
    await until('all are open', () => printed.includes(`open ${CONNECTIONS}`), 60_000)
    await bystander.assertUndisturbed()
    await sleep(1000)
    const grown = (usageOf(pid).residentBytes - idle) / (1 << 20)
    context.diagnostic(`${grown.toFixed(0)} MiB for ${CONNECTIONS} connections`)
    assert.equal((await cluster.metadata()).brokers.length, 1, 'a new client is served')
    if (TARGET === 'samsa') assert.ok(grown <= MEMORY_MAX / (1 << 20), `${grown.toFixed(0)} MiB`)
    await holder.stop('SIGKILL')
    await bystander.assertUndisturbed()
  } finally {
    await holder.stop('SIGKILL')
    await bystander.stop()
    await cluster.close()
  }
})
