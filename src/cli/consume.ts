/** `samsa consume`: records become lines. */
import { Consumer, type ConsumerBatch, type ConsumerOptions, type TopicPartition } from '#client/consumer'

import { CLIENT_ID, clientPlatform, forUser, type ClusterOptions } from './cluster-options.ts'
import { jsonFormat, parseFormat } from './format.ts'
import { parseStartPlace, type StartPlace } from './places.ts'
import { Progress } from './progress.ts'
import { RecordPrinter } from './record-printer.ts'
import { Stopped, stopSignal } from './stop.ts'
import { UserError, parseAssignments } from './user-error.ts'

export interface ConsumeOptions extends ClusterOptions {
  group?: string
  fromBeginning?: true
  offset?: string
  partition?: number[]
  format?: string
  keyDelimiter?: string
  /** Ends at the end of the partitions. */
  exit?: true
  count?: number
  null?: true
  config?: string[]
}

/** One batch is printed at a time: large enough that the loop around it costs little, and few enough that they die young in the heap. */
const BATCH_RECORDS_MAX = 2000
/** A cluster that is gone must not keep whoever pressed Ctrl-C. */
const LEAVE_TIMEOUT_MS = 10_000

export async function consume(topic: string, options: ConsumeOptions): Promise<void> {
  const start = startOf(options)
  const printer = new RecordPrinter(process.stdout, formatOf(options))
  const stop = stopSignal()
  const progress = new Progress(process.stderr.isTTY && !process.stdout.isTTY ? process.stderr : null)
  await forUser(async () => {
    await using consumer = new Consumer(clientPlatform(), settingsOf(options, start))
    const partitions = await partitionsOf(consumer, topic, options, stop)
    if (options.group !== undefined && options.partition === undefined) consumer.subscribe(topic)
    else {
      consumer.assign(partitions)
      await seek(consumer, partitions, start, { timeoutMs: options.timeout, signal: stop })
    }
    const isComplete = await printRecords(consumer, options, { printer, progress, stop })
    if (options.group !== undefined) await consumer.commit(undefined, { timeoutMs: LEAVE_TIMEOUT_MS })
    await consumer.close({ timeoutMs: LEAVE_TIMEOUT_MS })
    // Who follows a topic ends with Ctrl-C; who asked for an end has not got there.
    const hasEnd = options.exit === true || options.count !== undefined
    if (!isComplete && hasEnd) process.exitCode = (stop.reason as Stopped).exitCode
  }).finally(() => progress.finish())
}

interface Parts {
  printer: RecordPrinter
  progress: Progress
  stop: AbortSignal
}

/** False when it was stopped before its end. The consumer's positions are then behind what was printed, and no further. */
async function printRecords(consumer: Consumer, options: ConsumeOptions, parts: Parts): Promise<boolean> {
  const { printer, progress, stop } = parts
  let left = options.count ?? Infinity
  try {
    for await (const batch of consumer.batches({ signal: stop, toEnd: options.exit === true })) {
      const records = left < batch.records.length ? batch.records.slice(0, left) : batch.records
      const bytesBefore = printer.writtenBytes
      const printed = await printer.print(records, stop)
      left -= printed
      progress.add(printed, printer.writtenBytes - bytesBefore)
      const isOver = left === 0 || printer.isBroken
      if (!isOver && !stop.aborted) continue
      // The batch was given as a whole: what was not printed of it is to come again.
      goBackTo(consumer, batch, printed)
      return isOver
    }
    return true
  } catch (error) {
    if (error === stop.reason && stop.aborted) return false
    throw error
  }
}

function goBackTo(consumer: Consumer, { topic, partition, records }: ConsumerBatch, printed: number): void {
  // A rebalance may have taken the partition meanwhile; then its next owner goes on from the last commit.
  if (!consumer.assignment().some((owned) => owned.topic === topic && owned.partition === partition)) return
  const last = records[printed - 1]
  if (last === undefined) consumer.seek({ topic, partition }, records[0]!.offset)
  else consumer.seek({ topic, partition }, last.offset + 1, last.leaderEpoch)
}

/** Null: where the group goes on, or else at the end. Reading to the end from there would give nothing, so that means from the beginning. */
function startOf({ group, fromBeginning, offset, exit }: ConsumeOptions): StartPlace | null {
  if (offset === undefined) return fromBeginning || exit ? { kind: 'beginning' } : null
  if (fromBeginning) throw new UserError('--from-beginning and --offset: give one of them')
  if (group !== undefined)
    throw new UserError('--offset: a group goes on where it has committed; move it with samsa groups reset-offsets')
  return parseStartPlace(offset)
}

function formatOf({ json, format, keyDelimiter, null: printsNull }: ConsumeOptions) {
  if (json) {
    if (format !== undefined) throw new UserError('--json and --format: give one of them')
    return jsonFormat
  }
  const key = keyDelimiter === undefined ? '' : `%k${literal(keyDelimiter)}`
  return parseFormat(format ?? `${key}%s\\n`, printsNull ? { nullText: 'NULL' } : {})
}

/** Text that a format prints as it is. */
function literal(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('%', '%%')
}

function settingsOf(options: ConsumeOptions, start: StartPlace | null): ConsumerOptions {
  return {
    bootstrapServers: options.bootstrapServer,
    clientId: CLIENT_ID,
    groupId: options.group ?? null,
    autoOffsetReset: start?.kind === 'beginning' ? 'earliest' : 'latest',
    defaultApiTimeoutMs: options.timeout,
    maxPollRecords: BATCH_RECORDS_MAX,
    allowAutoCreateTopics: false,
    // Under their Kafka names, with values as text: the table of settings reads both.
    ...parseAssignments('--config', options.config),
  }
}

/** Asks before anything else: a cluster or a topic that is not there is an error, and nothing to wait for. */
async function partitionsOf(
  consumer: Consumer,
  topic: string,
  { partition: wanted, timeout }: ConsumeOptions,
  signal: AbortSignal,
): Promise<TopicPartition[]> {
  const existing = await consumer.partitionsOf(topic, { timeoutMs: timeout, signal })
  const missing = wanted?.find((partition) => !existing.some((each) => each.partition === partition))
  if (missing !== undefined)
    throw new UserError(`--partition ${missing}: topic ${topic} has the partitions 0 to ${existing.length - 1}`)
  return wanted?.map((partition) => ({ topic, partition })) ?? existing
}

/** Offsets outside a log become its nearer end. */
async function seek(
  consumer: Consumer,
  partitions: readonly TopicPartition[],
  start: StartPlace | null,
  call: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  if (start === null || start.kind === 'beginning' || start.kind === 'end') return
  const [begins, ends, times] = await Promise.all([
    consumer.beginningOffsets(partitions, call),
    consumer.endOffsets(partitions, call),
    start.kind !== 'time'
      ? null
      : consumer.offsetsForTimes(
          partitions.map((partition) => ({ ...partition, timestamp: start.timestamp })),
          call,
        ),
  ])
  partitions.forEach((partition, index) => {
    const [begin, end] = [begins[index]!, ends[index]!]
    const wanted =
      start.kind === 'offset'
        ? start.offset
        : start.kind === 'last'
          ? end - start.count
          : (times![index]!.found?.offset ?? end)
    consumer.seek(partition, Math.min(Math.max(wanted, begin), end))
  })
}
