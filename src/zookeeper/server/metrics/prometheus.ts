/**
 * Metrics as Prometheus reads them, with the names and types of Apache's provider, and what its client libraries say of the process.
 *
 *     # HELP fsynctime fsynctime
 *     # TYPE fsynctime summary
 *     fsynctime{quantile="0.5"} 1.5
 *     fsynctime_count 2.0
 *
 * Source: PrometheusMetricsProvider; the exposition format, version 0.0.4.
 */
import { gaugesOf } from '../admin/gauges.ts'
import { quotaGauges } from '../admin/quota-gauges.ts'
import { Decimal, type AdminView } from '../admin/view.ts'
import { Counter, CounterSet, Summary, type SummarySet } from './instruments.ts'

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Label = readonly [string, string]
/** What follows the family's name, labels, value. */
type Sample = readonly [string, readonly Label[], number]

export interface Family {
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'summary'
  readonly samples: readonly Sample[]
}

export function* familiesOf(view: AdminView): Generator<Family> {
  for (const [name, value] of gaugesOf(view)) yield single(name, 'gauge', numberOf(value))
  for (const { name, values } of quotaGauges(view.tree)) yield keyed(name, 'gauge', values)
  yield single('digest_mismatches_count', 'counter', view.tree.digestMismatches)
  for (const [name, instrument] of view.metrics.instruments) {
    if (instrument instanceof Counter) yield single(name, 'counter', instrument.value)
    else if (instrument instanceof CounterSet)
      yield keyed(
        name,
        'counter',
        Array.from(instrument.entries(), ([key, { value }]) => [key, value] as const),
      )
    else if (instrument instanceof Summary) yield { name, kind: 'summary', samples: summarySamples(instrument) }
    else yield { name, kind: 'summary', samples: setSamples(instrument) }
  }
  yield* processFamilies(view)
}

export function prometheusText(view: AdminView): string {
  let text = ''
  for (const { name, kind, samples } of familiesOf(view)) {
    text += `# HELP ${name} ${name}\n# TYPE ${name} ${kind}\n`
    for (const [suffix, labels, value] of samples) text += `${name}${suffix}${labelText(labels)} ${figure(value)}\n`
  }
  return text
}

const QUANTILES = [0.5, 0.9, 0.99]
/** Of what is not detailed. */
const MEDIAN = [0.5]

function summarySamples(summary: Summary, labels: readonly Label[] = []): Sample[] {
  const shares = summary.detailed ? QUANTILES : MEDIAN
  const values = summary.quantiles(shares)
  return [
    ...shares.map((share, index): Sample => [
      '',
      [...labels, ['quantile', String(share)]],
      values === null ? NaN : values[index]!,
    ]),
    ['_count', labels, summary.count],
    ['_sum', labels, summary.sum],
  ]
}

function setSamples(set: SummarySet): Sample[] {
  return Array.from(set.entries()).flatMap(([key, summary]) => summarySamples(summary, [['key', key]]))
}

function* processFamilies(view: AdminView): Generator<Family> {
  const { cpuSeconds, openFiles, maxFiles, residentBytes, virtualBytes, startedSeconds } = view.process()
  yield single('process_cpu_seconds_total', 'counter', cpuSeconds)
  yield single('process_start_time_seconds', 'gauge', startedSeconds)
  yield single('process_open_fds', 'gauge', openFiles)
  yield single('process_max_fds', 'gauge', maxFiles)
  yield single('process_virtual_memory_bytes', 'gauge', virtualBytes)
  yield single('process_resident_memory_bytes', 'gauge', residentBytes)
}

function single(name: string, kind: 'gauge' | 'counter', value: number): Family {
  return { name, kind, samples: [['', [], value]] }
}

function keyed(
  name: string,
  kind: 'gauge' | 'counter',
  values: Iterable<readonly [key: string, value: number]>,
): Family {
  return { name, kind, samples: Array.from(values, ([key, value]): Sample => ['', [['key', key]], value]) }
}

function numberOf(value: number | Decimal): number {
  return value instanceof Decimal ? value.value : value
}

function labelText(labels: readonly Label[]): string {
  return labels.length === 0 ? '' : `{${labels.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** Always with a fraction, as Java has it. */
function figure(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}
