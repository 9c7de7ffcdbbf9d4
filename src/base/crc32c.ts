import { arenaEngine, type ArenaEngine } from './arena.ts'
import { crc32cByTables } from './crc32c-tables.ts'

/**
 * CRC-32C of `bytes[start, end)` as an unsigned number, going on from `seed`, the CRC of what came before (0 at the
 * beginning). In place when the bytes lie in the arena; else through the arena's scratch space, piece by piece.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  const engine = arenaEngine()
  if (engine === null) return crc32cByTables(bytes, start, end, seed)
  if (bytes.buffer === engine.buffer) return engine.crc32c(seed, bytes.byteOffset + start, end - start) >>> 0
  return byPieces(engine, bytes, start, end, seed)
}

function byPieces(engine: ArenaEngine, bytes: Uint8Array, start: number, end: number, seed: number): number {
  let crc = seed
  for (let at = start; at < end; at += engine.scratchBytes) {
    const length = Math.min(end - at, engine.scratchBytes)
    const piece = at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length)
    engine.memory.set(piece, engine.scratchAt)
    crc = engine.crc32c(crc, engine.scratchAt, length)
  }
  return crc >>> 0
}
