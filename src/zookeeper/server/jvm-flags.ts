/**
 * The properties in a Java command line: `-Dzookeeper.x=y`, and those without the prefix that Apache's servers read. Everything
 * else there (heap, collector, agents) is for Java alone. Words may be quoted, as a shell has them.
 */
export function propertiesOfJvmFlags(flags: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const [word] of flags.matchAll(/(?:"[^"]*"|'[^']*'|\\.|[^\s"'\\])+/g)) {
    const match = /^-D(?<key>[^=]+)=?(?<value>.*)$/s.exec(
      word.replaceAll(/"([^"]*)"|'([^']*)'|\\(.)/g, '$1$2$3'),
    )?.groups
    if (match === undefined) continue
    const { key, value } = match as { key: string; value: string }
    if (key.startsWith('zookeeper.') || WITHOUT_PREFIX.has(key)) properties.set(key, value)
  }
  return properties
}

const WITHOUT_PREFIX: ReadonlySet<string> = new Set([
  'jute.maxbuffer',
  'java.security.auth.login.config',
  'readonlymode.enabled',
])
