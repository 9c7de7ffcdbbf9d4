/** The lines of an input on their way to a producer. */
import { KafkaError, type PackedValues, type Producer, type ProducerRecord } from '#client/producer'

import { LineSplitter, LineTooLongError } from './lines.ts'
import type { LineReader } from './produce-line.ts'
import type { Progress } from './progress.ts'
import { UserError } from './user-error.ts'

/** What became of the records. */
export class Tally {
  delivered = 0
  failed = 0
  /** The first one. */
  error: KafkaError | null = null

  add(recordCount: number, error: KafkaError | null): void {
    if (error === null) this.delivered += recordCount
    else this.failed += recordCount
    this.error ??= error
  }
}

/** How lines become records. */
export interface LineForm {
  readonly topic: string
  readonly partition: number | undefined
  /** Null where a line is a value and nothing else: those go many at a time, and nothing is made for each. */
  readonly read: LineReader | null
}

export class LineSender {
  readonly #producer: Producer
  readonly #form: LineForm
  readonly #parts: { stop: AbortSignal; progress: Progress; tally: Tally }
  readonly #lines: LineSplitter
  /** Of the line that is being sent; the first is 1. */
  #lineNumber = 0

  constructor(producer: Producer, form: LineForm, parts: { stop: AbortSignal; progress: Progress; tally: Tally }) {
    this.#producer = producer
    this.#form = form
    this.#parts = parts
    this.#lines = new LineSplitter(producer.config.maxRequestSize)
  }

  /** Resolves at the end of the input, when asked to stop, or after a record that failed for good: what follows is not sent then. */
  async send(input: AsyncIterable<Uint8Array | string>): Promise<void> {
    const { stop, progress } = this.#parts
    try {
      for await (const chunk of input) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
        const linesBefore = this.#lineNumber
        this.#lines.feed(bytes)
        await this.#sendWholeLines()
        progress.add(this.#lineNumber - linesBefore, bytes.length)
        if (this.#isOver) return
      }
      const rest = this.#lines.rest()
      if (rest === null || stop.aborted) return
      this.#lineNumber += 1
      progress.add(1, 0)
      await this.#sendLine(rest)
    } catch (error) {
      // Whatever the end of the input or of a wait throws then.
      if (!stop.aborted) throw error
    }
  }

  get #isOver(): boolean {
    return this.#parts.stop.aborted || this.#parts.tally.error !== null
  }

  async #sendWholeLines(): Promise<void> {
    if (this.#form.read === null) {
      for (let run = this.#nextRun(); run !== null && !this.#isOver; run = this.#nextRun()) await this.#sendRun(run)
      return
    }
    for (let line = this.#nextLine(); line !== null && !this.#isOver; line = this.#nextLine()) {
      this.#lineNumber += 1
      const sent = this.#sendLine(line)
      if (sent !== null) await sent
    }
  }

  #nextRun(): PackedValues | null {
    return this.#ofLine(1, () => this.#lines.nextRun())
  }

  #nextLine(): Uint8Array | null {
    return this.#ofLine(1, () => this.#lines.next())
  }

  async #sendRun(run: PackedValues): Promise<void> {
    const { topic, partition } = this.#form
    for (let from = 0; from < run.count;) {
      const taken = this.#ofLine(1, () => this.#producer.pushValues(topic, run, { from, partition }))
      this.#lineNumber += taken
      from += taken
      if (from < run.count) await this.#producer.ready(topic, { signal: this.#parts.stop })
    }
  }

  /** Null: it is in its batch. */
  #sendLine(line: Uint8Array): Promise<void> | null {
    const { topic, partition, read } = this.#form
    const record = read === null ? { value: line, partition } : read(line)
    return this.#ofLine(0, () => (this.#producer.push(topic, record) ? null : this.#sendWithRoom(record)))
  }

  async #sendWithRoom(record: ProducerRecord): Promise<void> {
    const { topic } = this.#form
    do await this.#producer.ready(topic, { signal: this.#parts.stop })
    while (!this.#producer.push(topic, record))
  }

  /** What the work throws is the fault of the line so far behind the current one. */
  #ofLine<Result>(ahead: number, work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      const isTooLong = error instanceof LineTooLongError
      if (!isTooLong && !(error instanceof KafkaError)) throw error
      const bound = isTooLong ? ', the bound of max.request.size' : ''
      throw new UserError(`line ${this.#lineNumber + ahead}: ${error.message}${bound}`)
    }
  }
}
