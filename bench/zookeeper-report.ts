/** The figures of `bench/zookeeper.ts`: kept from run to run, so that it may be run in parts, and written into `docs/performance.md`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'

import { CACHE, ROOT } from '../test/peers/index.ts'
import { barChart } from './plot.ts'
import { writeBetween } from './report.ts'

export interface Figure {
  operation: string
  /** Operations per second. */
  rate: number
  /** Milliseconds. */
  p50: number
  p99: number
  /** Microseconds of all servers together, per operation. */
  cpu: number
}

/** A load on both sides, or one figure of both; null for a side that did not run. */
export type Point =
  | {
      kind: 'load'
      configuration: string
      load: string
      bytes: number
      operation: string
      samsa: Figure | null
      apache: Figure | null
    }
  | {
      kind: 'single'
      configuration: string
      what: string
      unit: string
      samsa: number | null
      apache: number | null
    }

interface Kept {
  at: string
  machine: string
  points: Point[]
}

const RATE_GOAL = 1
const P99_GOAL = 0.5
const MEMORY_GOAL = 0.2
const KEPT_PATH = join(CACHE, 'bench/zookeeper.json')
const BEGIN = '<!-- Written by `node bench/zookeeper.ts`; changes here are overwritten. -->'
const END = '<!-- End of what `node bench/zookeeper.ts` writes. -->'

/** In place of the same points of earlier runs. */
export function remember(points: readonly Point[]): void {
  const kept = existsSync(KEPT_PATH) ? (JSON.parse(readFileSync(KEPT_PATH, 'utf8')) as Kept).points : []
  const isNew = new Set(points.map(nameOf))
  const all = [...kept.filter((point) => !isNew.has(nameOf(point))), ...points]
  const machine = `${cpus().length} cores, ${cpus()[0]!.model.trim()}, Node ${process.version.slice(1)}`
  mkdirSync(dirname(KEPT_PATH), { recursive: true })
  writeFileSync(KEPT_PATH, JSON.stringify({ at: new Date().toISOString().slice(0, 10), machine, points: all }, null, 1))
}

export function summary(points: readonly Point[]): string {
  return points.map((point) => cells(point).join('\t')).join('\n')
}

export function writeZooKeeper(): void {
  const { at, machine, points } = JSON.parse(readFileSync(KEPT_PATH, 'utf8')) as Kept
  const parts = [
    BEGIN,
    '',
    `Measured on ${at}: ${machine}, everything on one machine over loopback; Apache ZooKeeper 3.9.4 with 512 MiB of heap. Both with fsync, in turn in one run; the warm round.`,
    'A load of `16x100` is 16 clients with 100 requests under way each. CPU is of all servers together per operation, Samsa and Apache. A ratio is Samsa divided by Apache; the goals are a rate of at least 1, a p99 of at most 0.5 and memory of at most 0.2.',
    '',
  ]
  for (const [index, configuration] of [...new Set(points.map((point) => point.configuration))]
    .sort()
    .reverse()
    .entries()) {
    const own = points.filter((point) => point.configuration === configuration).toSorted(byLoad)
    const file = `zookeeper-${index + 1}.svg`
    writeFileSync(
      join(ROOT, 'docs/plots', file),
      barChart(`Rate, Samsa / Apache: ${configuration}`, own.flatMap(barOf)),
    )
    parts.push(
      `### ZooKeeper, ${configuration}`,
      '',
      `![Ratios](plots/${file})`,
      '',
      '| load | bytes | operation | Samsa /s | Apache /s | ratio | Samsa p50, p99 ms | Apache p50, p99 ms | p99 ratio | CPU us | |',
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
      ...own.filter(({ kind }) => kind === 'load').map((point) => `| ${cells(point).join(' | ')} |`),
      '',
      '| | Samsa | Apache | ratio | |',
      '| --- | --- | --- | --- | --- |',
      ...own.filter(({ kind }) => kind === 'single').map((point) => `| ${cells(point).join(' | ')} |`),
      '',
    )
  }
  parts.push(END)
  writeBetween(join(ROOT, 'docs/performance.md'), parts.join('\n'), BEGIN, END)
}

function nameOf(point: Point): string {
  return point.kind === 'single'
    ? `${point.configuration} ${point.what}`
    : `${point.configuration} ${point.load} ${point.bytes} ${point.operation}`
}

const LOAD_ORDER = ['1x1', '16x1', '128x1', '16x100']
const OPERATION_ORDER = ['create', 'set', 'get']

function byLoad(a: Point, b: Point): number {
  if (a.kind === 'single' || b.kind === 'single') return a.kind === b.kind ? 0 : a.kind === 'single' ? 1 : -1
  return (
    a.bytes - b.bytes ||
    LOAD_ORDER.indexOf(a.load) - LOAD_ORDER.indexOf(b.load) ||
    OPERATION_ORDER.indexOf(a.operation) - OPERATION_ORDER.indexOf(b.operation)
  )
}

function cells(point: Point): string[] {
  if (point.kind === 'single') {
    const { what, unit, samsa, apache } = point
    const ratio = samsa === null || apache === null ? null : samsa / apache
    const isGoal = what.startsWith('resident') && ratio !== null
    return [
      what,
      samsa === null ? '' : `${count(samsa)} ${unit}`,
      apache === null ? '' : `${count(apache)} ${unit}`,
      ratio?.toFixed(2) ?? '',
      isGoal ? (ratio <= MEMORY_GOAL ? 'reached' : 'below') : '',
    ]
  }
  const { load, bytes, operation, samsa, apache } = point
  const [rate, p99] = ratiosOf(point)
  const missed = [...((rate ?? 1) < RATE_GOAL ? ['rate'] : []), ...((p99 ?? 0) > P99_GOAL ? ['p99'] : [])]
  return [
    load,
    String(bytes),
    operation,
    samsa === null ? '' : count(samsa.rate),
    apache === null ? '' : count(apache.rate),
    rate?.toFixed(2) ?? '',
    samsa === null ? '' : latencies(samsa),
    apache === null ? '' : latencies(apache),
    p99?.toFixed(2) ?? '',
    [samsa, apache].map((figure) => figure?.cpu.toFixed(0) ?? '').join(', '),
    rate === null ? '' : missed.length === 0 ? 'reached' : `below: ${missed.join(', ')}`,
  ]
}

function ratiosOf(point: Point): [rate: number | null, p99: number | null] {
  if (point.kind === 'single' || point.samsa === null || point.apache === null) return [null, null]
  return [point.samsa.rate / point.apache.rate, point.samsa.p99 / point.apache.p99]
}

function barOf(point: Point): { label: string; value: number; goal: number; good: boolean }[] {
  const [rate] = ratiosOf(point)
  if (rate === null || point.kind === 'single') return []
  const label = `${point.operation} ${point.bytes} B: ${point.load}`
  return [{ label, value: rate, goal: RATE_GOAL, good: rate >= RATE_GOAL }]
}

function latencies({ p50, p99 }: Figure): string {
  return `${p50.toPrecision(3)}, ${p99.toPrecision(3)}`
}

function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}
