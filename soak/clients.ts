/**
 * `npm run soak -- clients`: our producer and consumer against three brokers of ours, all of them processes, while brokers are
 * killed and paused in turn.
 *
 *     --minutes N    how long (default: 15)
 *     --rate N       records a second (default: 1000)
 *
 * Prints a line a minute and a report; fails when a record was missed, doubled or refused, or when the clients' resident memory grew
 * by a MiB a minute or more in the last two thirds of a run of ten minutes and more.
 */
import { Cluster, sleep, type Server } from '../test/peers/index.ts'
import type { ClientReport } from './client-process.ts'
import { ClientWatch, MIB, type Sample } from './client-watch.ts'

export interface SoakOptions {
  readonly minutes: number
  readonly rate: number
}

const TOPIC = 'soak'
const PARTITIONS = 3
const GROWTH_MIB_MAX = 1
/** Of the run, before growth counts: heaps and buffers first find their size. */
const WARM_UP = 1 / 3
/** In a shorter run they have not found it, and growth is told and not judged. */
const JUDGED_MINUTES_MIN = 10
/** Between the end of one disturbance and the next. */
const CALM_MS = 12_000
/** Longer and shorter than the brokers' sessions. */
const PAUSES_MS = [3000, 9000]
const DOWN_MS = 4000
/** Returns the exit code. */
export async function soakClients({ minutes, rate }: SoakOptions): Promise<number> {
  const cluster = await Cluster.start({
    brokers: 3,
    implementation: 'samsa',
    properties: { 'min.insync.replicas': 2, 'log.retention.bytes': 100 * MIB, 'log.segment.bytes': 20 * MIB },
  })
  let watch: ClientWatch | null = null
  try {
    await cluster.createTopic({ name: TOPIC, partitions: PARTITIONS, replicationFactor: 3 })
    watch = new ClientWatch(
      { bootstrapServers: cluster.bootstrap, topic: TOPIC, partitions: PARTITIONS, rate },
      minutes,
    )
    const disturbance = new Disturbance(cluster)
    await disturbance.run(minutes * 60_000, () => !watch!.hasEnded)
    const last = await watch.stop()
    return print(watch, last, disturbance)
  } finally {
    watch?.kill()
    await cluster.close()
  }
}

/** Kills and pauses brokers, one at a time, in turn. */
class Disturbance {
  readonly #cluster: Cluster
  kills = 0
  pauses = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** All brokers run when it resolves: after that time, or when there is nobody any more to be disturbed. */
  async run(durationMs: number, goesOn: () => boolean): Promise<void> {
    const endMs = performance.now() + durationMs
    const leftMs = (): number => (goesOn() ? Math.max(0, endMs - performance.now()) : 0)
    for (let turn = 0; ; turn++) {
      await sleep(Math.min(CALM_MS, leftMs()))
      if (leftMs() === 0) return
      const server = this.#cluster.brokers[turn % this.#cluster.brokers.length]!
      // Each broker has each of them: the turns of brokers and of disturbances have no common divisor.
      if (turn % 2 === 0) await this.#kill(server)
      else await this.#pause(server, PAUSES_MS[this.pauses % PAUSES_MS.length]!)
    }
  }

  async #kill(server: Server): Promise<void> {
    this.kills += 1
    await server.kill()
    await sleep(DOWN_MS)
    await server.startAgain()
    await this.#cluster.ready()
  }

  async #pause(server: Server, durationMs: number): Promise<void> {
    this.pauses += 1
    server.pause()
    await sleep(durationMs)
    server.resume()
    await this.#cluster.ready()
  }
}

function print(watch: ClientWatch, last: ClientReport, { kills, pauses }: Disturbance): number {
  const end = watch.samples.at(-1)?.minutes ?? 0
  const growth = slope(watch.samples.filter(({ minutes }) => minutes >= end * WARM_UP)) / MIB
  const { sent, acknowledged, consumed, redelivered, faults, isComplete } = last
  console.log(`${kills} brokers killed, ${pauses} paused`)
  console.log(`${sent} sent, ${acknowledged} acknowledged, ${consumed} consumed, ${redelivered} given again`)
  console.log(`resident memory grew by ${growth.toFixed(2)} MiB a minute in the last two thirds`)
  for (const fault of faults) console.log(`fault: ${fault}`)
  if (!isComplete) console.log('fault: not everything was acknowledged and consumed')
  const hasGrown = end >= JUDGED_MINUTES_MIN && growth >= GROWTH_MIB_MAX
  const isGood = faults.length === 0 && isComplete && !hasGrown
  console.log(isGood ? 'good' : 'NOT GOOD')
  return isGood ? 0 : 1
}

/** Bytes per minute of the line that fits best. */
function slope(samples: readonly Sample[]): number {
  const count = Math.max(1, samples.length)
  const meanX = samples.reduce((sum, { minutes }) => sum + minutes, 0) / count
  const meanY = samples.reduce((sum, { residentBytes }) => sum + residentBytes, 0) / count
  const covariance = samples.reduce((sum, sample) => sum + (sample.minutes - meanX) * (sample.residentBytes - meanY), 0)
  const variance = samples.reduce((sum, { minutes }) => sum + (minutes - meanX) ** 2, 0)
  return variance === 0 ? 0 : covariance / variance
}
