import assert from 'node:assert/strict'
import { test } from 'node:test'

import { emptyZnode } from '#zookeeper/tree'

import { viewOfTest } from '../admin/view-of-test.ts'
import { monitorValues } from '../admin/monitor.ts'
import { Summary, type SummarySet } from './instruments.ts'
import { prometheusText } from './prometheus.ts'
import { ProposalTimes } from './proposal-times.ts'
import { ServerMetrics } from './server-metrics.ts'

test('a summary knows its figures, and the quantiles of the latest values', () => {
  const summary = new Summary()
  assert.deepEqual([summary.count, summary.min, summary.average, summary.quantiles([0.5])], [0, 0, 0, null])
  for (let value = 1; value <= 1000; value++) summary.add(value)
  assert.deepEqual([summary.count, summary.min, summary.max, summary.average], [1000, 1, 1000, 500.5])
  // 489 to 1000 are the latest 512.
  assert.deepEqual(summary.quantiles([0, 0.5, 1]), [489, 745, 1000])
  summary.reset()
  assert.deepEqual([summary.count, summary.max, summary.quantiles([0.5])], [0, 0, null])
  summary.add(7)
  assert.deepEqual(summary.quantiles([0.5, 0.99]), [7, 7])
})

const PROMETHEUS =
  '4lw.commands.whitelist=*\nmetricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider'

test('Prometheus reads families with types and labels', () => {
  const view = viewOfTest(PROMETHEUS)
  view.metrics.fsyncTime.add(1.5)
  view.metrics.readLatency.add(2)
  view.metrics.ackLatency.of('3"')!.add(4)
  const text = prometheusText(view)
  assert.match(text, /^# HELP avg_latency avg_latency\n# TYPE avg_latency gauge\navg_latency 3\.5\n/)
  assert.ok(
    text.includes(
      '# TYPE fsynctime summary\nfsynctime{quantile="0.5"} 1.5\nfsynctime_count 1.0\nfsynctime_sum 1.5\n# HELP',
    ),
  )
  assert.ok(text.includes('readlatency{quantile="0.99"} 2.0\n'))
  assert.ok(text.includes('ack_latency{key="3\\"",quantile="0.9"} 4.0\n'))
  assert.ok(text.includes('# TYPE proposal_count counter\nproposal_count 0.0\n'))
  assert.ok(text.includes('election_time{quantile="0.5"} NaN\n'))
  assert.ok(text.includes('process_open_fds 20.0\n'))
  for (const line of text.trimEnd().split('\n'))
    assert.match(
      line,
      /^(?:# (?:HELP|TYPE) \w+ \w+|\w+(?:\{\w+="(?:[^"\\]|\\.)*"(?:,\w+="[^"]*")*\})? (?:NaN|-?[\d.e+]+))$/,
    )
})

test('a leader times its proposals until a server and until a quorum has them', () => {
  const metrics = new ServerMetrics()
  const times = new ProposalTimes(metrics)
  const zxid = (counter: number): bigint => (7n << 32n) | BigInt(counter)
  times.onAcknowledged(3, zxid(0), 5)
  for (let counter = 1; counter <= 5000; counter++) times.onProposed(zxid(counter), 10 + counter, counter)
  times.onAcknowledged(3, zxid(4999), 5009)
  times.onCommitted(zxid(4999), 5019)
  times.onAcknowledged(1, zxid(1), 6000)
  assert.deepEqual(
    [metrics.proposals.value, metrics.commits.value, String(metrics.proposalSizes)],
    [5000, 1, '5010/11/5010'],
  )
  assert.deepEqual(
    Array.from(metrics.ackLatency.entries(), ([sid, { count, sum }]) => [sid, count, sum]),
    [['3', 1, 10]],
  )
  assert.equal(metrics.quorumAckLatency.sum, 20)
})

test('quotas are told of by the first name of their paths', () => {
  const view = viewOfTest(PROMETHEUS)
  const text = (of: string): { data: Uint8Array; children: null } => ({
    data: new TextEncoder().encode(of),
    children: null,
  })
  for (const [path, node] of [
    ['/zookeeper/quota/a', text('')],
    ['/zookeeper/quota/a/zookeeper_limits', text('count=5,bytes=-1=;byteHardLimit=100;countHardLimit=9')],
    ['/zookeeper/quota/a/zookeeper_stats', text('count=3,bytes=20')],
    ['/zookeeper/quota/a/b', text('')],
    ['/zookeeper/quota/a/b/zookeeper_limits', text('count=5,bytes=7')],
  ] as const)
    view.tree.load(path, { ...emptyZnode(), ...node })
  view.metrics.quotaExceeded('/a/b/c')
  const lines = prometheusText(view)
    .split('\n')
    .filter((line) => line.startsWith('quota_'))
  assert.deepEqual(lines.sort(), [
    'quota_bytes_limit_per_namespace{key="a"} 107.0',
    'quota_bytes_usage_per_namespace{key="a"} 20.0',
    'quota_count_limit_per_namespace{key="a"} 14.0',
    'quota_count_usage_per_namespace{key="a"} 3.0',
    'quota_exceeded_error_per_namespace{key="a"} 1.0',
  ])
})

test('traffic is told apart by the first name of a path', () => {
  const metrics = new ServerMetrics()
  for (const path of ['/a', '/a/b', '/ab', '/', '/a/c']) metrics.reads.read(path, 10)
  metrics.writes.written('/a/b', 1)
  const figures = (name: string): unknown =>
    Array.from((metrics.instruments.get(name) as SummarySet).entries(), ([key, { count, sum }]) => [key, count, sum])
  assert.deepEqual(figures('read_per_namespace'), [
    ['a', 3, 3 * 78 + 2 + 4 + 4],
    ['ab', 1, 78 + 3],
  ])
  assert.deepEqual(figures('write_per_namespace'), [['a', 1, 5]])
  metrics.reset()
  metrics.reads.read('/a', 0)
  assert.deepEqual(figures('read_per_namespace'), [
    ['a', 1, 70],
    ['ab', 0, 0],
  ])
})

test('the admin word has the names of the provider in charge', () => {
  const names = (lines: string): string[] => Array.from(monitorValues(viewOfTest(lines)), ([name]) => name)
  const own = names('4lw.commands.whitelist=*')
  for (const name of ['avg_fsynctime', 'cnt_fsynctime', 'p99_updatelatency', 'uptime', 'diff_count'])
    assert.ok(own.includes(name), name)
  assert.ok(!own.includes('p50_fsynctime'))
  const prometheus = names(PROMETHEUS)
  for (const name of ['fsynctime_count', 'updatelatency{quantile="0.9"}', 'uptime'])
    assert.ok(prometheus.includes(name), name)
  assert.equal(new Set(own).size, own.length)
  assert.equal(new Set(prometheus).size, prometheus.length)
})
