/** `samsa up`: a whole cluster in one process, ready at once, again after SIGKILL, and steady under load. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import {
  type Process,
  type Server,
  TARGET,
  ToolServer,
  Wire,
  batchOf,
  createTopics,
  fetch,
  metadata,
  produce,
  sleep,
  startJavaTool,
  startPython,
  startSamsaUp,
  until,
  valuesOf,
} from '../../peers/index.ts'

const BROKERS = 3
const LOAD_SECONDS = 60
/** A quiet machine needs a third of this; the README has the figure. */
const START_MS_MAX = 3000

describe('samsa up', { skip: TARGET === 'apache' && 'a command of Samsa' }, () => {
  let directory: string
  let up: Server
  let startedAt: number

  before(async () => {
    startedAt = performance.now()
    directory = mkdtempSync(join(tmpdir(), 'samsa-up-'))
    up = await startSamsaUp(directory, BROKERS)
  })

  after(async () => {
    await up?.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  const ports = (): number[] => Array.from({ length: BROKERS }, (_, index) => up.port + index)

  async function whole(): Promise<void> {
    for (const port of ports())
      await until(`the broker on ${port} knows all`, async () => {
        const seen = await Wire.ask(port, (wire) => metadata(wire))
        return seen.brokers.length === BROKERS && seen.controllerId >= 0
      })
  }

  async function leaderPort(topic: string): Promise<number> {
    return until(`${topic} has a leader`, async () => {
      const { brokers, topics } = await Wire.ask(up.port, (wire) => metadata(wire, [topic]))
      const partition = topics[0]?.partitions[0]
      return partition?.error === 0 && brokers.find(({ id }) => id === partition.leader)!.port
    })
  }

  test('every broker lists three and a controller, and a record comes back', async (context) => {
    await whole()
    const { brokers, controllerId } = await Wire.ask(up.port, (wire) => metadata(wire))
    const controller = brokers.find(({ id }) => id === controllerId)!
    const topics = [{ name: 'kept', partitions: 1, replicationFactor: BROKERS }]
    assert.deepEqual(await Wire.ask(controller.port, (wire) => createTopics(wire, topics)), { kept: 0 })
    const leader = await leaderPort('kept')
    assert.equal((await Wire.ask(leader, (wire) => produce(wire, 'kept', batchOf(['one', 'two'])))).error, 0)
    const { records } = await Wire.ask(leader, (wire) => fetch(wire, 'kept', 0))
    assert.equal(valuesOf(records)[0]?.value, 'one')
    const ready = performance.now() - startedAt
    context.diagnostic(`all of it ${ready.toFixed(0)} ms after the start of the process`)
    assert.ok(ready < START_MS_MAX, `${ready.toFixed(0)} ms`)
  })

  test('it starts at once on the same data after SIGKILL', async () => {
    await up.kill()
    const started = performance.now()
    up.start()
    await up.accepting()
    await whole()
    const { records } = await Wire.ask(await leaderPort('kept'), (wire) => fetch(wire, 'kept', 0))
    assert.deepEqual(
      valuesOf(records).map(({ value }) => value),
      ['one', 'two'],
    )
    const took = performance.now() - started
    assert.ok(took < 6000, `${took.toFixed(0)} ms: it waited for sessions of the dead process`)
  })

  test('it stops cleanly on SIGINT, and keeps what it has', async () => {
    const ended = await up.process.stop('SIGINT', 15_000)
    assert.equal(ended.code, 0, up.log.slice(-1000))
    up.start()
    await up.accepting()
    await whole()
    const { records } = await Wire.ask(await leaderPort('kept'), (wire) => fetch(wire, 'kept', 0))
    assert.equal(valuesOf(records).length, 2)
  })

  test(`for ${LOAD_SECONDS} s at full load no session expires and no group member is thrown out`, async (context) => {
    const bootstrap = ports()
      .map((port) => `127.0.0.1:${port}`)
      .join(',')
    const tools = new ToolServer()
    const running: Process[] = []
    try {
      for (const [topic, partitions] of [
        ['watched', 3],
        ['loaded', 6],
      ] as const)
        await tools.run(
          'kafka-topics',
          `--bootstrap-server ${bootstrap} --create --topic ${topic} --partitions ${partitions} --replication-factor 3`.split(
            ' ',
          ),
        )
      const session = said(startPython('session', [`127.0.0.1:${up.port - 1}`]))
      const members = [1, 2, 3].map(() => said(startPython('assignments', [bootstrap, 'watched', 'members'])))
      running.push(session.process, ...members.map(({ process }) => process))
      await until('the session stands', () => session.lines().includes('CONNECTED'))
      await until('the group stands', () => members.every((member) => member.lines().at(-1) === 'assigned 1'), 40_000)
      const before_ = [session, ...members].map((one) => one.lines().length)

      const load = startJavaTool('kafka-producer-perf-test', [
        ...`--topic loaded --num-records 1000000000 --record-size 100 --throughput -1 --producer-props acks=all`.split(
          ' ',
        ),
        `bootstrap.servers=${bootstrap}`,
      ])
      running.push(load)
      const printed = said(load)
      await sleep(LOAD_SECONDS * 1000)
      context.diagnostic(printed.lines().at(-1) ?? 'the producer printed nothing')
      assert.ok(load.ended === null, 'the producer still runs')
      assert.deepEqual(
        [session, ...members].map((one) => one.lines().slice(before_.shift())),
        [[], [], [], []],
        'the session and the members noticed nothing',
      )
      assert.doesNotMatch(up.log, /expired/i)
    } finally {
      await Promise.all(running.map((process) => process.stop('SIGKILL')))
      await tools.close()
    }
    await up.process.stop('SIGINT', 15_000)
    const turn = /^.*longest turn.*$/im.exec(up.log)?.[0]
    assert.ok(turn !== undefined, 'it prints the longest turn of its loop')
    context.diagnostic(turn)
  })
})

/** Collects the lines that a program prints. */
function said(process: Process): { process: Process; lines(): string[] } {
  let text = ''
  process.child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()))
  process.child.stderr!.resume()
  return { process, lines: () => text.split('\n').slice(0, -1) }
}
