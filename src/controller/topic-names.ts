/** Which names a topic may have. Source: `org.apache.kafka.common.internals.Topic`. */

const TOPIC_NAME_LENGTH_MAX = 249

/** Why it is none; null when it is one. */
export function topicNameFault(name: string): string | null {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name is invalid: '.' or '..' is not allowed`
  if (name.length > TOPIC_NAME_LENGTH_MAX)
    return `Topic name is invalid: the length of '${name}' is longer than the max allowed length ${TOPIC_NAME_LENGTH_MAX}`
  if (!/^[a-zA-Z0-9._-]+$/.test(name))
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  return null
}

/** Names that differ only in `.` and `_` become the same name of a metric: they may not stand side by side. */
export function collides(a: string, b: string): boolean {
  return a !== b && a.replaceAll('.', '_') === b.replaceAll('.', '_')
}
