import { crc32 } from 'node:zlib'

import type { FrameNamer } from './frame-names.ts'

/**
 * What happened, in order. One line per event as text where somebody reads it, and always as a digest, so that two runs of a
 * seed can be compared cheaply:
 *
 *     12.345 broker-1>zookeeper-1 setData 213 9e107d9d      virtual ms, from, to, frames that begin, bytes, their CRC-32
 *     12.391 broker-1 timer                                 something within a process
 */
export class Trace {
  /** Takes each line, without its end. Null: nobody reads. */
  sink: ((line: string) => void) | null = null
  readonly #words = new Float64Array(2)
  readonly #wordBytes = new Uint8Array(this.#words.buffer)
  readonly #textCrcs = new Map<string, number>()
  #digest = 0

  /** Follows from everything that happened so far. */
  get digest(): string {
    return hex(this.#digest)
  }

  /** An event within a process: a timer, a turn, a completion. */
  event(atMs: number, kind: string, process: string): void {
    this.#add(atMs, this.#crcOf(kind) * 31 + this.#crcOf(process))
    this.sink?.(`${atMs.toFixed(3)} ${process} ${kind}`)
  }

  /** Bytes arrived. */
  bytes(atMs: number, from: string, to: string, bytes: Uint8Array, namer: FrameNamer): void {
    const crc = crc32(bytes)
    this.#add(atMs, (this.#crcOf(from) * 31 + this.#crcOf(to)) * 31 + crc)
    if (this.sink === null) return
    this.sink(`${atMs.toFixed(3)} ${from}>${to} ${namer.namesIn(bytes)} ${bytes.length} ${hex(crc)}`)
  }

  /** Something without bytes arrived: the end of a connection. */
  signal(atMs: number, from: string, to: string, kind: string): void {
    this.#add(atMs, (this.#crcOf(from) * 31 + this.#crcOf(to)) * 31 + this.#crcOf(kind))
    this.sink?.(`${atMs.toFixed(3)} ${from}>${to} ${kind}`)
  }

  #add(atMs: number, word: number): void {
    this.#words[0] = atMs
    this.#words[1] = word
    this.#digest = crc32(this.#wordBytes, this.#digest)
  }

  #crcOf(text: string): number {
    let crc = this.#textCrcs.get(text)
    if (crc === undefined) this.#textCrcs.set(text, (crc = crc32(text)))
    return crc
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}
