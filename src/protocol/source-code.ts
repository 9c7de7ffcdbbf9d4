/** Lines of JavaScript with their indentation. */
export class SourceCode {
  #lines: string[] = []
  #indent = ''

  line(text: string): void {
    this.#lines.push(this.#indent + text)
  }

  block(head: string, body: () => void): void {
    this.line(head === '' ? '{' : `${head} {`)
    this.#indent += '  '
    body()
    this.#indent = this.#indent.slice(2)
    this.line('}')
  }

  toString(): string {
    return this.#lines.join('\n')
  }
}

/** Source of a default. It is written where it is used, so that no two messages share a value that can be changed. */
export function literalOf(value: unknown): string {
  if (value instanceof Uint8Array) return 'new Uint8Array(0)'
  if (Array.isArray(value)) return '[]'
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{ ${Object.entries(value)
    .map(([name, inner]) => `${name}: ${literalOf(inner)}`)
    .join(', ')} }`
}
