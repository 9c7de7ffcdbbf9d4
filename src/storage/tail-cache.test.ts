import assert from 'node:assert/strict'
import { test } from 'node:test'

import { arenaUsage } from '#base'

import { LogTail, TailMemory, type TailChunk } from './tail-cache.ts'

/** Fills the tail with one batch per offset. */
function put(tail: LogTail, offset: number, size: number, position = offset * size): TailChunk {
  const chunk = tail.reserve(size, 0, position)
  chunk.bytes.fill(offset, chunk.length, chunk.length + size)
  chunk.note(offset, size, offset + 1)
  chunk.written = chunk.length
  return chunk
}

test('a log that is written seldom takes one small chunk, a busy one larger ones, up to its bound', () => {
  const memory = new TailMemory({ totalBytes: 4 * 1024 * 1024, bytesPerLog: 256 * 1024 })
  const idle = new LogTail(memory)
  put(idle, 0, 100)
  assert.equal(idle.bytes, 4096)
  const busy = new LogTail(memory)
  for (let offset = 0; offset < 2000; offset++) put(busy, offset, 1000)
  assert.ok(busy.bytes <= 256 * 1024)
  assert.equal(busy.find(0), null)
  assert.notEqual(busy.find(1999), null)
  assert.equal(memory.bytes, idle.bytes + busy.bytes)
})

test('the oldest chunk goes first, whosever it is, but none that has unwritten bytes', () => {
  const memory = new TailMemory({ totalBytes: 64 * 1024, bytesPerLog: 64 * 1024 })
  const old = new LogTail(memory)
  const unwritten = new LogTail(memory)
  const busy = new LogTail(memory)
  put(old, 0, 1000)
  put(unwritten, 0, 1000).written = 0
  for (let offset = 0; offset < 200; offset++) put(busy, offset, 1000)
  assert.equal(old.find(0), null)
  assert.notEqual(unwritten.find(0), null)
  assert.ok(memory.bytes <= 64 * 1024)
})

test('an evicted chunk goes back when its last reader is done', () => {
  const before = arenaUsage().chunks
  const memory = new TailMemory()
  const tail = new LogTail(memory)
  const chunk = put(tail, 7, 3000)
  const first = tail.hold(chunk)!
  const second = tail.hold(chunk)!
  tail.clear()
  assert.equal(memory.pinnedBytes, 4096)
  assert.equal(arenaUsage().chunks, before + 1)
  first.release()
  assert.equal(chunk.bytes[2999], 7)
  second.release()
  assert.equal(memory.pinnedBytes, 0)
  assert.equal(arenaUsage().chunks, before)
  assert.throws(() => second.release(), /released once/)
})

test('readers that hold too much get no more holds, and so copies', () => {
  const memory = new TailMemory()
  const held = []
  for (let index = 0; index < 40; index++) {
    const tail = new LogTail(memory)
    const chunk = put(tail, 0, 1024 * 1024)
    const hold = tail.hold(chunk)
    if (hold !== null) held.push(hold)
    tail.clear()
  }
  assert.equal(held.length, 32)
  for (const hold of held) hold.release()
  assert.equal(memory.mayPin, true)
})

test('batches are found by offset and by position', () => {
  const tail = new LogTail(new TailMemory())
  for (const offset of [10, 11, 12]) put(tail, offset, 500, (offset - 10) * 500)
  const chunk = tail.find(11)!
  assert.deepEqual(
    [9, 10, 11, 12, 13].map((offset) => chunk.batchAt(offset)),
    [-1, 0, 1, 2, 2],
  )
  assert.deepEqual(
    [0, 499, 500, 1400, 1500, 9999].map((position) => chunk.boundaryBefore(position)),
    [0, 0, 1, 2, 3, 3],
  )
  assert.deepEqual([chunk.positionOf(2), chunk.positionOf(3)], [1000, 1500])
  assert.equal(tail.find(13), null)
})
