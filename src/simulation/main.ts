/**
 * `npm run simulate -- --seed N --count M`: runs seeds N to N+M-1 on all cores and prints one line for each,
 * in order; what is printed for a seed is the same every time, for one commit and one version of Node.
 *
 *     --seed N        first seed (default: 1); `commit` takes one that follows from the commit
 *     --count M       how many (default: 1)
 *     --trace         prints every delivered event of the (one) seed
 *     --log           prints what its processes log
 *     --ensemble 3    an ensemble of three or five ZooKeeper servers (1: one of its own) instead of brokers
 *     --clients real  our producers and consumers instead of plain ones, with faults of their own
 *     --break NAME    turns on a switch that breaks a rule (see BREAKS), to show that a seed finds it
 *     --until-found   ends at the first finding, with success; without one it fails
 */
import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

import { runSeed, type SeedOptions } from './cluster/run-seed.ts'
import { runEnsembleSeed, type EnsembleSeedOptions } from './ensemble/run-ensemble-seed.ts'

/** What the run of a seed is told with. */
interface SeedReport {
  readonly seed: number
  readonly mode: string
  readonly findings: readonly string[]
  readonly durationMs: number
  readonly events: number
  readonly digest: string
  readonly counters: Readonly<Record<string, number>>
  readonly notes: Readonly<Record<string, number>>
  /** What was acknowledged to clients, and how much of it is gone where that is the price of not syncing. */
  readonly acknowledged: number
  readonly lostToPower: number
  readonly lostWithAcks1: number
}

/** Rules that can be broken on purpose: each must be found within 200 seeds. */
const BREAKS: Record<string, SeedOptions> = {
  'acknowledge-before-followers': { brokerFaults: { acknowledgeBeforeFollowers: true } },
  'skip-truncation': { brokerFaults: { skipTruncation: true } },
  'truncate-to-high-watermark': { brokerFaults: { truncateToHighWatermark: true } },
  'join-isr-before-epoch-start': { brokerFaults: { joinIsrBeforeEpochStart: true } },
  'accept-stale-controller-epoch': { brokerFaults: { acceptStaleControllerEpoch: true } },
  'accept-stale-broker-epoch': { brokerFaults: { acceptStaleBrokerEpoch: true } },
  'forget-producers': { brokerFaults: { forgetProducersOnLeaderChange: true } },
  'zookeeper-answers-early': { zookeeperAnswersEarly: true },
  'sequence-at-every-send': { clients: 'real', clientFaults: { sequenceAtEverySend: true } },
  'position-moves-early': { clients: 'real', clientFaults: { positionMovesEarly: true } },
  'take-stale-answers': { clients: 'real', clientFaults: { takeStaleAnswers: true } },
}

/** The same for ensembles. */
const ENSEMBLE_BREAKS: Record<string, Omit<EnsembleSeedOptions, 'voters'>> = {
  'answers-before-sync': { settings: ['forceSync=no'] },
  'acknowledge-new-leader-early': { faults: { acknowledgeNewLeaderEarly: true } },
  'commit-without-quorum': { faults: { commitWithoutQuorum: true } },
  'commit-out-of-order': { faults: { commitOutOfOrder: true } },
  'epochs-not-synced': { faults: { epochsNotSynced: true } },
  'skip-trunc': { faults: { skipTruncation: true } },
  'serve-before-up-to-date': { faults: { serveBeforeUpToDate: true } },
  'forget-during-synchronisation': { faults: { forgetDuringSynchronisation: true } },
  'reads-go-back': { faults: { readsGoBack: true } },
  'obey-former-server': { faults: { obeyFormerServer: true } },
  'sync-alone': { faults: { syncAlone: true } },
  'quotas-not-enforced': { settings: ['enforceQuota=false'] },
  'skip-acl': { settings: ['skipACL=yes'] },
  'reap-containers-unused': { settings: ['znode.container.maxNeverUsedIntervalMs=1'] },
  'never-reap': { settings: ['znode.container.checkIntervalMs=1000000'] },
}

/** Hexadecimal digits of the commit that a seed is made of. */
const COMMIT_DIGITS = 7

/** From so many seeds on, something that never happened is a fault of the simulation. */
const COUNTERS_JUDGED_FROM = 30

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
    clients: { type: 'string', default: 'plain' },
    ensemble: { type: 'string' },
    break: { type: 'string' },
    'until-found': { type: 'boolean', default: false },
  },
})
const run = values.ensemble === undefined ? brokersRun() : ensembleRun(values.ensemble)

interface RunHooks {
  readonly onTrace?: (line: string) => void
  readonly onLog?: (level: string, line: string) => void
}

function brokersRun(): (seed: number, hooks?: RunHooks) => Promise<SeedReport> {
  const options: SeedOptions = { clients: clientsNamed(values.clients), ...breakNamed(BREAKS, values.break) }
  return async (seed, hooks = {}) => {
    const report = await runSeed(seed, { ...options, ...hooks })
    return { ...report, acknowledged: report.acknowledgedRecords }
  }
}

function ensembleRun(size: string): (seed: number, hooks?: RunHooks) => Promise<SeedReport> {
  const voters = Number(size)
  if (voters !== 1 && voters !== 3 && voters !== 5) throw new Error('--ensemble knows 1, 3 and 5')
  const options: EnsembleSeedOptions = { voters, ...breakNamed(ENSEMBLE_BREAKS, values.break) }
  return async (seed, hooks = {}) => {
    const report = await runEnsembleSeed(seed, { ...options, ...hooks })
    return { ...report, acknowledged: report.acknowledgedWrites, lostToPower: 0, lostWithAcks1: 0 }
  }
}

function firstSeed(): number {
  if (values.seed !== 'commit') return Number(values.seed)
  const hash = parseInt(commit().slice(0, COMMIT_DIGITS), 16)
  return Number.isNaN(hash) ? 1 : hash
}

function clientsNamed(name: string): 'plain' | 'real' {
  if (name !== 'plain' && name !== 'real') throw new Error('--clients knows plain and real')
  return name
}

function breakNamed<T>(breaks: Readonly<Record<string, T>>, name: string | undefined): Partial<T> {
  if (name === undefined) return {}
  const found = breaks[name]
  if (found === undefined) throw new Error(`--break knows ${Object.keys(breaks).join(', ')}`)
  return found
}

/** A worker: runs the seeds that it is sent. */
function serve(): void {
  process.on('message', (seed: number) => {
    void run(seed).then((report) => process.send!(report))
  })
}

/** Returns the exit code. */
async function simulate(first: number, count: number): Promise<number> {
  console.log(`commit ${commit()}, Node ${process.version}, seeds ${first} to ${first + count - 1}`)
  const totals = new Totals()
  const print = (report: SeedReport): void => {
    totals.add(report)
    console.log(lineOf(report))
    for (const finding of report.findings.slice(0, FINDINGS_SHOWN)) console.log(`  ${finding}`)
    if (report.findings.length > FINDINGS_SHOWN) console.log(`  and ${report.findings.length - FINDINGS_SHOWN} more`)
  }
  if (count === 1) {
    const onTrace = values.trace ? { onTrace: (line: string) => console.log(line) } : {}
    const onLog = values.log
      ? { onLog: (level: string, line: string) => console.log(`${level.padEnd(5)} ${line}`) }
      : {}
    const report = await run(first, { ...onTrace, ...onLog })
    print(report)
    for (const [what, times] of Object.entries(report.notes)) console.log(`  ${what}: ${times}`)
  } else await inParallel(first, count, print)
  for (const line of totals.lines()) console.log(line)
  if (values['until-found']) return totals.withFindings > 0 ? 0 : 1
  const missing = count >= COUNTERS_JUDGED_FROM ? totals.missing() : []
  for (const name of missing) console.log(`never happened: ${name}`)
  return totals.withFindings > 0 || missing.length > 0 ? 1 : 0
}

/** Reports come in any order and are printed in the order of their seeds. */
function inParallel(first: number, count: number, print: (report: SeedReport) => void): Promise<void> {
  let end = first + count
  let next = first
  let nextToPrint = first
  const waiting = new Map<number, SeedReport>()
  const onReport = (report: SeedReport): void => {
    waiting.set(report.seed, report)
    for (let ready = waiting.get(nextToPrint); ready !== undefined; ready = waiting.get(nextToPrint)) {
      waiting.delete(nextToPrint++)
      print(ready)
      if (!values['until-found'] || ready.findings.length === 0) continue
      // The other workers end what they have begun, and nobody asks for it.
      end = next
      nextToPrint = Infinity
    }
  }
  return new Promise((resolve, reject) => {
    let working = Math.min(availableParallelism(), count)
    const assign = (worker: ChildProcess): void => {
      if (next < end) worker.send(next++)
      else worker.disconnect()
    }
    for (let index = working; index > 0; index--) {
      const worker = fork(import.meta.filename, process.argv.slice(2), { stdio: 'inherit' })
      worker.on('message', (report: SeedReport) => {
        onReport(report)
        assign(worker)
      })
      worker.on('exit', (code) => {
        if (code !== 0) reject(new Error(`a worker ended with ${code}`))
        working -= 1
        if (working === 0) resolve()
      })
      assign(worker)
    }
  })
}

const FINDINGS_SHOWN = 5
const UNIT = values.ensemble === undefined ? 'records' : 'writes'

function lineOf(report: SeedReport): string {
  const { seed, mode, findings, durationMs, events, acknowledged, lostToPower, digest } = report
  const verdict = findings.length === 0 ? 'ok   ' : 'FOUND'
  const lost = lostToPower > 0 ? `, ${lostToPower} lost to power failures` : ''
  const seconds = (durationMs / 1000).toFixed(1)
  return `seed ${seed} ${verdict} ${seconds} s, ${events} events, ${acknowledged} ${UNIT}${lost} (${mode}) ${digest}`
}

class Totals {
  seeds = 0
  withFindings = 0
  acknowledged = 0
  lostToPower = 0
  lostWithAcks1 = 0
  readonly counters = new Map<string, number>()

  add({ findings, acknowledged, lostToPower, lostWithAcks1, counters }: SeedReport): void {
    this.seeds += 1
    if (findings.length > 0) this.withFindings += 1
    this.acknowledged += acknowledged
    this.lostToPower += lostToPower
    this.lostWithAcks1 += lostWithAcks1
    for (const [name, count] of Object.entries(counters))
      this.counters.set(name, (this.counters.get(name) ?? 0) + count)
  }

  missing(): string[] {
    return [...this.counters].filter(([, count]) => count === 0).map(([name]) => name)
  }

  lines(): string[] {
    const counters = [...this.counters].map(([name, count]) => `${name} ${count}`)
    const lost =
      values.ensemble === undefined
        ? `, ${this.lostToPower} lost to power failures where nothing was synced, ${this.lostWithAcks1} of those with acks=1`
        : ''
    return [
      `${this.seeds} seeds, ${this.withFindings} with findings, ${this.acknowledged} ${UNIT} acknowledged${lost}`,
      `happened: ${counters.join(', ')}`,
    ]
  }
}

function commit(): string {
  try {
    const hash = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
    const changed = execFileSync('git', ['status', '--porcelain', '--', 'src'], { encoding: 'utf8' }).trim() !== ''
    return changed ? `${hash} with changes` : hash
  } catch {
    return 'unknown'
  }
}

if (process.send === undefined) process.exitCode = await simulate(firstSeed(), Number(values.count))
else serve()
