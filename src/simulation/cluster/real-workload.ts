import { sleep, type Platform } from '#platform'

import { checkDeliveries } from '../checker/delivery-checks.ts'
import type { Anomaly } from '../checker/history.ts'
import type { SimulatedProcess } from '../process.ts'
import type { SimulatedRandom } from '../random.ts'
import { PlainCluster, keyOf } from '../workload/plain-cluster.ts'
import { RealMember, STRATEGIES } from '../workload/real-member.ts'
import { RealProducer } from '../workload/real-producer.ts'
import { RealReader } from '../workload/real-reader.ts'
import type { RealRecorder } from '../workload/real-recorder.ts'
import type { World } from '../world.ts'
import type { SimulatedCluster } from './cluster.ts'
import { CommitTap } from './commit-tap.ts'
import type { Workload, WorkloadSetting } from './plain-workload.ts'

const PRODUCERS = ['producer-1', 'producer-2']
/** Of the producers this one gives records up, after which it must go on in order. */
const GIVES_UP = 'producer-2'
const MEMBERS = ['member-1', 'member-2', 'member-3']
const READER = 'consumer'
const PAUSE_MS = 400
const RESTART_MS = 100

/** Our producers and consumers on machines of their own, which crash as the brokers' do. */
export class RealWorkload implements Workload {
  readonly #world: World
  readonly #cluster: SimulatedCluster
  readonly #recorder: RealRecorder
  readonly #setting: WorkloadSetting
  readonly #random: SimulatedRandom
  readonly #lives = new Map<string, number>()
  readonly #programs = new Map<string, (platform: Platform, process: string) => Promise<unknown>>()
  readonly #done = new Set<string>()
  #mayEnd = false

  constructor(world: World, cluster: SimulatedCluster, recorder: RealRecorder, setting: WorkloadSetting) {
    this.#world = world
    this.#cluster = cluster
    this.#recorder = recorder
    this.#setting = setting
    this.#random = world.random.fork('workload')
    for (const name of ['admin', 'reader']) world.process(name)
    const members = MEMBERS.map((name) => world.process(name))
    CommitTap.listen(cluster, members, (key, offset) => recorder.commitSeen(key, offset, world.nowMs))
  }

  /** Those that run all the time. */
  get machines(): SimulatedProcess[] {
    return [...PRODUCERS, READER, ...MEMBERS].map((name) => this.#world.process(name))
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

  /** Where records may be lost, clients may end with an error. */
  start(untilMs: number, mayBeLost: boolean): void {
    this.#mayEnd = mayBeLost
    const { partitions, clientFaults: faults } = this.#setting
    const common = { bootstrap: this.#bootstrap, partitions, untilMs, faults }
    const strategy = this.#random.pick(STRATEGIES)
    for (const name of PRODUCERS) {
      const options = { ...common, pauseMs: PAUSE_MS, givesUp: name === GIVES_UP }
      this.#programs.set(name, async (platform, process) => {
        await new RealProducer(platform, { ...options, process }, this.#recorder).run()
        this.#done.add(name)
        await sleep(platform.clock, Infinity)
      })
    }
    this.#programs.set(READER, (platform, process) =>
      new RealReader(platform, { ...common, name: READER, process }, this.#recorder).run(),
    )
    for (const name of MEMBERS)
      this.#programs.set(name, (platform, process) =>
        new RealMember(platform, { ...common, name, process, group: 'g0', strategy }, this.#recorder).run(),
      )
    for (const machine of this.machines) this.startClient(machine)
  }

  /** Does nothing where the client runs. */
  startClient(machine: SimulatedProcess): void {
    const { name } = machine
    if (machine.isRunning) return
    const life = (this.#lives.get(name) ?? 0) + 1
    this.#lives.set(name, life)
    machine.start(
      (platform) => this.#programs.get(name)!(platform, `${name}#${life}`),
      (error) => {
        const { message } = error as Error
        this.#recorder.note(`client ended: ${message}`)
        if (!this.#mayEnd) this.#recorder.fault(`${this.#world.nowMs.toFixed(0)}: ${name} ended by itself: ${message}`)
        this.#world.logSink?.('warn', `${this.#world.nowMs.toFixed(3)} ${name} ended: ${message}`)
        this.#world.after(RESTART_MS, () => this.startClient(machine))
      },
    )
  }

  /** After the last fault: everything gets its outcome, everybody reads on, and the group commits. Returns what did not come about. */
  async finish(mayBeLost: boolean): Promise<string[]> {
    const { recoveryMsMax } = this.#setting
    const settled = (): boolean => PRODUCERS.every((name) => this.#done.has(name))
    if (!(await this.#world.runUntil(settled, recoveryMsMax)))
      return [`not everything had its outcome ${recoveryMsMax} ms after the last fault`]
    if (!mayBeLost && !(await this.#world.runUntil(() => this.#stalled().length === 0, recoveryMsMax)))
      return this.#stalled()
    return await this.#readAll()
  }

  /** Anomalies that only real clients can show. */
  anomalies(): Anomaly[] {
    return checkDeliveries(this.#recorder.deliveries.filter(isOfMember), this.#recorder.recordsRead())
  }

  get #bootstrap(): string[] {
    return this.#cluster.bootstrap.map(({ host, port }) => `${host}:${port}`)
  }

  /** Who has not read, or not committed, what was acknowledged. */
  #stalled(): string[] {
    const stalled: string[] = []
    for (const key of this.#setting.partitions.map(keyOf)) {
      const end = this.#recorder.highestAcknowledged(key)
      const reached = this.#recorder.highestReached(READER, key)
      if (reached < end) stalled.push(`the reader of ${key} has come to ${reached}, and not to ${end}`)
      const given = this.#recorder.highestReached('member', key)
      const committed = this.#recorder.highestCommit(key)
      if (given < end) stalled.push(`the group has come to ${given} of ${key}, and not to ${end}`)
      else if (committed <= end) stalled.push(`the group has committed ${committed} of ${key}, and read up to ${given}`)
    }
    return stalled
  }

  async #readAll(): Promise<string[]> {
    const { partitions, recoveryMsMax, clientFaults: faults } = this.#setting
    let read = false
    this.#world.process('reader').start(
      async (platform) => {
        const options = {
          name: 'reader',
          process: 'reader',
          bootstrap: this.#bootstrap,
          partitions,
          untilMs: 0,
          faults,
        }
        await new RealReader(platform, options, this.#recorder).readAll()
        read = true
      },
      (error) => this.#recorder.fault(`the last reader ended by itself: ${(error as Error).message}`),
    )
    if (await this.#world.runUntil(() => read, recoveryMsMax)) return []
    return [`not everything could be read ${recoveryMsMax} ms after the last acknowledgement`]
  }
}

function isOfMember(event: RealRecorder['deliveries'][number]): boolean {
  return !('member' in event) || event.member.startsWith('member')
}
