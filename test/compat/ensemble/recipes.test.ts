/** The recipes of kazoo and Curator, unmodified, hold across the loss of the leader of three servers. */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

import { CURATOR_CLASSES, CURATOR_JARS, Ensemble, Process, javaArguments, startPython } from '../../peers/index.ts'

const PROPERTIES = { extendedTypesEnabled: true, 'znode.container.checkIntervalMs': 500 }

let ensemble: Ensemble

before(async () => {
  // Apache's server takes this one from Java's command line only.
  const jvm = ['-Dznode.container.checkIntervalMs=500']
  ensemble = await Ensemble.start({ properties: PROPERTIES, jvm })
})

after(() => ensemble?.close())

const PYTHON_RECIPES = ['lock', 'election', 'queue', 'barrier', 'counter']
const JAVA_RECIPES = ['latch', 'mutex', 'cache', 'ttl']

test('kazoo: lock, election, queues, barriers and counter across the loss of the leader', () =>
  acrossTheLoss(PYTHON_RECIPES, (recipe) => startPython('recipes', [ensemble.connect, recipe])))

test('Curator: LeaderLatch, InterProcessMutex, CuratorCache and PersistentTtlNode across the loss of the leader', () =>
  acrossTheLoss(JAVA_RECIPES, (recipe) => {
    const options = { heap: '128M', classPath: [CURATOR_CLASSES], jars: CURATOR_JARS }
    return new Process('java', javaArguments('CuratorRecipes', [ensemble.connect, recipe], options))
  }))

const SAYING_TIMEOUT_MS = 60_000

/** All of them at once: the leader is killed when each has set itself up, and each says how it went. */
async function acrossTheLoss(recipes: readonly string[], start: (recipe: string) => Process): Promise<void> {
  await ensemble.ready()
  const users = recipes.map((recipe) => new User(recipe, start(recipe)))
  try {
    await Promise.all(users.map((user) => user.says('ready')))
    await ensemble.killLeader()
    for (const user of users) user.goOn()
    await Promise.all(users.map((user) => user.says('good')))
  } finally {
    for (const user of users) await user.end()
    for (const server of ensemble.servers) if (!server.running) server.start()
  }
}

/** One program that uses a recipe. */
class User {
  readonly #recipe: string
  readonly #process: Process
  readonly #lines: AsyncIterator<string>
  #errors = ''

  constructor(recipe: string, process: Process) {
    this.#recipe = recipe
    this.#process = process
    this.#lines = createInterface({ input: process.child.stdout! })[Symbol.asyncIterator]()
    process.child.stderr!.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
  }

  async says(expected: string): Promise<void> {
    const late = setTimeout(() => this.#process.signal('SIGKILL'), SAYING_TIMEOUT_MS)
    const { value } = await this.#lines.next()
    clearTimeout(late)
    if (value !== expected) await this.#process.exited
    assert.equal(value, expected, `${this.#recipe}: ${this.#errors.slice(-4000)}`)
  }

  goOn(): void {
    this.#process.child.stdin!.write('lost\n')
  }

  async end(): Promise<void> {
    await this.#process.stop('SIGKILL')
  }
}
