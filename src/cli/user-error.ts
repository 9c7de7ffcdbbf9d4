/** The user can mend this: the message alone is shown, and says what was wrong and what would be right. */
export class UserError extends Error {
  override name = 'UserError'
}

/** `key=value` pairs of a repeatable option. */
export function parseAssignments(option: string, pairs: readonly string[] = []): Record<string, string> {
  const values: Record<string, string> = {}
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    if (equals < 1) throw new UserError(`${option} ${pair}: write it as key=value`)
    values[pair.slice(0, equals).trim()] = pair.slice(equals + 1).trim()
  }
  return values
}
