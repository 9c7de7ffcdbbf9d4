/** Places in a log as people write them. Pure. */
import type { ResetTarget } from '#client'

import { UserError } from './user-error.ts'

/** Where to begin to read. `last`: so many records before the end; `time`: the first record that is not older, in ms. */
export type StartPlace =
  | { readonly kind: 'beginning' | 'end' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'last'; readonly count: number }
  | { readonly kind: 'time'; readonly timestamp: number }

/** As kcat's -o has it: `beginning`, `end`, an offset, `-N`, `s@TIME`. */
export function parseStartPlace(text: string): StartPlace {
  if (text === 'beginning' || text === 'earliest') return { kind: 'beginning' }
  if (text === 'end' || text === 'latest') return { kind: 'end' }
  if (text.startsWith('s@')) return { kind: 'time', timestamp: timeOf('--offset', text.slice(2)) }
  const number = wholeNumber(text)
  if (number === null)
    throw new UserError(
      `--offset ${text}: write beginning, end, an offset, -N for the last N records, or s@TIME for records from a time on`,
    )
  return text.startsWith('-') ? { kind: 'last', count: -number } : { kind: 'offset', offset: number }
}

/** `earliest`, `latest`, `current`, an offset, `+N` or `-N` from where the group is, or a time. */
export function parseResetTarget(text: string): ResetTarget {
  if (text === 'earliest' || text === 'latest' || text === 'current') return text
  const number = wholeNumber(text)
  if (number !== null) return /^[+-]/.test(text) ? { shiftBy: number } : { offset: number }
  if (/^\d{4}-/.test(text)) return { timestamp: timeOf('--to', text) }
  throw new UserError(
    `--to ${text}: write earliest, latest, current, an offset, +N or -N, or a time such as 2025-03-01T12:00:00Z`,
  )
}

/** `orders`, or `orders:0,3` for some of its partitions. */
export function parseTopicPartitions(text: string): (string | { topic: string; partition: number })[] {
  const colon = text.indexOf(':')
  if (colon < 0) return [text]
  const topic = text.slice(0, colon)
  return text
    .slice(colon + 1)
    .split(',')
    .map((part) => {
      const partition = wholeNumber(part)
      if (topic === '' || partition === null || !/^\d/.test(part))
        throw new UserError(`--topic ${text}: write it as topic or topic:partition,partition`)
      return { topic, partition }
    })
}

/** Milliseconds since 1970, or a date and time as ISO 8601 has it. */
function timeOf(option: string, text: string): number {
  const time = wholeNumber(text) ?? Date.parse(text)
  if (Number.isNaN(time) || time < 0)
    throw new UserError(`${option}: ${text} is no time: write ms since 1970, or 2025-03-01T12:00:00Z`)
  return time
}

function wholeNumber(text: string): number | null {
  const number = Number(text)
  return /^[+-]?\d+$/.test(text) && Number.isSafeInteger(number) ? number : null
}
