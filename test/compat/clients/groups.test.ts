/** Consumers in groups: they share without gap or overlap, and take over from one that fails. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import {
  CLIENTS,
  Cluster,
  Process,
  Wire,
  batchOf,
  produce,
  startKcatGroup,
  startPython,
  until,
} from '../../peers/index.ts'
import { packageIndex } from '../data.ts'

const PARTITIONS = 6
const SESSION = ['session.timeout.ms=6000', 'heartbeat.interval.ms=1000', 'auto.commit.interval.ms=200']

let cluster: Cluster
let folder: string
let file: string
let lines: number

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'samsa-groups-'))
  file = join(folder, 'input')
  lines = 0
  writeFileSync(file, `${(await packageIndex()).replace(/^/gm, () => `${lines++} `)}\n`)
  cluster = await Cluster.start({ brokers: 3 })
})

after(async () => {
  await cluster?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A member whose output is a file of `PARTITION<tab>OFFSET<tab>VALUE`. */
class Member {
  readonly process: Process
  readonly #output: string

  constructor(name: string, topic: string, group: string) {
    this.#output = join(folder, name)
    this.process = startKcatGroup(cluster.bootstrap, topic, group, SESSION, { outputFile: this.#output })
    this.process.child.stderr?.resume()
  }

  /** What it has read so far, as `PARTITION:OFFSET`. A line that is being written does not count. */
  read(): { partition: number; offset: number }[] {
    const text = readFileSync(this.#output, 'latin1')
    const rows = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
    rows.pop()
    return rows.map((row) => {
      const [partition, offset] = row.split('\t', 2)
      return { partition: Number(partition), offset: Number(offset) }
    })
  }

  partitions(): Set<number> {
    return new Set(this.read().map(({ partition }) => partition))
  }
}

test('two consumers share a topic without gap or overlap', async () => {
  const topic = 'shared'
  await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
  const members = [new Member('one', topic, 'sharers'), new Member('two', topic, 'sharers')]
  try {
    await settled(members, topic)
    const before_ = members.map((member) => member.read())
    await CLIENTS.kcat.produce(cluster.bootstrap, topic, 'lz4', file)
    const expected = lines + before_.flat().length
    await until('all lines are read', () => members.flatMap((member) => member.read()).length >= expected, 60_000, 500)

    const rows = members.flatMap((member) => member.read())
    assert.equal(rows.length, expected, 'nothing was read twice')
    assert.equal(new Set(rows.map(({ partition, offset }) => `${partition}:${offset}`)).size, expected, 'no gap')
    const [one, two] = members.map(
      (member, index) =>
        new Set(
          member
            .read()
            .slice(before_[index]!.length)
            .map(({ partition }) => partition),
        ),
    )
    assert.deepEqual([one!.size, two!.size], [PARTITIONS / 2, PARTITIONS / 2], 'each has half of the partitions')
    assert.equal(one!.intersection(two!).size, 0, 'no partition has two owners')
  } finally {
    await Promise.all(members.map((member) => member.process.stop()))
  }
})

test('one of two consumers is killed half-way: no gap, and what comes again lies after its last commit', async () => {
  const topic = 'inherited'
  const group = 'heirs'
  await cluster.createTopic({ name: topic, partitions: PARTITIONS, replicationFactor: 3 })
  const [survivor, victim] = [new Member('survivor', topic, group), new Member('victim', topic, group)]
  try {
    await settled([survivor, victim], topic)
    const warmUp = survivor.read().length + victim.read().length
    const producing = CLIENTS.kcat.produce(cluster.bootstrap, topic, 'lz4', file)
    await until('the victim is half-way', () => victim.read().length > lines / 8, 60_000, 20)
    await victim.process.stop('SIGKILL')
    const partitions = Array.from({ length: PARTITIONS }, (_, index) => index)
    const committed = await cluster.committed(group, topic, partitions)
    await producing
    const inherited = victim.read()
    const key = ({ partition, offset }: { partition: number; offset: number }): string => `${partition}:${offset}`
    const seen = (): Set<string> => new Set([...inherited, ...survivor.read()].map(key))
    const expected = lines + warmUp
    await until('all lines are read', () => seen().size >= expected, 60_000, 500)

    assert.equal(seen().size, expected)
    const rows = survivor.read()
    assert.equal(new Set(rows.map(key)).size, rows.length, 'the survivor reads nothing twice')
    const before_ = new Set(inherited.map(key))
    const again = rows.filter((row) => before_.has(key(row)))
    for (const { partition, offset } of again)
      assert.ok(
        offset >= committed[partition]!,
        `${partition}:${offset} came again, committed was ${committed[partition]}`,
      )
  } finally {
    await Promise.all([survivor, victim].map((member) => member.process.stop()))
  }
})

test('the surplus of consumers is idle, and takes over when one leaves', async () => {
  const topic = 'scarce'
  await cluster.createTopic({ name: topic, partitions: 2, replicationFactor: 3 })
  const members = ['first', 'second', 'third'].map((name) => new Member(name, topic, 'surplus'))
  try {
    const busy = await settled(members, topic, 2)
    assert.equal(busy.length, 2, 'one of three has nothing to do')
    await busy[0]!.process.stop('SIGTERM')
    const rest = members.filter((member) => member !== busy[0])
    assert.equal((await settled(rest, topic, 2)).length, 2, 'the idle one took over')
  } finally {
    await Promise.all(members.map((member) => member.process.stop()))
  }
})

test('what was processed but not committed is processed again', async () => {
  // Processes 60, commits 40 of them, dies: 40 to 59 come again.
  assert.equal(await positionOfHeir('at-least-once', { stopAfter: 60, commitAt: 60, position: 40 }), 40)
})

test('what was committed but not processed is skipped', async () => {
  // Takes 60 and commits them, dies with 50 of them processed: 50 to 59 are skipped.
  assert.equal(await positionOfHeir('at-most-once', { stopAfter: 50, commitAt: 50, position: 60 }), 60)
})

/** Lets a member die as described, and gives the first offset that the next one gets. */
async function positionOfHeir(
  topic: string,
  { stopAfter, commitAt, position }: { stopAfter: number; commitAt: number; position: number },
): Promise<number> {
  await cluster.createTopic({ name: topic, partitions: 1, replicationFactor: 3 })
  const values = Array.from({ length: 100 }, (_, index) => String(index))
  const leader = await cluster.leaderOf(topic)
  assert.equal((await Wire.ask(leader.address, (wire) => produce(wire, topic, batchOf(values)))).error, 0)

  const common = [cluster.bootstrap, topic, `${topic}-group`]
  const first = startPython('member', [...common, String(stopAfter), String(commitAt), String(position)])
  const printed = await printedUntil(first, 'waiting')
  await first.stop('SIGKILL')
  assert.deepEqual(
    printed.filter((line) => /^\d+$/.test(line)),
    values.slice(0, stopAfter),
  )
  const heir = startPython('member', [...common, '1'])
  const [offset] = await printedUntil(heir, 'waiting')
  await heir.stop('SIGKILL')
  return Number(offset)
}

async function printedUntil(process: Process, last: string): Promise<string[]> {
  let text = ''
  let errors = ''
  process.child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()))
  process.child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  try {
    await until(`it prints ${last}`, () => process.ended !== null || text.includes(last), 40_000)
  } catch (error) {
    throw new Error(`printed ${text}\n${errors}`, { cause: error })
  }
  return text.trimEnd().split('\n')
}

/**
 * Waits until the group stands: sends one record into each partition, again and again, until all of one round have
 * been read by as many members as are expected. Gives those members.
 */
async function settled(members: readonly Member[], topic: string, busyCount = members.length): Promise<Member[]> {
  const { topics } = await cluster.metadata([topic])
  const partitions = topics[0]!.partitions
  const wires = new Map<number, Wire>()
  for (const { leader } of partitions)
    if (!wires.has(leader)) wires.set(leader, await Wire.connect(cluster.byId(leader).address))
  try {
    return await until(
      'the group stands',
      async () => {
        const before_ = members.map((member) => member.read().length)
        const total = before_.reduce((sum, length) => sum + length, 0)
        for (const { partition, leader } of partitions)
          await produce(wires.get(leader)!, topic, batchOf(['-1 warm up']), { partition })
        const count = (): number => members.reduce((sum, member) => sum + member.read().length, 0)
        await until('the round is read', () => count() >= total + partitions.length, 15_000)
        const busy = members.filter((member, index) => member.read().length > before_[index]!)
        return busy.length === busyCount && count() === total + partitions.length && busy
      },
      40_000,
      500,
    )
  } finally {
    for (const wire of wires.values()) wire.close()
  }
}
