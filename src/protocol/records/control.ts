/**
 * Control records: the markers that end a transaction in each of its partitions (KIP-98). One stands alone in a batch
 * that is both transactional and control, and is never compressed.
 *
 *     key:   version int16 (0) | type int16 (0 abort, 1 commit)
 *     value: version int16 (0) | coordinatorEpoch int32
 */
import { ByteReader, ByteWriter } from '#base'

import { RecordBatchBuilder } from './builder.ts'
import type { Record } from './record.ts'

/** Other types exist (KRaft's leader change and snapshots); a reader of a log passes over them. */
export type ControlRecordType = 'abort' | 'commit' | 'other'

export interface EndTransactionMarker {
  type: 'abort' | 'commit'
  /** Epoch of the transaction coordinator that decided; -1 unknown. */
  coordinatorEpoch: number
  producerId: number
  producerEpoch: number
  timestamp: number
  baseOffset?: number
  partitionLeaderEpoch?: number
}

const TYPE_CODES = { abort: 0, commit: 1 } as const

/** The batch that ends a transaction. */
export function endTransactionBatch(marker: EndTransactionMarker): Uint8Array {
  const { type, coordinatorEpoch, timestamp, ...options } = marker
  const builder = new RecordBatchBuilder({ ...options, isTransactional: true, isControl: true })
  const key = new ByteWriter(4)
  key.int16(0)
  key.int16(TYPE_CODES[type])
  const value = new ByteWriter(6)
  value.int16(0)
  value.int32(coordinatorEpoch)
  builder.append({ timestamp, key: key.toBytes(), value: value.toBytes() })
  return builder.build()
}

/** What a record of a control batch says. Throws `MalformedBytesError`. */
export function readControlRecord(record: Record): { type: ControlRecordType; coordinatorEpoch: number } {
  const key = new ByteReader(record.key ?? new Uint8Array(0))
  key.int16()
  const code = key.int16()
  if (code !== TYPE_CODES.abort && code !== TYPE_CODES.commit) return { type: 'other', coordinatorEpoch: -1 }
  const value = new ByteReader(record.value ?? new Uint8Array(0))
  value.int16()
  return { type: code === TYPE_CODES.commit ? 'commit' : 'abort', coordinatorEpoch: value.int32() }
}
