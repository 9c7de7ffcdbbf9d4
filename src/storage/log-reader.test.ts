import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RecordBatchBuilder, RecordBatchView, batchesOf } from '#protocol/records'

import { LogReader } from './log-reader.ts'
import type { LogSegment } from './log-segment.ts'
import { ReadBuffers } from './read-buffers.ts'
import { LogTail, TailMemory } from './tail-cache.ts'

/** Batches of so many records each, back to back from offset 0. */
function batches(recordCounts: readonly number[]): Uint8Array {
  const bytes: number[] = []
  let offset = 0
  for (const count of recordCounts) {
    const builder = new RecordBatchBuilder()
    for (let index = 0; index < count; index++)
      builder.append({ timestamp: 1, key: null, value: new Uint8Array(100).fill(index) })
    const batch = new RecordBatchView(builder.build())
    batch.baseOffset = offset
    offset = batch.nextOffset
    bytes.push(...batch.toBytes())
  }
  return Uint8Array.from(bytes)
}

const sizeOf = ({ size }: LogSegment): number => size

test('a read that was under way when the log was cut gives nothing, and leads no later one astray', async () => {
  let content = batches([1, 1, 1, 1])
  const firstBatches = 2 * (content.length / 4)
  let finish = (): void => {}
  const segment = {
    baseOffset: 0,
    get size() {
      return content.length
    },
    positionOf(offset: number): number | null {
      for (const batch of batchesOf(content)) if (batch.lastOffset >= offset) return batch.position
      return null
    },
    file: {
      /** The pool has read, and the loop hears of it later. */
      async readBehind(into: Uint8Array, position: number): Promise<number> {
        into.set(content.subarray(position, position + into.length))
        await new Promise<void>((resolve) => (finish = resolve))
        return into.length
      },
    },
  } as unknown as LogSegment
  const active = { baseOffset: 100, size: 0, positionOf: () => null } as unknown as LogSegment
  const reader = new LogReader([segment, active], new LogTail(new TailMemory()), new ReadBuffers())
  const under = reader.read({ offset: 0, maxBytes: firstBatches, upTo: 4, minOneBatch: true }, sizeOf)
  reader.forget()
  content = batches([1, 3, 3])
  finish()
  assert.equal((await under).records.length, 0)

  const next = reader.read({ offset: 2, maxBytes: 10_000, upTo: 7, minOneBatch: true }, sizeOf)
  finish()
  assert.deepEqual(
    [...batchesOf((await next).records)].map(({ baseOffset }) => baseOffset),
    [1, 4],
  )
})

test('where the file has less than the segment, nothing is read from what a buffer held before', async () => {
  const content = batches([1, 1, 1, 1])
  const written = content.subarray(0, content.length / 2)
  const readNow = (into: Uint8Array, position: number): number => {
    const there = written.subarray(position, position + into.length)
    into.set(there)
    return there.length
  }
  const rolled = {
    baseOffset: 0,
    size: content.length,
    positionOf: () => 0,
    file: { readBehind: async (into: Uint8Array, position: number) => readNow(into, position) },
  } as unknown as LogSegment
  const active = { baseOffset: 4, size: 0, positionOf: () => null } as unknown as LogSegment
  const buffers = new ReadBuffers()
  // Batches of another log, as an earlier read left them.
  const used = buffers.take(content.length)
  used.bytes.set(batches([1, 1, 1, 1]))
  used.release()
  const reader = new LogReader([rolled, active], new LogTail(new TailMemory()), buffers)
  const { records } = await reader.read({ offset: 0, maxBytes: 10_000, upTo: 4, minOneBatch: true }, sizeOf)
  assert.equal(records.length, written.length)
})
