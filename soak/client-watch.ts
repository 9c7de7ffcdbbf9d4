import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

import type { ClientOptions, ClientReport } from './client-process.ts'

export interface Sample {
  readonly minutes: number
  readonly residentBytes: number
}

export const MIB = 2 ** 20
const END_MS_MAX = 150_000

/** The process of the clients, and what it told. */
export class ClientWatch {
  readonly samples: Sample[] = []
  readonly #child: ChildProcess
  readonly #startedMs = performance.now()
  readonly #minutes: number
  readonly #ended: Promise<ClientReport>
  #last: ClientReport | null = null
  #minutesPrinted = 0

  constructor(options: ClientOptions, minutes: number) {
    this.#minutes = minutes
    this.#child = fork(join(import.meta.dirname, 'client-process.ts'), [JSON.stringify(options)])
    this.#child.on('message', (report: ClientReport) => this.#onReport(report))
    this.#ended = new Promise((resolve, reject) => {
      this.#child.on('exit', (code, signal) => {
        if (code === 0 && this.#last !== null) resolve(this.#last)
        else reject(new Error(`the clients ended with ${code ?? signal}`))
      })
    })
    // Who stops it hears of it.
    this.#ended.catch(() => {})
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async stop(): Promise<ClientReport> {
    if (!this.hasEnded) this.#child.send('stop')
    const timer = setTimeout(() => this.kill(), END_MS_MAX)
    try {
      return await this.#ended
    } finally {
      clearTimeout(timer)
    }
  }

  /** Pauses are counted anew from now on. */
  beginAnew(): void {
    this.#child.send('begin anew')
  }

  /** What it told last; null before. */
  get last(): ClientReport | null {
    return this.#last
  }

  kill(): void {
    if (!this.hasEnded) this.#child.kill('SIGKILL')
  }

  #onReport(report: ClientReport): void {
    this.#last = report
    const minutes = (performance.now() - this.#startedMs) / 60_000
    if (minutes <= this.#minutes) this.samples.push({ minutes, residentBytes: report.residentBytes })
    if (minutes < this.#minutesPrinted + 1) return
    this.#minutesPrinted = Math.floor(minutes)
    const { acknowledged, consumed, residentBytes, heapBytes, bufferedBytes } = report
    console.log(
      `minute ${this.#minutesPrinted}: ${acknowledged} acknowledged, ${consumed} consumed, ${mib(residentBytes)} MiB resident, ` +
        `${mib(heapBytes)} MiB of heap, ${mib(bufferedBytes)} MiB buffered`,
    )
  }
}

export function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}
