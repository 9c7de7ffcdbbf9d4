/** Figures as a table for the terminal, and as `docs/performance.md` with plots of the ratios. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT } from '../test/peers/index.ts'
import { type Bar, barChart } from './plot.ts'

/** One figure of both sides. */
export interface Row {
  configuration: string
  point: string
  figure: string
  unit: string
  better: 'more' | 'less'
  samsa: number
  /** Null if Samsa ran alone. */
  apache: number | null
}

export interface Result {
  at: string
  machine: string
  node: string
  rows: Row[]
}

/** What each figure should reach, as Samsa's part of Apache's. */
const GOALS: Record<string, number> = {
  'produce rate': 1,
  'consume rate': 1,
  'produce CPU': 0.5,
  'consume CPU': 2,
  'paced p99': 1,
  'end to end p99': 1,
  'start to first answer': 0.1,
  resident: 0.25,
}

const BEGIN = '<!-- Written by `npm run bench`; changes here are overwritten. -->'
const END = '<!-- End of what `npm run bench` writes. -->'

export function table(result: Result): string {
  return result.rows.map((row) => cells(row).join('\t')).join('\n')
}

export function writeDocument(result: Result): void {
  const directory = join(ROOT, 'docs/plots')
  mkdirSync(directory, { recursive: true })
  const configurations = [...new Set(result.rows.map(({ configuration }) => configuration))]
  const parts: string[] = [
    BEGIN,
    '',
    `Measured on ${result.at}: ${result.machine}, Node ${result.node.slice(1)}, everything on one machine over loopback; ` +
      'Apache Kafka 3.9.1 with 1 GiB of heap. Second, warm round; both sides in turn in one run.',
    'CPU is of all brokers together, per record. A ratio is Samsa divided by Apache.',
    '',
  ]
  for (const [index, configuration] of configurations.entries()) {
    const rows = result.rows.filter((row) => row.configuration === configuration)
    const file = `bench-${index + 1}.svg`
    writeFileSync(join(directory, file), barChart(`Samsa / Apache: ${configuration}`, rows.flatMap(barOf)))
    parts.push(
      `### ${configuration[0]!.toUpperCase()}${configuration.slice(1)}`,
      '',
      `![Ratios](plots/${file})`,
      '',
      '| point | figure | Samsa | Apache | ratio | goal | |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      ...rows.map((row) => `| ${cells(row).join(' | ')} |`),
      '',
    )
  }
  parts.push(END)
  writeBetween(join(ROOT, 'docs/performance.md'), parts.join('\n'), BEGIN, END)
}

function cells(row: Row): string[] {
  const ratio = ratioOf(row)
  const goal = GOALS[row.figure]
  return [
    row.point,
    row.figure,
    `${format(row.samsa)} ${row.unit}`,
    row.apache === null ? '' : `${format(row.apache)} ${row.unit}`,
    ratio === null ? '' : ratio.toFixed(2),
    goal === undefined ? '' : `${row.better === 'more' ? '≥' : '≤'} ${goal}`,
    goal === undefined || ratio === null ? '' : reaches(row, ratio, goal) ? 'reached' : 'below',
  ]
}

function barOf(row: Row): Bar[] {
  const ratio = ratioOf(row)
  const goal = GOALS[row.figure]
  if (ratio === null || goal === undefined) return []
  return [{ label: `${row.figure}: ${row.point}`, value: ratio, goal, good: reaches(row, ratio, goal) }]
}

function ratioOf({ samsa, apache }: Row): number | null {
  return apache === null || apache === 0 ? null : samsa / apache
}

function reaches({ better }: Row, ratio: number, goal: number): boolean {
  return better === 'more' ? ratio >= goal : ratio <= goal
}

function format(value: number): string {
  if (value >= 1000)
    return Math.round(value)
      .toString()
      .replace(/\B(?=(\d{3})+$)/g, ',')
  return value >= 10 ? value.toFixed(0) : value.toFixed(2)
}

/** Replaces what stands between the marks, or appends it: the words around the figures are people's. */
export function writeBetween(path: string, text: string, beginMark: string, endMark: string): void {
  const old = existsSync(path) ? readFileSync(path, 'utf8') : '# Performance\n'
  const [begin, end] = [old.indexOf(beginMark), old.indexOf(endMark)]
  const next =
    begin >= 0 && end > begin
      ? old.slice(0, begin) + text + old.slice(end + endMark.length)
      : `${old.trimEnd()}\n\n${text}\n`
  writeFileSync(path, next)
}
