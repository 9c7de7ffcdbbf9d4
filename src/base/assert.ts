/**
 * What we did wrong is an assertion, and the process stops. What the protocol foresees is a value, and
 * what the machine does to us is an exception with a cause; neither of them comes here.
 */
export class AssertionError extends Error {
  override name = 'AssertionError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Marks a branch that an exhaustive `switch` cannot reach. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
