export { Arena, arenaUsage, type ArenaUsage } from './arena.ts'
export { AssertionError, assert, unreachable } from './assert.ts'
export type { Branded } from './branded.ts'
export {
  ByteReader,
  ByteWriter,
  MalformedBytesError,
  concatBytes,
  decodeUtf8,
  decodeUtf8Strictly,
  encodeUtf8,
  equalBytes,
  setInt64,
  utf8Length,
} from './bytes.ts'
export { crc32c } from './crc32c.ts'
export { toBase64, toHex } from './encodings.ts'
