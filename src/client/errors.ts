import { errorOf } from '#protocol'

/** A broker answered with an error code, or the cluster could not be reached in time. */
export class KafkaError extends Error {
  override name = 'KafkaError'
  /** The protocol's error code, or null where no broker gave one. */
  readonly code: number | null
  /** Whether the same call may succeed later. */
  readonly retriable: boolean
  constructor(message: string, options: { code?: number; retriable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = options.code ?? null
    this.retriable = options.retriable ?? false
  }
}

/** The error for a code of an answer; `detail` is the broker's own message, which says more than the code. */
export function kafkaError(code: number, detail?: string | null): KafkaError {
  const { name, message, retriable } = errorOf(code)
  return new KafkaError(`${name}: ${detail ?? message}`, { code, retriable })
}
