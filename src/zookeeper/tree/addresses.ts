/** Addresses of the `ip` scheme: `10.1.2.3`, `10.0.0.0/8`, `fe80::/10`. Source: IPAuthenticationProvider. */

export function isAddressExpression(expression: string): boolean {
  return parseExpression(expression) !== null
}

/** Whether the address lies in the network that the expression names. */
export function addressMatches(address: string, expression: string): boolean {
  const network = parseExpression(expression)
  const bytes = parseAddress(address)
  if (network === null || bytes === null || bytes.length !== network.bytes.length) return false
  for (let bit = 0; bit < network.bits; bit += 8) {
    const mask = bit + 8 <= network.bits ? 0xff : (0xff << (bit + 8 - network.bits)) & 0xff
    if (((bytes[bit >> 3]! ^ network.bytes[bit >> 3]!) & mask) !== 0) return false
  }
  return true
}

function parseExpression(expression: string): { bytes: readonly number[]; bits: number } | null {
  const slash = expression.indexOf('/')
  const bytes = parseAddress(slash < 0 ? expression : expression.slice(0, slash))
  if (bytes === null) return null
  if (slash < 0) return { bytes, bits: bytes.length * 8 }
  const bits = parseNumber(expression.slice(slash + 1), 10, bytes.length * 8)
  return bits === null ? null : { bytes, bits }
}

function parseAddress(address: string): readonly number[] | null {
  return address.includes(':') ? parseV6(address) : parseV4(address)
}

function parseV4(address: string): number[] | null {
  const bytes = address.split('.').map((part) => parseNumber(part, 10, 255))
  return bytes.length === 4 && bytes.every((byte) => byte !== null) ? bytes : null
}

function parseV6(address: string): number[] | null {
  const halves = address.split('::')
  if (halves.length > 2) return null
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const written = head!.length + (tail?.length ?? 0)
  if (tail === undefined ? written !== 8 : written >= 8) return null
  const groups = [...head!, ...Array.from({ length: 8 - written }, () => '0'), ...(tail ?? [])]
  const bytes: number[] = []
  for (const group of groups) {
    const value = group.length > 4 ? null : parseNumber(group, 16, 0xffff)
    if (value === null) return null
    bytes.push(value >> 8, value & 0xff)
  }
  return bytes
}

function parseNumber(text: string, base: 10 | 16, max: number): number | null {
  if (!(base === 10 ? /^\d{1,5}$/ : /^[\da-f]+$/i).test(text)) return null
  const value = Number.parseInt(text, base)
  return value <= max ? value : null
}
