/** A message as the interpreter and the compiler see it. */
import type { Member } from './field.ts'

export interface MessageSchema {
  /** As errors name it: `Fetch request`. */
  readonly name: string
  readonly firstVersion: number
  readonly lastVersion: number
  /** First version with compact lengths and tag sections; `Infinity` if there is none. */
  readonly flexibleSince: number
  readonly members: readonly Member[]
}

/**
 * A message cannot be said in this version: a field is set that the version lacks, null stands where it may
 * not, or a text is too long. The writer that was given is left with a part of the message.
 */
export class EncodingError extends Error {
  override name = 'EncodingError'
}

/** Longest text in bytes: Kafka allows no more, although a compact length could say it. */
export const STRING_BYTES_MAX = 0x7fff
