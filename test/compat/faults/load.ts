/** Producers at a steady pace while brokers die, and the account of what was acknowledged against what is there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { CLIENTS, type Cluster, type Process, startJavaTool, startPython, until } from '../../peers/index.ts'

/** One record that a broker acknowledged, and when. */
export interface Acknowledged {
  value: string
  partition: number
  offset: number
  /** Wall clock in ms. */
  at: number
}

/** What does not add up between the acknowledgements and the topic. All lists are empty if all is well. */
export interface Account {
  acknowledged: number
  /** Acknowledged, and not there, or there with another value. */
  missing: string[]
  /** Values that are there more than once. */
  doubled: string[]
}

/** A producer with acks=all, idempotent, that retries until its records are through. */
export class Load {
  readonly topic: string
  readonly acknowledged: Acknowledged[] = []
  readonly #cluster: Cluster
  readonly #process: Process
  readonly #parse: (line: string) => Acknowledged | null
  readonly #stopRequest: (process: Process) => void
  #rest = ''
  #errors = ''

  private constructor(
    cluster: Cluster,
    topic: string,
    process: Process,
    parse: (line: string) => Acknowledged | null,
    stopRequest: (process: Process) => void,
  ) {
    this.topic = topic
    this.#cluster = cluster
    this.#process = process
    this.#parse = parse
    this.#stopRequest = stopRequest
    process.child.stdout!.on('data', (chunk: Buffer) => this.#receive(chunk.toString()))
    process.child.stderr!.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
  }

  /** Apache's verifiable producer. */
  static java(cluster: Cluster, topic: string, rate: number): Load {
    const directory = mkdtempSync(join(tmpdir(), 'samsa-load-'))
    const config = join(directory, 'producer.properties')
    const settings = {
      'enable.idempotence': 'true',
      retries: '1000000',
      'delivery.timeout.ms': '120000',
      // It asks often for the new leader, so that a gap is the cluster's and not its own back-off.
      'retry.backoff.max.ms': '200',
    }
    writeFileSync(
      config,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    const args = ['--bootstrap-server', cluster.bootstrap, '--topic', topic, '--acks', '-1']
    const tool = startJavaTool('kafka-verifiable-producer', [
      ...args,
      '--throughput',
      String(rate),
      '--producer.config',
      config,
    ])
    void tool.exited.finally(() => rmSync(directory, { recursive: true, force: true }))
    const parse = (line: string): Acknowledged | null => {
      if (!line.includes('"producer_send_success"')) return null
      const event = JSON.parse(line) as { timestamp: number; value: string; partition: number; offset: number }
      return { value: event.value, partition: event.partition, offset: event.offset, at: event.timestamp }
    }
    return new Load(cluster, topic, tool, parse, (process) => process.signal('SIGTERM'))
  }

  /** librdkafka's producer. */
  static librdkafka(cluster: Cluster, topic: string, rate: number): Load {
    const script = startPython('steady', [cluster.bootstrap, topic, String(rate)])
    const parse = (line: string): Acknowledged | null => {
      const [value, partition, offset, at] = line.split(' ')
      return at === undefined
        ? null
        : { value: value!, partition: Number(partition), offset: Number(offset), at: Number(at) }
    }
    return new Load(cluster, topic, script, parse, (process) => process.child.stdin!.end())
  }

  /** Waits until each of the partitions has had a record acknowledged that was not before `since`. */
  async progress(partitions: number, since: number, timeoutMs: number): Promise<void> {
    await until(
      `${this.topic}: every partition goes on`,
      () => {
        if (this.#process.ended !== null) throw new Error(`the producer ended: ${this.#errors.slice(-2000)}`)
        return this.#partitionsSince(since).size === partitions
      },
      timeoutMs,
    )
  }

  /** When the last of the partitions had its first acknowledgement after `since`, in ms. */
  gapAfter(since: number): number {
    const first = new Map<number, number>()
    for (const { partition, at } of this.acknowledged) if (at > since && !first.has(partition)) first.set(partition, at)
    return Math.max(...first.values()) - since
  }

  async stop(): Promise<void> {
    this.#stopRequest(this.#process)
    await this.#process.exited
  }

  /** Reads the topic from its beginning and compares it with what was acknowledged. */
  async account(): Promise<Account> {
    const directory = mkdtempSync(join(tmpdir(), 'samsa-account-'))
    try {
      const output = join(directory, 'output')
      await CLIENTS.kcat.consume(this.#cluster.bootstrap, this.topic, 0, output)
      const stored: string[][] = []
      const counts = new Map<string, number>()
      for (const line of readFileSync(output, 'utf8').trimEnd().split('\n')) {
        const [partition, value] = line.split('\t')
        ;(stored[Number(partition)] ??= []).push(value!)
        counts.set(value!, (counts.get(value!) ?? 0) + 1)
      }
      const missing = this.acknowledged.filter(({ value, partition, offset }) => stored[partition]?.[offset] !== value)
      return {
        acknowledged: this.acknowledged.length,
        missing: missing.slice(0, 10).map(({ value, partition, offset }) => `${value} at ${partition}:${offset}`),
        doubled: [...counts]
          .filter(([, count]) => count > 1)
          .slice(0, 10)
          .map(([value, count]) => `${value} x ${count}`),
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }

  #partitionsSince(since: number): Set<number> {
    const found = new Set<number>()
    for (let index = this.acknowledged.length - 1; index >= 0; index--) {
      const { partition, at } = this.acknowledged[index]!
      if (at <= since - 1000) break
      if (at > since) found.add(partition)
    }
    return found
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) {
      const acknowledged = this.#parse(line)
      if (acknowledged !== null) this.acknowledged.push(acknowledged)
    }
  }
}
