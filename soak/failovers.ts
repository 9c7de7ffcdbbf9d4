/**
 * `npm run soak -- ensemble --failovers 20 [--against apache]`: how long nobody can write when the leader of three
 * servers is killed: from the SIGKILL to the first write acknowledged through a survivor. With `--against apache` both
 * sides in turn, at the same settings.
 */
import {
  Ensemble,
  type EnsembleServer,
  type Implementation,
  ZooKeeperWire,
  createRequest,
  sleep,
} from '../test/peers/index.ts'

const ASK_AGAIN_MS = 3
const SETTLE_MS = 1500
const SESSION_TIMEOUT_MS = 10_000
const LATE_MS = 60_000

/** Returns the exit code. */
export async function measureFailovers(count: number, implementations: readonly Implementation[]): Promise<number> {
  const ensembles = new Map<Implementation, Ensemble>()
  const times = new Map<Implementation, number[]>(implementations.map((implementation) => [implementation, []]))
  try {
    for (const implementation of implementations)
      ensembles.set(implementation, await Ensemble.start({ servers: [implementation, implementation, implementation] }))
    // The order turns, so that neither side always follows the other.
    for (let round = 0; round < count; round++)
      for (const implementation of round % 2 === 0 ? implementations : implementations.toReversed())
        times.get(implementation)!.push(await failover(ensembles.get(implementation)!))
  } finally {
    for (const ensemble of ensembles.values()) await ensemble.close()
  }
  for (const [implementation, all] of times) {
    const sorted = all.toSorted((a, b) => a - b)
    const median = (sorted[Math.floor((count - 1) / 2)]! + sorted[Math.floor(count / 2)]!) / 2
    console.log(
      `${implementation}: from the SIGKILL of the leader to the first write acknowledged through a survivor, ${count} times: ` +
        `median ${median.toFixed(0)} ms, worst ${sorted.at(-1)!.toFixed(0)} ms, best ${sorted[0]!.toFixed(0)} ms`,
    )
  }
  return 0
}

async function failover(ensemble: Ensemble): Promise<number> {
  const leader = await ensemble.ready()
  await sleep(SETTLE_MS)
  const survivors = ensemble.servers.filter((server) => server !== leader)
  const killedMs = performance.now()
  const killed = leader.kill()
  const stop = new AbortController()
  await Promise.any(survivors.map((server) => writeThrough(server, stop.signal, killedMs + LATE_MS)))
  const tookMs = performance.now() - killedMs
  stop.abort()
  await killed
  leader.start()
  return tookMs
}

/** Tries with a new session each time, as one who asks must, until a write is acknowledged. */
async function writeThrough(server: EnsembleServer, stop: AbortSignal, deadlineMs: number): Promise<void> {
  while (!stop.aborted && performance.now() < deadlineMs) {
    let wire: ZooKeeperWire | null = null
    try {
      wire = await ZooKeeperWire.open(server.host, server.port, SESSION_TIMEOUT_MS)
      await wire.run(1, 1, () => createRequest('/failover-', 10, true))
      await wire.close()
      return
    } catch {
      wire?.destroy()
      await sleep(ASK_AGAIN_MS)
    }
  }
  throw new Error(`nothing could be written through ${server.name}`)
}
