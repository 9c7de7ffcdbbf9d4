/**
 * The clients of others behind one interface: each writes the lines of a file as records, and reads a topic from its
 * beginning into a file of lines `PARTITION<tab>VALUE`, in the order of each partition.
 */
import { join } from 'node:path'

import { FRANZ, KAFKA_JARS, NODE_CLIENTS, PEERS, PYTHON } from './places.ts'
import { type JavaTool, javaArguments, KAFKA_TOOLS } from './java.ts'
import { Process, type StartOptions, run } from './processes.ts'
import type { Codec } from './wire.ts'

export interface Client {
  name: string
  /** A file that is there if the client is installed. */
  program: string
  /** Codecs that it can write. */
  codecs: readonly Codec[]
  produce(bootstrap: string, topic: string, codec: Codec, file: string): Promise<void>
  /** Reads until it has `count` records. */
  consume(bootstrap: string, topic: string, count: number, file: string): Promise<void>
}

/** A million lines. kafka-python needs a minute and a half for that where the processors are slow. */
const TRANSFER_TIMEOUT_MS = 180_000
const ALL: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export const CLIENTS = {
  kcat: {
    name: 'kcat',
    program: '/usr/bin/kcat',
    codecs: ALL,
    produce: (bootstrap, topic, codec, file) =>
      transfer('kcat', ['-P', '-b', bootstrap, '-t', topic, '-z', codec, '-X', 'linger.ms=5'], { inputFile: file }),
    consume: (bootstrap, topic, _count, file) =>
      transfer('kcat', ['-C', '-b', bootstrap, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%p\\t%s\\n'], {
        outputFile: file,
      }),
  },
  'kafka-python': script('kafka-python', ALL, PYTHON, [`${PEERS}/python/kafka_python.py`]),
  'confluent-kafka': script('confluent-kafka', ALL, PYTHON, [`${PEERS}/python/confluent.py`]),
  kafkajs: script('kafkajs', ['none', 'gzip'], process.execPath, [`${PEERS}/node/kafkajs.js`]),
  '@platformatic/kafka': script('@platformatic/kafka', ALL, process.execPath, [`${PEERS}/node/platformatic.js`]),
  '@confluentinc/kafka-javascript': script('@confluentinc/kafka-javascript', ALL, process.execPath, [
    `${PEERS}/node/confluent.js`,
  ]),
  'franz-go': script('franz-go', ALL, FRANZ, []),
  java: {
    name: 'java',
    program: KAFKA_JARS,
    codecs: ALL,
    produce: (bootstrap, topic, codec, file) =>
      console_('kafka-console-producer', bootstrap, topic, ['--compression-codec', codec, '--batch-size', '65536'], {
        inputFile: file,
      }),
    consume: (bootstrap, topic, count, file) =>
      console_(
        'kafka-console-consumer',
        bootstrap,
        topic,
        ['--from-beginning', '--max-messages', String(count), '--property', 'print.partition=true'],
        { outputFile: file },
      ),
  },
} satisfies Record<string, Client>

/** A client as a running member of a group: it prints what it got, committed or not, in the lines of `consume`. */
export function startKcatGroup(
  bootstrap: string,
  topic: string,
  group: string,
  settings: readonly string[],
  options: StartOptions,
): Process {
  const args = ['-b', bootstrap, '-G', group, '-q', '-u', '-f', '%p\\t%o\\t%s\\n', '-X', 'auto.offset.reset=earliest']
  return new Process('kcat', [...args, ...settings.flatMap((setting) => ['-X', setting]), topic], options)
}

/** A Python program of ours under `test/peers/python`. */
export function startPython(name: string, args: readonly string[], options: StartOptions = {}): Process {
  return new Process(PYTHON, ['-u', `${PEERS}/python/${name}.py`, ...args], options)
}

export function runPython(name: string, args: readonly string[], timeoutMs = 60_000): ReturnType<typeof run> {
  return run(PYTHON, ['-u', `${PEERS}/python/${name}.py`, ...args], { timeoutMs })
}

function script(name: string, codecs: readonly Codec[], program: string, args: readonly string[]): Client {
  const env = { NODE_CLIENTS: `${NODE_CLIENTS}/`, KAFKAJS_NO_PARTITIONER_WARNING: '1' }
  return {
    name,
    program: program === process.execPath ? join(NODE_CLIENTS, 'node_modules', name) : program,
    codecs,
    produce: (bootstrap, topic, codec, file) =>
      transfer(program, [...args, 'produce', bootstrap, topic, codec], { inputFile: file, env }),
    consume: (bootstrap, topic, count, file) =>
      transfer(program, [...args, 'consume', bootstrap, topic, String(count)], { outputFile: file, env }),
  }
}

function console_(
  tool: JavaTool,
  bootstrap: string,
  topic: string,
  args: string[],
  files: StartOptions,
): Promise<void> {
  const all = ['--bootstrap-server', bootstrap, '--topic', topic, ...args]
  return transfer('java', javaArguments(KAFKA_TOOLS[tool], all, { heap: '512M', jvm: ['-XX:+UseSerialGC'] }), files)
}

async function transfer(program: string, args: readonly string[], files: StartOptions): Promise<void> {
  await run(program, args, { ...files, timeoutMs: TRANSFER_TIMEOUT_MS })
}
