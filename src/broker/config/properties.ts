/**
 * Java's `.properties` files, and the `KAFKA_*` variables that Apache's container image reads in their place.
 */
import { MalformedBytesError, decodeUtf8Strictly } from '#base'

/**
 * The entries of a `.properties` text; a later one of the same key wins. `#` and `!` begin comments, `=`, `:` or
 * white space ends a key, a backslash at the end of a line goes on with the next, and `\t \n \r \f \uXXXX` are
 * escapes. Source: java.util.Properties. Trailing white space of a value is dropped, as Kafka trims it anyway.
 */
export function parseProperties(text: string): Map<string, string> {
  const entries = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const [key, value] = splitEntry(line)
    entries.set(key, value.trimEnd())
  }
  return entries
}

/** UTF-8 where it is valid, else ISO-8859-1, which is what Java reads these files as. */
export function decodePropertiesFile(bytes: Uint8Array): string {
  try {
    return decodeUtf8Strictly(bytes)
  } catch (error) {
    if (!(error instanceof MalformedBytesError)) throw error
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')
  }
}

/** Variables that begin with KAFKA_ and speak to the JVM or the start scripts instead of the broker. */
const NOT_CONFIGURATIONS =
  /^KAFKA_(?:VERSION|HOME|DEBUG|HEAP_OPTS|OPTS|JVM_PERFORMANCE_OPTS|GC_LOG_OPTS|JMX_.*|LOG4J_.*|TOOLS_LOG4J_.*|CLUSTER_ID|MODE)$/

/** `KAFKA_A_B` → `a.b`, `KAFKA_A__B` → `a_b`, `KAFKA_A___B` → `a-b`. */
export function configurationsOfEnvironment(env: Readonly<Record<string, string | undefined>>): Map<string, string> {
  const entries = new Map<string, string>()
  for (const [variable, value] of Object.entries(env)) {
    if (value === undefined || !/^KAFKA_./.test(variable) || NOT_CONFIGURATIONS.test(variable)) continue
    const name = variable
      .slice('KAFKA_'.length)
      .toLowerCase()
      .replace(/_{1,3}/g, (underscores) => ['.', '_', '-'][underscores.length - 1]!)
    entries.set(name, value)
  }
  return entries
}

/** Lines without comments and blank ones, joined where a line goes on. Escapes are still in them. */
function* logicalLines(text: string): Generator<string> {
  let pending: string | null = null
  for (const line of text.split(/\r\n|\r|\n/)) {
    const trimmed = line.replace(/^[ \t\f]+/, '')
    if (pending === null && (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith('!'))) continue
    const whole: string = (pending ?? '') + trimmed
    if (endsWithOddBackslashes(whole)) {
      pending = whole.slice(0, -1)
    } else {
      pending = null
      yield whole
    }
  }
  if (pending !== null && pending !== '') yield pending
}

function endsWithOddBackslashes(line: string): boolean {
  return /\\*$/.exec(line)![0].length % 2 === 1
}

function splitEntry(line: string): [key: string, value: string] {
  let end = 0
  while (end < line.length && !/[=: \t\f]/.test(line[end]!)) end += line[end] === '\\' ? 2 : 1
  end = Math.min(end, line.length)
  const rest = line.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '')
  return [unescape(line.slice(0, end)), unescape(rest)]
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_, code?: string, char?: string) =>
    code === undefined ? (ESCAPES[char!] ?? char!) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}
