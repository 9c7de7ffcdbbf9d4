/**
 * `%020d.snapshot`: the producer states at that offset, big-endian.
 *
 *     int16 version = 1
 *     uint32 crc             CRC-32C of all that follows
 *     int32 count
 *     per producer, 46 bytes:
 *       int64 producerId, int16 producerEpoch, int32 lastSequence, int64 lastOffset, int32 offsetDelta,
 *       int64 timestamp, int32 coordinatorEpoch, int64 transactionFirstOffset
 *
 * Of each producer only its last batch is kept; −1 stands for "none" in all of them. Kafka's `ProducerStateManager`.
 */
import { ByteReader, ByteWriter, MalformedBytesError, crc32c } from '#base'

import type { ProducedBatch, ProducerState } from './producer-states.ts'

const VERSION = 1
/** Where the bytes that the CRC covers begin. */
const ENTRIES_AT = 6
const ENTRY_BYTES = 46
const SEQUENCE_COUNT = 2 ** 31

export function encodeProducerSnapshot(states: Iterable<ProducerState>): Uint8Array {
  const entries = [...states]
  const writer = new ByteWriter(ENTRIES_AT + 4 + entries.length * ENTRY_BYTES)
  writer.int16(VERSION)
  writer.uint32(0)
  writer.int32(entries.length)
  for (const state of entries) encodeState(writer, state)
  const bytes = writer.toBytes()
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(2, crc32c(bytes, ENTRIES_AT))
  return bytes
}

function encodeState(writer: ByteWriter, state: ProducerState): void {
  const last = state.batches.at(-1)
  writer.int64(state.producerId)
  writer.int16(state.producerEpoch)
  writer.int32(last?.lastSequence ?? -1)
  writer.int64(last?.lastOffset ?? -1)
  writer.int32(last === undefined ? 0 : last.lastOffset - last.firstOffset)
  writer.bigint64(state.lastTimestamp)
  writer.int32(state.coordinatorEpoch)
  writer.int64(state.transactionFirstOffset)
}

/** Throws `MalformedBytesError` for anything that is not a whole snapshot of a known version. */
export function decodeProducerSnapshot(bytes: Uint8Array): ProducerState[] {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  if (version !== VERSION) throw new MalformedBytesError(`producer snapshot has version ${version}`)
  if (reader.uint32() !== crc32c(bytes, ENTRIES_AT)) throw new MalformedBytesError('producer snapshot has a wrong CRC')
  const count = reader.int32()
  if (count < 0 || count * ENTRY_BYTES > reader.remaining)
    throw new MalformedBytesError(`producer snapshot announces ${count} entries in ${reader.remaining} bytes`)
  return Array.from({ length: count }, () => decodeState(reader))
}

function decodeState(reader: ByteReader): ProducerState {
  const producerId = reader.int64()
  const producerEpoch = reader.int16()
  const lastSequence = reader.int32()
  const lastOffset = reader.int64()
  const offsetDelta = reader.int32()
  const lastTimestamp = reader.bigint64()
  const coordinatorEpoch = reader.int32()
  const transactionFirstOffset = reader.int64()
  const batches = lastOffset < 0 ? [] : [lastBatch(lastSequence, lastOffset, offsetDelta, lastTimestamp)]
  return { producerId, producerEpoch, coordinatorEpoch, lastTimestamp, transactionFirstOffset, batches }
}

function lastBatch(lastSequence: number, lastOffset: number, offsetDelta: number, timestamp: bigint): ProducedBatch {
  const first = lastSequence - offsetDelta
  return {
    // Sequences wrap from 2^31 − 1 to 0; a sequence of −1 belongs to writers that do not number their batches.
    firstSequence: lastSequence < 0 ? lastSequence : first < 0 ? first + SEQUENCE_COUNT : first,
    lastSequence,
    firstOffset: lastOffset - offsetDelta,
    lastOffset,
    timestamp,
  }
}
