/**
 * Java's format of properties: `key=value`, `key: value` or `key value`, comments after `#` or `!`, a backslash
 * at the end of a line that goes on. The last value of a key counts. Source: java.util.Properties.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const match = /^((?:\\.|[^\\=:\s])+)\s*[=:]?\s*(.*)$/s.exec(line)
    if (match !== null) properties.set(unescaped(match[1]!), unescaped(match[2]!.trimEnd()))
  }
  return properties
}

function* logicalLines(text: string): Generator<string> {
  let begun = ''
  for (const physical of text.split(/\r\n|\r|\n/)) {
    const line = physical.trimStart()
    if (begun === '' && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue
    const goesOn = /(?<!\\)(?:\\\\)*\\$/.test(line)
    begun += goesOn ? line.slice(0, -1) : line
    if (goesOn) continue
    yield begun
    begun = ''
  }
  if (begun !== '') yield begun
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescaped(text: string): string {
  return text.replaceAll(/\\(?:u([\da-fA-F]{4})|(.))/gs, (_, code: string | undefined, character: string) =>
    code === undefined ? (ESCAPES[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}
