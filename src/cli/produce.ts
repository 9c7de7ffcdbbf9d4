/** `samsa produce`: lines become records. */
import { once } from 'node:events'
import { createReadStream, fstatSync, type ReadStream } from 'node:fs'
import type { Readable } from 'node:stream'

import { KafkaError, Producer, type ProducerOptions, type ProducerRecord } from '#client'

import { CLIENT_ID, clientPlatform, forUser, printJson, type ClusterOptions } from './cluster-options.ts'
import { LineSplitter, LineTooLongError } from './lines.ts'
import { lineReader } from './produce-line.ts'
import { Progress } from './progress.ts'
import { Stopped, stopSignal } from './stop.ts'
import { UserError, parseAssignments } from './user-error.ts'

export interface ProduceOptions extends ClusterOptions {
  file?: string
  keyDelimiter?: string
  header?: string[]
  partition?: number
  codec?: string
  acks?: string
  null?: true
  config?: string[]
}

/** What a pipe brings is sent in batches that brokers and codecs like; what a person types goes out at once. */
const BULK = { batchSize: 256 * 1024, lingerMs: 5 }
const FILE_CHUNK_BYTES = 256 * 1024
/** Its file descriptor. */
const STDIN = 0

export async function produce(topic: string, options: ProduceOptions): Promise<void> {
  const stop = stopSignal()
  const input = options.file === undefined ? standardInput() : await openFile(options.file)
  const isTyped = options.file === undefined && process.stdin.isTTY
  const isWatched = process.stderr.isTTY && !isTyped
  const progress = new Progress(isWatched ? process.stderr : null)
  const tally = new Tally()
  await forUser(async () => {
    await using producer = new Producer(clientPlatform(), settingsOf(options, isTyped, tally))
    await checkPartition(producer, topic, options, stop)
    const endInput = (): void => void input.destroy()
    stop.addEventListener('abort', endInput)
    try {
      await new LinesToRecords(producer, topic, options, { stop, progress, tally }).send(input)
    } finally {
      stop.removeEventListener('abort', endInput)
      input.destroy()
      // What was read is sent, whatever ended the reading.
      await producer.flush()
    }
  }).finally(() => progress.finish())
  if (options.json) printJson(summary(topic, progress, tally))
  if (tally.error !== null)
    throw new UserError(
      `${tally.failed} of ${tally.failed + tally.delivered} records were not sent: ${tally.error.message}`,
    )
  // A person who types ends with Ctrl-C as well as with Ctrl-D; anything else was cut short.
  if (stop.aborted && !isTyped) process.exitCode = (stop.reason as Stopped).exitCode
}

/** What became of the records. */
class Tally {
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

class LinesToRecords {
  readonly #producer: Producer
  readonly #topic: string
  readonly #parts: { stop: AbortSignal; progress: Progress; tally: Tally }
  readonly #read: (line: Uint8Array) => ProducerRecord
  readonly #lines: LineSplitter
  #lineNumber = 0

  constructor(
    producer: Producer,
    topic: string,
    options: ProduceOptions,
    parts: { stop: AbortSignal; progress: Progress; tally: Tally },
  ) {
    this.#producer = producer
    this.#topic = topic
    this.#parts = parts
    this.#lines = new LineSplitter(producer.config.maxRequestSize)
    this.#read = lineReader({
      keyDelimiter: options.keyDelimiter ?? null,
      headers: options.header ?? [],
      partition: options.partition,
      emptyIsNull: options.null === true,
    })
  }

  /** Resolves at the end of the input, when asked to stop, or after a record that failed for good: what follows is not sent then. */
  async send(input: AsyncIterable<Uint8Array | string>): Promise<void> {
    const { stop, progress, tally } = this.#parts
    try {
      for await (const chunk of input) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
        const linesBefore = this.#lineNumber
        this.#lines.feed(bytes)
        for (let line = this.#next(); line !== null; line = this.#next()) {
          if (stop.aborted || tally.error !== null) return
          const sent = this.#sendLine(line)
          if (sent !== null) await sent
        }
        progress.add(this.#lineNumber - linesBefore, bytes.length)
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

  #next(): Uint8Array | null {
    try {
      const line = this.#lines.next()
      if (line !== null) this.#lineNumber += 1
      return line
    } catch (error) {
      this.#lineNumber += 1
      throw error instanceof LineTooLongError ? this.#fault(`${error.message}, the bound of max.request.size`) : error
    }
  }

  /** Null: it is in its batch. */
  #sendLine(line: Uint8Array): Promise<void> | null {
    const record = this.#read(line)
    try {
      return this.#producer.push(this.#topic, record) ? null : this.#sendWithRoom(record)
    } catch (error) {
      throw error instanceof KafkaError ? this.#fault(error.message) : error
    }
  }

  async #sendWithRoom(record: ProducerRecord): Promise<void> {
    const { stop } = this.#parts
    await this.#producer.ready(this.#topic, { signal: stop })
    // Room for a batch may be too little for a large record: then its turn is waited for.
    if (!this.#producer.push(this.#topic, record)) await this.#producer.send(this.#topic, record, { signal: stop })
  }

  #fault(what: string): UserError {
    return new UserError(`line ${this.#lineNumber}: ${what}`)
  }
}

function settingsOf(options: ProduceOptions, isTyped: boolean, tally: Tally): ProducerOptions {
  const { bootstrapServer, timeout, codec, acks } = options
  const batching = isTyped ? {} : BULK
  return {
    bootstrapServers: bootstrapServer,
    clientId: CLIENT_ID,
    maxBlockMs: timeout,
    requestTimeoutMs: timeout,
    deliveryTimeoutMs: timeout + BULK.lingerMs,
    ...batching,
    compressionType: codec,
    acks,
    // Under their Kafka names, with values as text: the table of settings reads both.
    ...parseAssignments('--config', options.config),
    onDelivery: ({ recordCount, error }) => tally.add(recordCount, error),
  } as ProducerOptions
}

/** A mistake shows before the first line is read. */
async function checkPartition(
  producer: Producer,
  topic: string,
  { partition, timeout }: ProduceOptions,
  signal: AbortSignal,
): Promise<void> {
  const { length } = await producer.partitionsOf(topic, { timeoutMs: timeout, signal })
  if (partition !== undefined && partition >= length)
    throw new UserError(`--partition ${partition}: topic ${topic} has the partitions 0 to ${length - 1}`)
}

/** A file that the shell has opened is read in large pieces, as one that is named. */
function standardInput(): Readable {
  return fstatSync(STDIN).isFile()
    ? createReadStream('', { fd: STDIN, highWaterMark: FILE_CHUNK_BYTES })
    : process.stdin
}

async function openFile(file: string): Promise<ReadStream> {
  const stream = createReadStream(file, { highWaterMark: FILE_CHUNK_BYTES })
  try {
    await once(stream, 'open')
    return stream
  } catch (error) {
    throw new UserError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}): name an existing file`)
  }
}

function summary(topic: string, { bytes, durationMs }: Progress, { delivered, failed }: Tally): object {
  return { topic, delivered, failed, bytes, durationMs }
}
