/**
 * What `mntr` and the HTTP command `monitor` print. The names are the same for either provider of metrics; Prometheus has quantiles as
 * labels where the default one has prefixes. Source: ZooKeeperServer.registerMetrics, DefaultMetricsProvider.
 */
import { Counter, CounterSet, Summary, type SummarySet } from '../metrics/instruments.ts'
import { familiesOf } from '../metrics/prometheus.ts'
import { PROMETHEUS_PROVIDER } from '../settings.ts'
import { gaugesOf } from './gauges.ts'
import { quotaGauges } from './quota-gauges.ts'
import { Decimal, VERSION_TEXT, type AdminView } from './view.ts'

export type MonitorValue = string | number | Decimal

/** Names without the `zk_` that the admin word puts before them. */
export function* monitorValues(view: AdminView): Generator<[string, MonitorValue]> {
  yield ['version', VERSION_TEXT]
  yield ['server_state', view.role ?? 'looking']
  yield* peerValues(view)
  if (view.config.metricsProvider === PROMETHEUS_PROVIDER) yield* prometheusValues(view)
  else yield* ownValues(view)
}

function* peerValues({ role, ensemble }: AdminView): Generator<[string, MonitorValue]> {
  if (ensemble === null || role === null || role === 'read-only') return
  yield ['peer_state', `${PEER_STATES[role]} - ${ensemble.phase}`]
  if (role === 'observer') yield ['observer_master_id', ensemble.leaderSid ?? -1]
}

const PEER_STATES = { standalone: '', leader: 'leading', follower: 'following', observer: 'observing' } as const

function* ownValues(view: AdminView): Generator<[string, MonitorValue]> {
  yield* gaugesOf(view)
  for (const { name, values } of quotaGauges(view.tree))
    for (const [key, value] of values) yield [`${key}_${name}`, value]
  yield ['digest_mismatches_count', view.tree.digestMismatches]
  for (const [name, instrument] of view.metrics.instruments) {
    if (instrument instanceof Counter) yield [name, instrument.value]
    else if (instrument instanceof CounterSet)
      for (const [key, { value }] of instrument.entries()) yield [`${key}_${name}`, value]
    else if (instrument instanceof Summary) yield* summaryValues(name, instrument)
    else yield* setValues(name, instrument)
  }
}

function* setValues(name: string, set: SummarySet): Generator<[string, MonitorValue]> {
  for (const [key, summary] of set.entries()) yield* summaryValues(`${key}_${name}`, summary)
}

function* summaryValues(name: string, summary: Summary): Generator<[string, MonitorValue]> {
  yield [`avg_${name}`, new Decimal(summary.average)]
  yield [`min_${name}`, Math.floor(summary.min)]
  yield [`max_${name}`, Math.floor(summary.max)]
  yield [`cnt_${name}`, summary.count]
  yield [`sum_${name}`, Math.floor(summary.sum)]
  if (!summary.detailed) return
  const quantiles = summary.quantiles([0.5, 0.95, 0.99, 0.999]) ?? [0, 0, 0, 0]
  for (const [index, prefix] of ['p50', 'p95', 'p99', 'p999'].entries())
    yield [`${prefix}_${name}`, Math.round(quantiles[index]!)]
}

function* prometheusValues(view: AdminView): Generator<[string, MonitorValue]> {
  for (const { name, samples } of familiesOf(view))
    for (const [suffix, labels, value] of samples) {
      const list = labels.map(([label, text]) => `${label}="${text}"`).join(',')
      yield [`${name}${suffix}${list === '' ? '' : `{${list}}`}`, new Decimal(value)]
    }
}
