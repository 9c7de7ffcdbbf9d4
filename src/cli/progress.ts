/** A line about work that takes long, for people who watch: on a terminal only, and rewritten in place. */
import type { WriteStream } from 'node:tty'

const INTERVAL_MS = 250
/** Back to the start of the line, and clear it (ECMA-48: CR, EL). */
const REWRITE = '\r\x1b[K'

export class Progress {
  records = 0
  bytes = 0
  readonly #stream: WriteStream | null
  readonly #begunMs = performance.now()
  #shownMs = this.#begunMs

  /** Null: nothing is shown, and only counted. */
  constructor(stream: WriteStream | null) {
    this.#stream = stream
  }

  get durationMs(): number {
    return Math.round(performance.now() - this.#begunMs)
  }

  add(records: number, bytes: number): void {
    this.records += records
    this.bytes += bytes
    const nowMs = performance.now()
    if (this.#stream === null || nowMs - this.#shownMs < INTERVAL_MS) return
    this.#shownMs = nowMs
    this.#stream.write(REWRITE + progressText(this.records, this.bytes, nowMs - this.#begunMs))
  }

  /** The last word, where there was anything to count. */
  finish(): void {
    if (this.records > 0) this.#stream?.write(`${REWRITE}${progressText(this.records, this.bytes, this.durationMs)}\n`)
  }
}

/** `1,234 records, 5.6 MiB in 1.2 s (1,028/s)` */
export function progressText(records: number, bytes: number, durationMs: number): string {
  const rate = durationMs > 0 ? ` (${grouped(Math.round((records * 1000) / durationMs))}/s)` : ''
  const noun = records === 1 ? 'record' : 'records'
  return `${grouped(records)} ${noun}, ${sizeText(bytes)} in ${(durationMs / 1000).toFixed(1)} s${rate}`
}

function sizeText(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  if (bytes < 1024) return `${bytes} B`
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length)
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`
}

function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
}
