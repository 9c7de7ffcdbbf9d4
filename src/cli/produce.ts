/** `samsa produce`: lines become records. */
import { Producer, type ProducerOptions } from '#client/producer'

import { CLIENT_ID, clientPlatform, forUser, printJson, type ClusterOptions } from './cluster-options.ts'
import { openInput } from './input.ts'
import { LineSender, Tally, type LineForm } from './line-sender.ts'
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

export async function produce(topic: string, options: ProduceOptions): Promise<void> {
  const stop = stopSignal()
  const input = await openInput(options.file)
  const isTyped = options.file === undefined && process.stdin.isTTY
  const isWatched = process.stderr.isTTY && !isTyped
  const progress = new Progress(isWatched ? process.stderr : null)
  const tally = new Tally()
  await forUser(async () => {
    await using producer = new Producer(clientPlatform(), settingsOf(options, isTyped, tally))
    await checkPartition(producer, topic, options, stop)
    const endInput = (): void => input.end()
    stop.addEventListener('abort', endInput)
    try {
      await new LineSender(producer, formOf(topic, options), { stop, progress, tally }).send(input)
    } finally {
      stop.removeEventListener('abort', endInput)
      input.end()
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

function formOf(topic: string, { keyDelimiter, header = [], partition, null: emptyAsNull }: ProduceOptions): LineForm {
  const emptyIsNull = emptyAsNull === true
  const isPlain = keyDelimiter === undefined && header.length === 0 && !emptyIsNull
  const read = lineReader({ keyDelimiter: keyDelimiter ?? null, headers: header, partition, emptyIsNull })
  return { topic, partition, read: isPlain ? null : read }
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

function summary(topic: string, { bytes, durationMs }: Progress, { delivered, failed }: Tally): object {
  return { topic, delivered, failed, bytes, durationMs }
}
