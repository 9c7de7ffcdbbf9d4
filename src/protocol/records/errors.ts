import { MalformedBytesError } from '#base'

/** More comes out of compressed bytes, or is said to come out, than the caller allows. */
export class DecompressedTooLargeError extends MalformedBytesError {
  override name = 'DecompressedTooLargeError'
}

/**
 * The error codes of Kafka's table that the validation of batches answers. They are named here once more, because
 * who appends (`storage`) knows batches but not the messages of the protocol.
 */
export const RecordErrorCode = {
  NONE: 0,
  CORRUPT_MESSAGE: 2,
  MESSAGE_TOO_LARGE: 10,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 43,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  INVALID_RECORD: 87,
} as const
export type RecordErrorCode = (typeof RecordErrorCode)[keyof typeof RecordErrorCode]
