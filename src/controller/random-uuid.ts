import type { Random } from '#platform'
import { uuidFromBytes } from '#protocol'

/** A random id for a topic: version 4 (RFC 9562), and no text that a command line takes for an option. */
export function randomUuid(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const uuid = uuidFromBytes(bytes)
    if (!uuid.startsWith('-')) return uuid
  }
}
