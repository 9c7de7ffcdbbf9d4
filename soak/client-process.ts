/**
 * The clients of the soak, in a process of their own: a producer and a consumer in its group, both ours. Record n of a partition
 * carries the number n, and since nothing may be missing, doubled or out of order, it must lie at offset n.
 * Forked by `clients.ts`, which it tells how it stands and, after `stop`, how it ended.
 */
import { Consumer, Producer, type ConsumerRecord } from '../src/client/index.ts'
import { sleep } from '../src/platform/index.ts'
import { nodePlatform } from '../src/platform/node/index.ts'

export interface ClientOptions {
  readonly bootstrapServers: string
  readonly topic: string
  readonly partitions: number
  /** Records a second, while the cluster keeps up. */
  readonly rate: number
}

export interface ClientReport {
  readonly sent: number
  readonly acknowledged: number
  readonly consumed: number
  /** Records that came a second time after a rebalance, before they were committed. */
  readonly redelivered: number
  readonly residentBytes: number
  readonly heapBytes: number
  /** What the producer holds, and what the consumer has fetched ahead. */
  readonly bufferedBytes: number
  /** The longest time, since it was last asked to begin anew, in which a partition acknowledged nothing, in ms. */
  readonly longestPauseMs: number
  readonly faults: readonly string[]
  /** Everything was acknowledged and read. */
  readonly isComplete: boolean
}

const TURN_MS = 20
const REPORT_MS = 2000
const FINISH_MS_MAX = 90_000
/** Sends without their outcome; beyond that the producer's user waits. */
const OUTSTANDING_MAX = 20_000
const FAULTS_MAX = 20
/** Longer than any of the disturbances. */
const NEVER_MS = 3_600_000
const PADDING = '.'.repeat(180)

class Clients {
  readonly #options: ClientOptions
  readonly #platform = nodePlatform({ logLevel: 'error' })
  readonly #producer: Producer
  readonly #consumer: Consumer
  readonly #next: number[]
  readonly #expected: number[]
  readonly #faults: string[] = []
  /** When each partition last acknowledged something. */
  readonly #acknowledgedMs: number[]
  #longestPauseMs = 0
  #acknowledged = 0
  #outstanding = 0
  #redelivered = 0
  #isStopping = false

  constructor(options: ClientOptions) {
    this.#options = options
    const { bootstrapServers, partitions } = options
    this.#next = Array<number>(partitions).fill(0)
    this.#expected = Array<number>(partitions).fill(0)
    this.#acknowledgedMs = Array<number>(partitions).fill(this.#platform.clock.monotonic())
    this.#producer = new Producer(this.#platform, {
      bootstrapServers,
      requestTimeoutMs: 5000,
      deliveryTimeoutMs: NEVER_MS,
      maxBlockMs: NEVER_MS,
      lingerMs: 5,
    })
    this.#consumer = new Consumer(this.#platform, {
      bootstrapServers,
      groupId: 'soak',
      autoOffsetReset: 'earliest',
      requestTimeoutMs: 5000,
      sessionTimeoutMs: 10_000,
      heartbeatIntervalMs: 1000,
      autoCommitIntervalMs: 1000,
    })
    this.#consumer.subscribe([options.topic])
  }

  /** Resolves when everything is done after `stop`, or the time for that is over. */
  async run(): Promise<ClientReport> {
    const consuming = this.#consume()
    const reporting = setInterval(() => process.send!(this.#report(false)), REPORT_MS)
    await this.#produce()
    const isComplete = await this.#finish()
    clearInterval(reporting)
    await this.#producer.close({ timeoutMs: 1000 })
    await this.#consumer.close({ timeoutMs: 10_000 })
    await consuming
    return this.#report(isComplete)
  }

  stop(): void {
    this.#isStopping = true
  }

  async #produce(): Promise<void> {
    const perTurn = Math.ceil((this.#options.rate * TURN_MS) / 1000)
    while (!this.#isStopping) {
      for (let count = 0; count < perTurn && this.#outstanding < OUTSTANDING_MAX; count++) this.#send(count)
      await sleep(this.#platform.clock, TURN_MS)
    }
  }

  #send(count: number): void {
    const partition = count % this.#options.partitions
    const number = this.#next[partition]!++
    this.#outstanding += 1
    this.#producer.send(this.#options.topic, { partition, value: `${number} ${PADDING}` }).then(
      ({ offset }) => {
        this.#outstanding -= 1
        this.#acknowledged += 1
        this.#noteAcknowledgement(partition)
        if (offset >= 0 && offset !== number) this.#fault(`record ${number} of ${partition} was put at ${offset}`)
      },
      (error: Error) => {
        this.#outstanding -= 1
        this.#fault(`record ${number} of ${partition} was refused: ${error.message}`)
      },
    )
  }

  /** Pauses are counted anew from now on. */
  beginAnew(): void {
    this.#longestPauseMs = 0
    this.#acknowledgedMs.fill(this.#platform.clock.monotonic())
  }

  #noteAcknowledgement(partition: number): void {
    const nowMs = this.#platform.clock.monotonic()
    this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - this.#acknowledgedMs[partition]!)
    this.#acknowledgedMs[partition] = nowMs
  }

  async #consume(): Promise<void> {
    try {
      for await (const { partition, records } of this.#consumer.batches())
        for (const record of records) this.#check(partition, record)
    } catch (error) {
      this.#fault(`the consumer ended: ${(error as Error).message}`)
    }
  }

  #check(partition: number, { offset, value }: ConsumerRecord): void {
    const number = Number.parseInt(Buffer.from(value!.subarray(0, 12)).toString(), 10)
    if (number !== offset) this.#fault(`record ${number} of ${partition} lies at ${offset}`)
    const expected = this.#expected[partition]!
    if (offset < expected) this.#redelivered += 1
    else {
      if (offset > expected) this.#fault(`${partition} went from ${expected} to ${offset}`)
      this.#expected[partition] = offset + 1
    }
  }

  async #finish(): Promise<boolean> {
    const { clock } = this.#platform
    const endMs = clock.monotonic() + FINISH_MS_MAX
    const isDone = (): boolean =>
      this.#outstanding === 0 && this.#next.every((next, index) => this.#expected[index]! >= next)
    while (!isDone() && clock.monotonic() < endMs) await sleep(clock, TURN_MS)
    return isDone()
  }

  #fault(what: string): void {
    if (this.#faults.length < FAULTS_MAX) this.#faults.push(what)
  }

  #report(isComplete: boolean): ClientReport {
    const { rss, heapUsed } = process.memoryUsage()
    return {
      sent: this.#next.reduce((sum, count) => sum + count, 0),
      acknowledged: this.#acknowledged,
      consumed: this.#expected.reduce((sum, count) => sum + count, 0),
      redelivered: this.#redelivered,
      residentBytes: rss,
      heapBytes: heapUsed,
      bufferedBytes: this.#producer.load.bufferedBytes + this.#consumer.load.bufferedBytes,
      longestPauseMs: this.#longestPauseMs,
      faults: this.#faults,
      isComplete,
    }
  }
}

const clients = new Clients(JSON.parse(process.argv[2]!) as ClientOptions)
process.on('message', (word: 'stop' | 'begin anew') => (word === 'stop' ? clients.stop() : clients.beginAnew()))
process.once('disconnect', () => process.exit(1))
const report = await clients.run()
process.send!(report, () => process.exit(0))
