/** Real text in quantity: Debian's index of packages, which every Debian machine has or can have. */
import { createHash } from 'node:crypto'
import { createReadStream, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'

import { run } from '../peers/index.ts'

const LISTS = '/var/lib/apt/lists'
const HELPER = '/usr/lib/apt/apt-helper'
const LINES_MIN = 1_000_001

/** More than a million lines, without the newline at the end; made up, and always the same, where there is no index. */
export async function packageIndex(): Promise<string> {
  const text = await debianIndex()
  const missing = LINES_MIN - (text.match(/\n/g)?.length ?? 0)
  return missing <= 0 ? text.trimEnd() : `${text}${madeUp(missing)}`
}

export interface Station {
  received: number
  /** Lines that came after a later one of their partition. */
  outOfOrder: number
  partitions: number
  hash: string
}

/** Reads `PARTITION<tab>NUMBER LINE` and lays each line in its place. */
export async function putTogether(path: string): Promise<Station> {
  const found: string[] = []
  const last = new Map<string, number>()
  let received = 0
  let outOfOrder = 0
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: 0 })) {
    const tab = line.indexOf('\t')
    // Java's console consumer says `Partition:0`.
    const partition = line.slice(line.indexOf(':') < tab ? line.indexOf(':') + 1 : 0, tab)
    const value = line.slice(tab + 1)
    const number = Number(value.slice(0, value.indexOf(' ')))
    if (number < (last.get(partition) ?? -1)) outOfOrder++
    last.set(partition, number)
    found[number] = value
    received++
  }
  return {
    received,
    outOfOrder,
    partitions: last.size,
    hash: createHash('sha256').update(found.join('\n')).digest('hex'),
  }
}

async function debianIndex(): Promise<string> {
  try {
    const lists = readdirSync(LISTS).filter((name) => /_main_.*Packages/.test(name))
    const helped = await run(HELPER, ['cat-file', ...lists.sort().map((name) => `${LISTS}/${name}`)])
    return helped.stdout
  } catch {
    return ''
  }
}

/** Paragraphs in the manner of the index, from a fixed linear congruence. */
function madeUp(lines: number): string {
  const words = ['library', 'shared', 'tools', 'daemon', 'headers', 'python3', 'documentation', 'für', 'язык', '']
  let state = 20_261_122
  const next = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
  return Array.from({ length: lines }, () =>
    Array.from({ length: next(12) }, () => words[next(words.length)]).join(' '),
  ).join('\n')
}
