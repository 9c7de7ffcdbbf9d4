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
  utf8Length,
} from './bytes.ts'
