/**
 * What a call of a client fails with. There is one family: a broker's error code, a cluster that cannot be reached, time that ran
 * out, a record that is too large, a configuration that is none.
 */
import { ErrorCode, errorOf } from '#protocol'
import { RpcError } from '#rpc'

export interface KafkaErrorOptions {
  readonly code?: number
  readonly retriable?: boolean
  readonly fatal?: boolean
  readonly cause?: unknown
}

export class KafkaError extends Error {
  override name = 'KafkaError'
  /** The protocol's error code, or null where no code says it. */
  readonly code: number | null
  /** Whether the same call may succeed later. It may also have been carried out already. */
  readonly retriable: boolean
  /** Whether the client that threw it is of no use any more: close it. */
  readonly fatal: boolean

  constructor(message: string, options: KafkaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = options.code ?? null
    this.retriable = options.retriable ?? false
    this.fatal = options.fatal ?? false
  }

  /** Kafka's name of the code, e.g. `NOT_LEADER_OR_FOLLOWER`; null without a code. */
  get codeName(): string | null {
    return this.code === null ? null : errorOf(this.code).name
  }
}

/** Something did not happen in the time that a setting gives it. The message names the setting. */
export class TimeoutError extends KafkaError {
  override name = 'TimeoutError'
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { ...options, code: ErrorCode.REQUEST_TIMED_OUT, retriable: true })
  }
}

/** `buffer.memory` stayed full for `max.block.ms`. */
export class BufferExhaustedError extends TimeoutError {
  override name = 'BufferExhaustedError'
}

/** A record is larger than `max.request.size`, `buffer.memory` or, told by the broker, `max.message.bytes`. */
export class RecordTooLargeError extends KafkaError {
  override name = 'RecordTooLargeError'
  constructor(message: string) {
    super(message, { code: ErrorCode.MESSAGE_TOO_LARGE })
  }
}

/** A setting that is unknown, missing, no value of its type, or at odds with another one. */
export class ConfigError extends KafkaError {
  override name = 'ConfigError'
}

/** The client was closed before the call was done. */
export class ClosedError extends KafkaError {
  override name = 'ClosedError'
  constructor(message: string) {
    super(message, { fatal: true })
  }
}

/** After these the client cannot go on, whatever is tried. */
const FATAL_CODES: ReadonlySet<number> = new Set([
  ErrorCode.UNSUPPORTED_VERSION,
  ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
  ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  ErrorCode.SASL_AUTHENTICATION_FAILED,
  ErrorCode.PRODUCER_FENCED,
  ErrorCode.FENCED_INSTANCE_ID,
])

/** The error for a code of an answer; `detail` is the broker's own message, or what was asked, and says more than the code. */
export function kafkaError(code: number, detail?: string | null): KafkaError {
  const { name, message, retriable } = errorOf(code)
  return new KafkaError(`${name}: ${detail ?? message}`, { code, retriable, fatal: FATAL_CODES.has(code) })
}

/** A request that got no answer, as the error of the call that sent it. */
export function fromRpcError(error: RpcError): KafkaError {
  const { message, retriable } = error
  switch (error.kind) {
    case 'timeout':
      return new TimeoutError(message, { cause: error })
    case 'unsupportedVersion':
      return new KafkaError(message, { code: ErrorCode.UNSUPPORTED_VERSION, cause: error })
    case 'closed':
      return new ClosedError(message)
    case 'malformedAnswer':
      return new KafkaError(message, { cause: error })
    case 'connect':
    case 'disconnected':
      return new KafkaError(message, { code: ErrorCode.NETWORK_EXCEPTION, retriable, cause: error })
  }
}

/** Whatever was thrown, as the family's error where it is one of a request. */
export function asKafkaError(error: unknown): unknown {
  return error instanceof RpcError ? fromRpcError(error) : error
}

export function isRetriable(error: unknown): boolean {
  return (error instanceof KafkaError || error instanceof RpcError) && error.retriable
}

/** Errors that say: who leads, or what exists, is known here no longer (Java's InvalidMetadataException). */
const STALE_METADATA_CODES: ReadonlySet<number> = new Set([
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.LEADER_NOT_AVAILABLE,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ErrorCode.REPLICA_NOT_AVAILABLE,
  ErrorCode.NETWORK_EXCEPTION,
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH,
  ErrorCode.LISTENER_NOT_FOUND,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.INCONSISTENT_TOPIC_ID,
])

/** Whether metadata must be asked for anew after this code. */
export function isStaleMetadata(code: number): boolean {
  return STALE_METADATA_CODES.has(code)
}

/** Throws where a caller without types gave something else for the name of a topic; which names are legal, the broker says. */
export function checkTopicName(topic: unknown): asserts topic is string {
  if (typeof topic === 'string' && topic !== '') return
  throw new KafkaError(`a topic is named by text, such as 'orders', and not by ${described(topic)}`)
}

/** A value as it was given, shortened. */
export function described(value: unknown): string {
  if (value === '') return 'empty text'
  if (value instanceof Uint8Array) return 'bytes'
  const text = textOf(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function textOf(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'function':
    case 'symbol':
      return `a ${typeof value}`
    case 'object':
      try {
        return JSON.stringify(value)
      } catch {
        // One that holds itself, or a bigint.
        return 'an object'
      }
    default:
      return `${value as number | bigint | boolean | undefined}`
  }
}
