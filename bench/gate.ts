/**
 * The gate: a measurement on a machine that others use as well. It waits until nothing else uses the processors, and
 * a measurement during which others did is thrown away and repeated. Without it the same test varies fourfold.
 */
import { readFileSync } from 'node:fs'

import { ownCpuSeconds, sleep } from '../test/peers/index.ts'

/** Processors in use by others, on average over the measurement. */
const FOREIGN_MAX = 0.25
const QUIET_TIMEOUT_MS = 120_000
const ATTEMPTS_MAX = 4
const TICKS_PER_SECOND = 100

export interface Gated<T> {
  value: T
  /** Processors that others used meanwhile. Over the bound if no attempt was undisturbed. */
  foreign: number
  /** Processors' worth of time that the host took away. */
  steal: number
}

export async function gated<T>(measure: () => Promise<T>, open = false): Promise<Gated<T>> {
  for (let attempt = 1; ; attempt++) {
    if (!open) await quiet()
    const before = sample()
    const value = await measure()
    const { foreign, steal } = between(before, sample())
    if (open || foreign <= FOREIGN_MAX || attempt === ATTEMPTS_MAX) return { value, foreign, steal }
    console.log(`    others used ${foreign.toFixed(2)} processors: once more`)
  }
}

/** Waits until others are quiet; goes on all the same after a time, since the measurement is judged by itself. */
export async function quiet(): Promise<void> {
  const deadline = performance.now() + QUIET_TIMEOUT_MS
  while (performance.now() < deadline) {
    const before = sample()
    await sleep(200)
    if (between(before, sample()).foreign < FOREIGN_MAX) return
    await sleep(500)
  }
}

interface Sample {
  atSeconds: number
  busySeconds: number
  stealSeconds: number
  ownSeconds: number
}

function sample(): Sample {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) / TICKS_PER_SECOND)
  return {
    atSeconds: performance.now() / 1000,
    busySeconds: user! + nice! + system! + irq! + softirq!,
    stealSeconds: steal!,
    ownSeconds: ownCpuSeconds(),
  }
}

function between(before: Sample, after: Sample): { foreign: number; steal: number } {
  const seconds = after.atSeconds - before.atSeconds
  const foreign = after.busySeconds - before.busySeconds - (after.ownSeconds - before.ownSeconds)
  return { foreign: Math.max(0, foreign / seconds), steal: (after.stealSeconds - before.stealSeconds) / seconds }
}
