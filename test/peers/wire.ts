/**
 * A plain client on a raw socket: requests of old, inflexible versions, built by hand. It is for what the tests need
 * at once and exactly (is the cluster ready, who leads, store this very batch), and for bytes that no client sends.
 */
import { type Socket, connect } from 'node:net'

import { Bytes, Cursor, crc32c } from './bytes.ts'

export const API = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  offsetCommit: 8,
  offsetFetch: 9,
  findCoordinator: 10,
  joinGroup: 11,
  apiVersions: 18,
  createTopics: 19,
  initProducerId: 22,
} as const

const REQUEST_TIMEOUT_MS = 30_000

function hostAndPort(address: string): [string, number] {
  const colon = address.lastIndexOf(':')
  return [address.slice(0, colon), Number(address.slice(colon + 1))]
}

export class Wire {
  readonly socket: Socket
  /** Resolves when the connection is gone, from whichever side. */
  readonly closed: Promise<void>
  #received: Buffer = Buffer.alloc(0)
  #correlationId = 0
  #waiting = new Map<number, (body: Buffer) => void>()

  private constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  static connect(address: string | number): Promise<Wire> {
    const [host, port] = typeof address === 'number' ? ['127.0.0.1', address] : hostAndPort(address)
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Wire(socket))
      })
    })
  }

  /** Opens, asks once, closes. */
  static async ask<T>(address: string | number, question: (wire: Wire) => Promise<T>): Promise<T> {
    const wire = await Wire.connect(address)
    try {
      return await question(wire)
    } finally {
      wire.close()
    }
  }

  /** The header of versions without tagged fields; `body` follows it. */
  static frame(apiKey: number, version: number, correlationId: number, body: Uint8Array): Buffer {
    const payload = new Bytes().int16(apiKey).int16(version).int32(correlationId).string('wire').raw(body).done()
    return new Bytes().bytes(payload).done()
  }

  async request(apiKey: number, version: number, body: Uint8Array, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Cursor> {
    const correlationId = this.#correlationId++
    this.socket.write(Wire.frame(apiKey, version, correlationId, body))
    let timer: NodeJS.Timeout | undefined
    const answer = await Promise.race([
      new Promise<Buffer>((resolve) => this.#waiting.set(correlationId, resolve)),
      this.closed.then(() => Promise.reject(new Error(`connection closed, API ${apiKey} unanswered`))),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`API ${apiKey} unanswered for ${timeoutMs} ms`)), timeoutMs)
      }),
    ]).finally(() => clearTimeout(timer))
    return new Cursor(answer)
  }

  close(): void {
    this.socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    while (this.#received.length >= 4) {
      const size = this.#received.readInt32BE(0)
      if (this.#received.length < 4 + size) return
      const frame = this.#received.subarray(4, 4 + size)
      this.#received = this.#received.subarray(4 + size)
      const correlationId = frame.readInt32BE(0)
      this.#waiting.get(correlationId)?.(frame.subarray(4))
      this.#waiting.delete(correlationId)
    }
  }
}

export interface PartitionState {
  error: number
  partition: number
  leader: number
  replicas: number[]
  isr: number[]
}

export interface Metadata {
  brokers: { id: number; host: string; port: number; rack: string | null }[]
  controllerId: number
  topics: { error: number; name: string; partitions: PartitionState[] }[]
}

/** Metadata v1: of the topics named, of all with `null`, of none with `[]`. */
export async function metadata(wire: Wire, topics: string[] | null = []): Promise<Metadata> {
  const body = new Bytes()
  body.array(topics, (topic) => body.string(topic))
  const answer = await wire.request(API.metadata, 1, body.done())
  return {
    brokers: answer.array(() => ({
      id: answer.int32(),
      host: answer.string(),
      port: answer.int32(),
      rack: answer.nullableString(),
    })),
    controllerId: answer.int32(),
    topics: answer.array(() => {
      const error = answer.int16()
      const name = answer.string()
      answer.boolean()
      const partitions = answer.array(() => ({
        error: answer.int16(),
        partition: answer.int32(),
        leader: answer.int32(),
        replicas: answer.array(() => answer.int32()),
        isr: answer.array(() => answer.int32()),
      }))
      return { error, name, partitions: partitions.sort((a, b) => a.partition - b.partition) }
    }),
  }
}

export interface NewTopic {
  name: string
  partitions: number
  replicationFactor: number
  configs?: Record<string, string>
}

/** CreateTopics v0, to the controller. The error code of each topic. */
export async function createTopics(wire: Wire, topics: NewTopic[]): Promise<Record<string, number>> {
  const body = new Bytes()
  body.array(topics, ({ name, partitions, replicationFactor, configs }) => {
    body.string(name).int32(partitions).int16(replicationFactor).int32(0)
    body.array(Object.entries(configs ?? {}), ([key, value]) => body.string(key).string(value))
  })
  body.int32(15_000)
  const answer = await wire.request(API.createTopics, 0, body.done())
  return Object.fromEntries(answer.array(() => [answer.string(), answer.int16()]))
}

export interface ProduceOptions {
  partition?: number
  acks?: number
  version?: number
  timeoutMs?: number
}

/** Produce v3 and later: one batch, as it is. */
export async function produce(
  wire: Wire,
  topic: string,
  records: Uint8Array,
  { partition = 0, acks = -1, version = 3, timeoutMs = 10_000 }: ProduceOptions = {},
): Promise<{ error: number; baseOffset: number }> {
  const body = new Bytes().string(null).int16(acks).int32(timeoutMs)
  body.int32(1).string(topic).int32(1).int32(partition).bytes(records)
  const answer = await wire.request(API.produce, version, body.done())
  answer.int32()
  answer.string()
  answer.int32()
  answer.int32()
  return { error: answer.int16(), baseOffset: answer.int64() }
}

export interface FetchOptions {
  partition?: number
  maxWaitMs?: number
  minBytes?: number
  maxBytes?: number
}

/** The body of a Fetch v4 of one partition. */
export function fetchBody(topic: string, offset: number, options: FetchOptions = {}): Buffer {
  const { partition = 0, maxWaitMs = 500, minBytes = 1, maxBytes = 10 << 20 } = options
  const body = new Bytes().int32(-1).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(0)
  return body.int32(1).string(topic).int32(1).int32(partition).int64(offset).int32(maxBytes).done()
}

export async function fetch(
  wire: Wire,
  topic: string,
  offset: number,
  options: FetchOptions = {},
): Promise<{ error: number; highWatermark: number; records: Buffer }> {
  const answer = await wire.request(API.fetch, 4, fetchBody(topic, offset, options))
  answer.int32()
  answer.int32()
  answer.string()
  answer.int32()
  answer.int32()
  const error = answer.int16()
  const highWatermark = answer.int64()
  answer.int64()
  answer.array(() => [answer.int64(), answer.int64()])
  return { error, highWatermark, records: answer.bytes() }
}

export const EARLIEST = -2
export const LATEST = -1

/** ListOffsets v1. */
export async function listOffset(wire: Wire, topic: string, partition: number, timestamp: number): Promise<number> {
  const body = new Bytes().int32(-1).int32(1).string(topic).int32(1).int32(partition).int64(timestamp).done()
  const answer = await wire.request(API.listOffsets, 1, body)
  answer.int32()
  answer.string()
  answer.int32()
  answer.int32()
  const error = answer.int16()
  if (error !== 0) throw new Error(`ListOffsets: error ${error}`)
  answer.int64()
  return answer.int64()
}

/** FindCoordinator v0: the address of a group's coordinator, or the error. */
export async function coordinatorOf(
  wire: Wire,
  group: string,
): Promise<{ error: number; id: number; address: string }> {
  const answer = await wire.request(API.findCoordinator, 0, new Bytes().string(group).done())
  return { error: answer.int16(), id: answer.int32(), address: `${answer.string()}:${answer.int32()}` }
}

export interface StoredOffset {
  partition: number
  offset: number
  metadata: string
  error: number
}

/** OffsetFetch: version 0 asks ZooKeeper, version 1 the group's coordinator. Offset -1 says that there is none. */
export async function fetchOffsets(
  wire: Wire,
  version: 0 | 1,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<StoredOffset[]> {
  const body = new Bytes().string(group).int32(1).string(topic)
  body.array(partitions, (partition) => body.int32(partition))
  const answer = await wire.request(API.offsetFetch, version, body.done())
  answer.int32()
  answer.string()
  return answer.array(() => ({
    partition: answer.int32(),
    offset: answer.int64(),
    metadata: answer.string(),
    error: answer.int16(),
  }))
}

/** OffsetCommit v0, which stores in ZooKeeper. The error code of each partition. */
export async function commitOffsetsToZooKeeper(
  wire: Wire,
  group: string,
  topic: string,
  offsets: readonly { partition: number; offset: number; metadata: string }[],
): Promise<{ partition: number; error: number }[]> {
  const body = new Bytes().string(group).int32(1).string(topic)
  body.array(offsets, ({ partition, offset, metadata }) => body.int32(partition).int64(offset).string(metadata))
  const answer = await wire.request(API.offsetCommit, 0, body.done())
  answer.int32()
  answer.string()
  return answer.array(() => ({ partition: answer.int32(), error: answer.int16() }))
}

export interface BatchOptions {
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
  attributes?: number
}

/** A record batch of version 2, uncompressed unless `attributes` lie. */
export function batchOf(values: readonly string[], options: BatchOptions = {}): Buffer {
  const { producerId = -1, producerEpoch = -1, baseSequence = -1, attributes = 0 } = options
  const records = new Bytes()
  for (const [index, value] of values.entries()) {
    const bytes = Buffer.from(value)
    const record = new Bytes()
      .int8(0)
      .varint(0)
      .varint(index)
      .varint(-1)
      .varint(bytes.length)
      .raw(bytes)
      .varint(0)
      .done()
    records.varint(record.length).raw(record)
  }
  const now = Date.now()
  const covered = new Bytes()
    .int16(attributes)
    .int32(values.length - 1)
    .int64(now)
    .int64(now)
    .int64(producerId)
    .int16(producerEpoch)
    .int32(baseSequence)
    .int32(values.length)
    .raw(records.done())
    .done()
  return sealed(covered)
}

/** Puts the front part before what a batch's checksum covers. */
export function sealed(covered: Uint8Array, crc = crc32c(covered)): Buffer {
  const length = covered.length + 9
  return new Bytes().int64(0).int32(length).int32(-1).int8(2).uint32(crc).raw(covered).done()
}

/** The values of an uncompressed answer to a fetch; a batch that was cut off at the end is left out. */
export function valuesOf(records: Buffer): { offset: number; value: string }[] {
  const values: { offset: number; value: string }[] = []
  for (const batch of batchesOf(records)) {
    const cursor = new Cursor(batch.bytes)
    cursor.position = 57
    const count = cursor.int32()
    for (let index = 0; index < count; index++) {
      const end = cursor.varint() + cursor.position
      cursor.int8()
      cursor.varint()
      const delta = cursor.varint()
      const keyLength = cursor.varint()
      if (keyLength > 0) cursor.raw(keyLength)
      values.push({ offset: batch.baseOffset + delta, value: cursor.raw(Math.max(0, cursor.varint())).toString() })
      cursor.position = end
    }
  }
  return values
}

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof CODECS)[number]

/** The whole batches that lie one behind the other, in an answer or in a segment file. */
export function* batchesOf(bytes: Buffer): Generator<{ baseOffset: number; codec: Codec; bytes: Buffer }> {
  let position = 0
  while (position + 61 <= bytes.length) {
    const size = bytes.readInt32BE(position + 8) + 12
    if (size < 61 || position + size > bytes.length) return
    const batch = bytes.subarray(position, position + size)
    yield {
      baseOffset: Number(batch.readBigInt64BE(0)),
      codec: CODECS[batch.readInt16BE(21) & 7]!,
      bytes: batch,
    }
    position += size
  }
}
