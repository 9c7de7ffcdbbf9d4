import { sleep, type Platform } from '#platform'

import type { Anomaly } from '../checker/history.ts'
import { PlainConsumer } from '../workload/consumer.ts'
import { PlainMember } from '../workload/member.ts'
import { PlainCluster, type TopicPartition } from '../workload/plain-cluster.ts'
import { PlainProducer } from '../workload/producer.ts'
import type { ClientFaults } from '../workload/real-recorder.ts'
import type { Recorder } from '../workload/recorder.ts'
import type { SimulatedProcess } from '../process.ts'
import type { World } from '../world.ts'
import type { SimulatedCluster } from './cluster.ts'

/** What a workload has to do with. */
export interface WorkloadSetting {
  readonly topics: readonly { readonly name: string; readonly partitions: number }[]
  readonly partitions: readonly TopicPartition[]
  readonly setupMsMax: number
  readonly recoveryMsMax: number
  readonly clientFaults: ClientFaults
}

/** The clients of a run. */
export interface Workload {
  readonly machines: readonly SimulatedProcess[]
  /** Creates the topics; false when that took too long. */
  setUp(): Promise<boolean>
  /** `mayBeLost`: what was acknowledged too. */
  start(untilMs: number, mayBeLost: boolean): void
  /** To be called after the last fault. Returns what did not come about. */
  finish(mayBeLost: boolean): Promise<string[]>
  /** What is wrong beside history and groups. */
  anomalies(): Anomaly[]
}

const PRODUCERS = 2
const MEMBERS = 3
const PAUSE_MS = 400
/** Where two of the brokers stand. */
const CONSUMER_RACK = 'rack-1'
/** One of them keeps its place in the group while it is away. */
const STATIC_MEMBER = 'member-3'

/** The clients' machines. Each client that ends is replaced by another. */
export class PlainWorkload implements Workload {
  readonly #world: World
  readonly #cluster: SimulatedCluster
  readonly #recorder: Recorder
  readonly #setting: WorkloadSetting
  readonly #names = ['admin', 'reader', ...numbered('producer', PRODUCERS), 'consumer', ...numbered('member', MEMBERS)]
  readonly #lives = new Map<string, number>()
  #producersDone = 0

  constructor(world: World, cluster: SimulatedCluster, recorder: Recorder, setting: WorkloadSetting) {
    this.#world = world
    this.#cluster = cluster
    this.#recorder = recorder
    this.#setting = setting
    for (const name of this.#names) world.process(name)
  }

  get machines(): ReturnType<World['process']>[] {
    return this.#names.map((name) => this.#world.process(name))
  }

  /** Creates the topics; false when that took too long. */
  async setUp(): Promise<boolean> {
    let done = false
    this.#world.process('admin').start(async (platform) => {
      await new PlainCluster(platform, 'admin', this.#cluster.bootstrap).createTopics(this.#setting.topics, {})
      done = true
    })
    return await this.#world.runUntil(() => done, this.#setting.setupMsMax)
  }

  start(untilMs: number): void {
    const { bootstrap } = this.#cluster
    const { partitions } = this.#setting
    const common = { bootstrap, partitions, pauseMs: PAUSE_MS }
    for (const name of numbered('producer', PRODUCERS)) {
      this.#keepRunning(name, async (platform, process) => {
        await new PlainProducer(platform, { ...common, process, untilMs }, this.#recorder).run()
        this.#producersDone += 1
        await sleep(platform.clock, Infinity)
      })
    }
    this.#keepRunning('consumer', (platform, process) =>
      new PlainConsumer(platform, { ...common, process, rackId: CONSUMER_RACK }, this.#recorder).run(),
    )
    for (const name of numbered('member', MEMBERS)) {
      this.#keepRunning(name, (platform, process) =>
        new PlainMember(
          platform,
          { ...common, process, group: 'g0', ...(name === STATIC_MEMBER ? { instanceId: name } : {}) },
          this.#recorder,
        ).run(),
      )
    }
  }

  /** Waits for all acknowledgements and reads everything once more. Returns what did not come about. */
  async finish(mayBeLost: boolean): Promise<string[]> {
    const { recoveryMsMax } = this.#setting
    if (!(await this.#world.runUntil(() => this.#producersDone === PRODUCERS, recoveryMsMax)))
      return [`not everything was acknowledged ${recoveryMsMax} ms after the last fault`]
    let read = false
    this.#world.process('reader').start(async (platform) => {
      const options = {
        process: 'reader',
        bootstrap: this.#cluster.bootstrap,
        partitions: this.#setting.partitions,
        pauseMs: PAUSE_MS,
      }
      await new PlainConsumer(platform, options, this.#recorder).readAll(mayBeLost)
      read = true
    })
    if (await this.#world.runUntil(() => read, recoveryMsMax)) return []
    return [`not everything could be read ${recoveryMsMax} ms after the last acknowledgement`]
  }

  anomalies(): Anomaly[] {
    return []
  }

  /** A client that fails leaves its doubts in the history; the one after it is another process. */
  #keepRunning(name: string, run: (platform: Platform, process: string) => Promise<unknown>): void {
    const life = (this.#lives.get(name) ?? 0) + 1
    this.#lives.set(name, life)
    this.#world.process(name).start(
      (platform) => run(platform, `${name}#${life}`),
      (error) => {
        const { message } = error as Error
        this.#recorder.note(`client ended: ${message.replace(/^t\d-\d: /, '')}`)
        this.#world.logSink?.('warn', `${this.#world.nowMs.toFixed(3)} ${name} ended: ${message}`)
        this.#world.after(100, () => this.#keepRunning(name, run))
      },
    )
  }
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`)
}
