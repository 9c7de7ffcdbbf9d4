/**
 * Installs the programs that Samsa is measured against, once, into `.cache`: `node test/peers/install.ts [STEP …]`.
 * A step that stands is not repeated: its stamp names the inputs that it was made from. A step that fails is tried
 * again, since a registry may time out, and is then named with its reason; what needs it is skipped.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, openSync, closeSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import {
  CACHE,
  CURATOR_CLASSES,
  CURATOR_JARS,
  FRANZ,
  KAFKA_JARS,
  KAFKA_NEWEST_JARS,
  KAFKA_OLDEST_JARS,
  NODE_26,
  NODE_CLIENTS,
  PEERS,
  TOOL_SERVER_CLASSES,
  ZOOKEEPER_ADMIN_JARS,
  ZOOKEEPER_JARS,
} from './places.ts'

interface Step {
  /** Files under `test/peers` whose contents decide whether the step must run again. */
  inputs: string[]
  needs?: string[]
  commands: (() => void | Command)[]
}

interface Command {
  program: string
  args: string[]
  env?: Record<string, string>
  cwd?: string
}

/** What became of a step: the reason if it is not there. */
export interface Installed {
  name: string
  seconds: number
  skipped: string | null
}

const DEBIAN = ['kcat', 'libzstd-dev', 'liblz4-dev', 'libsasl2-dev', 'libcurl4-openssl-dev']
const ATTEMPTS_MAX = 3
const STEP_TIMEOUT_MS = 8 * 60_000

const STEPS: Record<string, Step> = {
  debian: {
    inputs: [],
    commands: [
      command('sh', [
        '-c',
        `dpkg -s ${DEBIAN.join(' ')} >/dev/null 2>&1 && ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 ||
         { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q ${DEBIAN.join(' ')}; }`,
      ]),
    ],
  },
  kafka: { inputs: ['maven/kafka/pom.xml'], commands: [maven('kafka', KAFKA_JARS)] },
  zookeeper: { inputs: ['maven/zookeeper/pom.xml'], needs: ['kafka'], commands: [maven('zookeeper', ZOOKEEPER_JARS)] },
  // After the others: two runs of Maven at once would write to one local repository.
  'kafka versions': {
    inputs: ['maven/kafka-newest/pom.xml', 'maven/kafka-oldest/pom.xml'],
    needs: ['zookeeper'],
    commands: [maven('kafka-newest', KAFKA_NEWEST_JARS), maven('kafka-oldest', KAFKA_OLDEST_JARS)],
  },
  'zookeeper admin': {
    inputs: ['maven/zookeeper-admin/pom.xml'],
    needs: ['curator'],
    commands: [maven('zookeeper-admin', ZOOKEEPER_ADMIN_JARS)],
  },
  curator: {
    inputs: ['maven/curator/pom.xml', 'java/CuratorRecipes.java'],
    needs: ['kafka versions'],
    commands: [
      maven('curator', CURATOR_JARS),
      command('javac', [
        '-nowarn',
        '-cp',
        `${CURATOR_JARS}/*`,
        '-d',
        CURATOR_CLASSES,
        join(PEERS, 'java/CuratorRecipes.java'),
      ]),
    ],
  },
  'tool server': {
    inputs: ['java/ToolServer.java'],
    commands: [command('javac', ['-nowarn', '-d', TOOL_SERVER_CLASSES, join(PEERS, 'java/ToolServer.java')])],
  },
  python: {
    inputs: ['python/requirements.txt'],
    commands: [
      command('python3', ['-m', 'venv', '--clear', join(CACHE, 'venv')]),
      command(join(CACHE, 'venv/bin/pip'), ['install', '-q', '-r', join(PEERS, 'python/requirements.txt')]),
    ],
  },
  go: {
    inputs: ['go/main.go', 'go/go.mod', 'go/go.sum'],
    commands: [command('go', ['build', '-o', FRANZ, '.'], { cwd: join(PEERS, 'go'), env: { GOTOOLCHAIN: 'local' } })],
  },
  'node clients': {
    inputs: ['node/package.json'],
    needs: ['debian'],
    commands: [
      () => {
        rmSync(NODE_CLIENTS, { recursive: true, force: true })
        mkdirSync(NODE_CLIENTS, { recursive: true })
        cpSync(join(PEERS, 'node/package.json'), join(NODE_CLIENTS, 'package.json'))
      },
      command('npm', ['install', '--no-package-lock', '--ignore-scripts', '--loglevel=error'], { cwd: NODE_CLIENTS }),
      // Its own librdkafka, compiled with one job: its makefile does not say that it needs its configuration first.
      command('npm', ['rebuild', '@confluentinc/kafka-javascript', '--foreground-scripts'], {
        cwd: NODE_CLIENTS,
        env: {
          PATH: `${NODE_26}/bin:${process.env['PATH']}`,
          CKJS_LINKING: 'dynamic',
          npm_config_nodedir: NODE_26,
          npm_config_build_from_source: 'true',
        },
      }),
    ],
  },
}

/** Runs the named steps, or all; those that do not wait for each other run side by side. */
export async function install(names: readonly string[] = Object.keys(STEPS)): Promise<Installed[]> {
  mkdirSync(join(CACHE, 'logs'), { recursive: true })
  mkdirSync(join(CACHE, 'stamps'), { recursive: true })
  const running = new Map<string, Promise<Installed>>()
  const start = (name: string): Promise<Installed> => {
    const step = STEPS[name]
    if (step === undefined) throw new Error(`no step ${name}; there are ${Object.keys(STEPS).join(', ')}`)
    const already = running.get(name)
    if (already !== undefined) return already
    const promise = (async () => {
      for (const need of step.needs ?? []) {
        const { skipped } = await start(need)
        if (skipped !== null) return { name, seconds: 0, skipped: `needs ${need}` }
      }
      return carryOut(name, step)
    })()
    running.set(name, promise)
    return promise
  }
  for (const name of names) void start(name)
  return Promise.all(running.values())
}

async function carryOut(name: string, step: Step): Promise<Installed> {
  const file = name.replaceAll(' ', '-')
  const stamp = join(CACHE, 'stamps', file)
  const print = fingerprint(step)
  if (name !== 'debian' && readIfThere(stamp) === print) return { name, seconds: 0, skipped: null }
  const started = performance.now()
  let failure: string | null = null
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    failure = await runAll(step, join(CACHE, 'logs', `install-${file}.log`))
    if (failure === null) break
  }
  if (failure === null) writeFileSync(stamp, print)
  return { name, seconds: (performance.now() - started) / 1000, skipped: failure }
}

async function runAll(step: Step, log: string): Promise<string | null> {
  writeFileSync(log, '')
  for (const make of step.commands) {
    const next = make()
    if (next === undefined) continue
    const failure = await run(next, log)
    if (failure !== null) return `${failure}; its output is in ${log}`
  }
  return null
}

function run(next: Command, log: string): Promise<string | null> {
  const output = openSync(log, 'a')
  return new Promise((resolve) => {
    const child = spawn(next.program, next.args, {
      cwd: next.cwd,
      env: { ...process.env, ...next.env },
      stdio: ['ignore', output, output],
    })
    // Node's own time limit goes on after a program that does not start, and keeps the process alive.
    const timer = setTimeout(() => child.kill(), STEP_TIMEOUT_MS)
    child.on('error', (error) => {
      clearTimeout(timer)
      resolve(`${next.program} does not start: ${error.message}`)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      closeSync(output)
      resolve(code === 0 ? null : `${next.program} ended with ${code ?? signal}`)
    })
  })
}

function fingerprint(step: Step): string {
  const hash = createHash('sha256')
  for (const input of step.inputs) hash.update(readFileSync(join(PEERS, input)))
  return hash.digest('hex')
}

function command(program: string, args: string[], options: Omit<Command, 'program' | 'args'> = {}): () => Command {
  return () => ({ program, args, ...options })
}

function maven(project: string, folder: string): () => Command {
  const pom = join(PEERS, 'maven', project, 'pom.xml')
  return command('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`])
}

function readIfThere(path: string): string | null {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? null : readFileSync(path, 'utf8')
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  const all = await install(names.length > 0 ? names : undefined)
  for (const { name, seconds, skipped } of all)
    console.log(skipped === null ? `installed ${name} (${seconds.toFixed(1)} s)` : `SKIPPED ${name}: ${skipped}`)
  if (all.some(({ skipped }) => skipped !== null)) process.exitCode = 1
}
