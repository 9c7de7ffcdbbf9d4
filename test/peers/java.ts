/** Apache's Java programs: each in a JVM of its own, or one after another in a JVM that stays. */
import { setTimeout as after } from 'node:timers/promises'

import { KAFKA_JARS, LOG4J, TOOL_SERVER_CLASSES, ZOOKEEPER_JARS } from './places.ts'
import { Process, type RunOptions, type RunResult, type StartOptions, run } from './processes.ts'

/** The names people know them by. */
export const KAFKA_TOOLS = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-acls': 'kafka.admin.AclCommand',
  'kafka-console-producer': 'kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-broker-api-versions': 'kafka.admin.BrokerApiVersionsCommand',
  'kafka-dump-log': 'kafka.tools.DumpLogSegments',
  'kafka-replica-verification': 'org.apache.kafka.tools.ReplicaVerificationTool',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-e2e-latency': 'org.apache.kafka.tools.EndToEndLatency',
  'kafka-verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer',
  'kafka-verifiable-consumer': 'org.apache.kafka.tools.VerifiableConsumer',
  'zookeeper-shell': 'org.apache.zookeeper.ZooKeeperMain',
  'zookeeper-txn-log': 'org.apache.zookeeper.server.persistence.TxnLogToolkit',
  'zookeeper-snapshot': 'org.apache.zookeeper.server.SnapshotFormatter',
} as const

export type JavaTool = keyof typeof KAFKA_TOOLS

export interface JavaOptions {
  heap?: string
  /** Further parts of the class path, before Apache's jars. */
  classPath?: string[]
  /** Further options of the JVM. */
  jvm?: string[]
  /** Folder of the jars, if not those of Kafka 3.9 or of ZooKeeper. */
  jars?: string
}

/** Arguments of `java` for a class out of Kafka's jars, or ZooKeeper's if it is one of ZooKeeper's. */
export function javaArguments(mainClass: string, args: readonly string[], options: JavaOptions = {}): string[] {
  const jars = options.jars ?? (mainClass.startsWith('org.apache.zookeeper.') ? ZOOKEEPER_JARS : KAFKA_JARS)
  return [
    `-Xmx${options.heap ?? '256M'}`,
    // Short-lived programs neither need the second compiler nor its threads; servers set their own.
    ...(options.jvm ?? ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']),
    `-Dlog4j.configuration=file:${LOG4J}`,
    '-cp',
    [...(options.classPath ?? []), `${jars}/*`].join(':'),
    mainClass,
    ...args,
  ]
}

/** Runs a tool in a JVM of its own to its end. */
export function javaTool(
  name: JavaTool,
  args: readonly string[],
  options: RunOptions & JavaOptions = {},
): Promise<RunResult> {
  return run('java', javaArguments(KAFKA_TOOLS[name], args, options), options)
}

/** Starts a tool in a JVM of its own. */
export function startJavaTool(
  name: JavaTool,
  args: readonly string[],
  options: StartOptions & JavaOptions = {},
): Process {
  return new Process('java', javaArguments(KAFKA_TOOLS[name], args, options), options)
}

const TOOL_TIMEOUT_MS = 60_000

/** One JVM that carries out tool commands one after another: the first costs a second, the next ones a tenth. */
export class ToolServer {
  #process: Process
  #received: Buffer = Buffer.alloc(0)
  #wake: (() => void) | null = null
  #turn: Promise<unknown> = Promise.resolve()

  constructor(jars = KAFKA_JARS) {
    this.#process = new Process('java', [
      '-Xmx512M',
      // No tool runs for long enough to be worth the second compiler.
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-Djava.security.manager=allow',
      `-Dlog4j.configuration=file:${LOG4J}`,
      '-cp',
      `${TOOL_SERVER_CLASSES}:${jars}/*`,
      'ToolServer',
    ])
    this.#process.child.stdout!.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake?.()
    })
    this.#process.child.stderr!.resume()
  }

  /** Runs a tool, or a class by its name. Fails if it exits with another code than 0, unless that is asked for. */
  run(
    tool: JavaTool | (string & {}),
    args: readonly string[],
    options: { input?: string; mayFail?: boolean; timeoutMs?: number } = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const answer = this.#turn.then(() => this.#run(tool, args, options))
    this.#turn = answer.catch(() => {})
    return answer
  }

  async close(): Promise<void> {
    this.#process.child.stdin!.end()
    await this.#process.stop('SIGTERM', 2000)
  }

  async #run(
    tool: string,
    args: readonly string[],
    {
      input = '',
      mayFail = false,
      timeoutMs = TOOL_TIMEOUT_MS,
    }: { input?: string; mayFail?: boolean; timeoutMs?: number },
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const mainClass = tool in KAFKA_TOOLS ? KAFKA_TOOLS[tool as JavaTool] : tool
    const parts = [mainClass, input, ...args].map((part) => Buffer.from(part))
    this.#process.child.stdin!.write(
      Buffer.concat([int32(parts.length), ...parts.flatMap((p) => [int32(p.length), p])]),
    )
    const deadline = performance.now() + timeoutMs
    const code = (await this.#take(4, deadline, tool)).readInt32BE()
    const stdout = await this.#takeText(deadline, tool)
    const stderr = await this.#takeText(deadline, tool)
    if (code !== 0 && !mayFail)
      throw new Error(`${tool} ${args.join(' ')} ended with ${code}\n${stderr.slice(-2000)}${stdout.slice(-1000)}`)
    return { code, stdout, stderr }
  }

  async #takeText(deadline: number, tool: string): Promise<string> {
    const length = (await this.#take(4, deadline, tool)).readInt32BE()
    return (await this.#take(length, deadline, tool)).toString()
  }

  async #take(length: number, deadline: number, tool: string): Promise<Buffer> {
    while (this.#received.length < length) {
      const timeLeft = deadline - performance.now()
      if (timeLeft <= 0 || this.#process.ended !== null) {
        this.#process.signal('SIGKILL')
        throw new Error(`${tool}: no answer from the tool server in its time`)
      }
      const timeout = new AbortController()
      await Promise.race([
        new Promise<void>((resolve) => (this.#wake = resolve)),
        after(timeLeft, undefined, { signal: timeout.signal }).catch(() => {}),
        this.#process.exited,
      ])
      timeout.abort()
    }
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
