/** The election port in a simulated world. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform, Socket, Timer } from '#platform'
import { World } from '#simulation'
import { Election, encodeHello, encodeNotification, type Notification } from '#zookeeper/zab'

import { parseZooCfg } from '../config.ts'
import type { EnsembleConfig } from '../ensemble-config.ts'
import { ElectionLinks } from './election-links.ts'

const TICK_MS = 2000
const PORT = 3888
const SIDS = [1, 2, 3]

function configOf(sid: number, more = ''): EnsembleConfig {
  const servers = SIDS.map((id) => `server.${id}=zoo${id}:2888:${PORT}`).join('\n')
  return parseZooCfg(`dataDir=/d\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n${servers}\n${more}`, { sid }).config
    .ensemble!
}

/** A vote that can be told from others by its round. */
function vote(round: number): Notification {
  return { state: 'looking', leader: 1, zxid: 5n, electionEpoch: round, peerEpoch: 1, version: 2, config: 'version=0' }
}

/** Three servers of which only the links are there. */
class Links {
  readonly world: World
  readonly open = new Map<number, ElectionLinks>()
  readonly received: string[] = []
  readonly warnings: string[] = []

  constructor(seed = 1) {
    this.world = new World(seed)
    this.world.logSink = (level, line) => level === 'warn' && this.warnings.push(line)
    for (const sid of SIDS) this.world.process(`zoo${sid}`)
  }

  start(sid: number, more = ''): void {
    this.world.process(`zoo${sid}`).start(async (platform) => {
      const links = await ElectionLinks.open(platform, configOf(sid, more), TICK_MS, {
        onNotification: (from, { electionEpoch }) => this.received.push(`${from}>${sid} ${electionEpoch}`),
      })
      this.open.set(sid, links)
    })
  }

  async started(...sids: number[]): Promise<void> {
    for (const sid of sids) this.start(sid)
    assert.ok(await this.world.runUntil(() => sids.every((sid) => this.open.has(sid)), 1000))
  }

  crash(sid: number): void {
    this.world.process(`zoo${sid}`).crash()
    this.open.delete(sid)
  }

  async until(...received: string[]): Promise<void> {
    await this.world.runUntil(() => this.received.length >= received.length, 5000)
    await this.world.run(500)
    assert.deepEqual(this.received.splice(0), received)
  }

  /** Someone who speaks to the port of server 2 with bytes of his own. */
  async stranger(bytes: Uint8Array): Promise<{ socket: Socket; closed: () => boolean }> {
    let socket: Socket | null = null
    let closed = false
    const connect = async (platform: Platform): Promise<void> => {
      const connected = await platform.network.connect({ host: 'zoo2', port: PORT, timeoutMs: 1000 })
      connected.start({ onBytes() {}, onDrain() {}, onClose: () => (closed = true) })
      connected.write([bytes])
      socket = connected
    }
    const machine = this.world.process('stranger')
    machine.crash()
    machine.start(connect)
    assert.ok(await this.world.runUntil(() => socket !== null, 1000))
    await this.world.run(100)
    return { socket: socket!, closed: () => closed }
  }
}

function framed(message: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(Uint32Array.of(message.length).buffer).swap32(), message])
}

test('messages go both ways, whoever speaks first', async () => {
  for (const [first, second] of [
    [1, 3],
    [3, 1],
  ] as const) {
    const links = new Links()
    await links.started(1, 3)
    links.open.get(first)!.send(second, vote(1))
    await links.until(`${first}>${second} 1`)
    links.open.get(second)!.send(first, vote(2))
    await links.until(`${second}>${first} 2`)
    assert.deepEqual(links.open.get(first)!.connected, [second])
    assert.deepEqual(links.warnings, [])
  }
})

test('both at once end with one connection, and nothing is lost', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const links = new Links(seed)
    await links.started(...SIDS)
    for (const from of SIDS) for (const to of SIDS) if (from !== to) links.open.get(from)!.send(to, vote(1))
    await links.world.run(2000)
    for (const from of SIDS) assert.equal(links.open.get(from)!.connected.length, 2)
    const pairs = SIDS.flatMap((from) => SIDS.filter((to) => to !== from).map((to) => `${from}>${to} 1`))
    assert.deepEqual([...new Set(links.received)].sort(), pairs)
  }
})

test('of what waits for a connection the newest counts, and after a loss the last is sent again', async () => {
  const links = new Links()
  await links.started(1)
  for (const round of [1, 2, 3]) links.open.get(1)!.send(2, vote(round))
  await links.world.run(3000)
  await links.started(2)
  links.open.get(1)!.connectAll()
  await links.until('1>2 3')
  links.crash(2)
  await links.started(2)
  links.open.get(1)!.connectAll()
  await links.until('1>2 3')
})

test('a server that does not answer is looked for again, and complained about once, when it is not just starting', async () => {
  const links = new Links()
  const complaints = (): number => links.warnings.filter((line) => line.includes('server 2 cannot be reached')).length
  await links.started(1)
  for (let second = 0; second < 20; second++) {
    links.open.get(1)!.connectAll()
    await links.world.run(1000)
    if (second === 3) assert.equal(complaints(), 0)
  }
  assert.equal(complaints(), 1)
})

test('the forms of a hello: with an address, with several, with none', async () => {
  const links = new Links()
  await links.started(2)
  const modern = encodeHello(3, '2001:db8::3', PORT)
  assert.match(Buffer.from(modern).toString('latin1'), /\[2001:db8::3\]:3888$/)
  const several = modern.slice()
  several[7] = 1
  const legacy = new Uint8Array(8)
  legacy[7] = 3
  let round = 0
  for (const hello of [modern, several, legacy]) {
    round += 1
    const { closed } = await links.stranger(Buffer.concat([hello, framed(encodeNotification(vote(round)))]))
    await links.until(`3>2 ${round}`)
    assert.ok(!closed())
  }
})

test('whoever is not of the ensemble, or says nothing sensible, is sent away', async () => {
  const rows: [string, Uint8Array, RegExp][] = [
    ['an unknown id', encodeHello(9, 'x', 1), /server 9, which is in no server.N line/],
    ['the own id', encodeHello(2, 'x', 1), /server 2, which is the id of this server/],
    ['an observer without id', encodeHello(-1, 'x', 1), /server -1, which is in no server.N line/],
    ['an admin word', Buffer.from('\u00ff\u00ffGET / HTTP', 'latin1'), /a hello of version/],
    [
      'a long address',
      Buffer.concat([encodeHello(3, 'x', 1).subarray(0, 16), Uint8Array.of(0, 0, 9, 0)]),
      /address of 2304 bytes/,
    ],
    ['nothing', new Uint8Array(3), /did not say who it is in 10000 ms/],
    [
      'a long vote',
      Buffer.concat([encodeHello(3, 'x', 1), Uint8Array.of(0, 8, 0, 1)]),
      /524289 as the length of a vote/,
    ],
    ['an empty vote', Buffer.concat([encodeHello(3, 'x', 1), new Uint8Array(4)]), /0 as the length of a vote/],
  ]
  for (const [what, bytes, warning] of rows) {
    const links = new Links()
    await links.started(2)
    const { closed } = await links.stranger(bytes)
    assert.ok(await links.world.runUntil(closed, 11_000), what)
    assert.ok(
      links.warnings.some((line) => warning.test(line)),
      `${what}: ${links.warnings.join()}`,
    )
    assert.deepEqual(links.world.findings, [], what)
  }
})

test('a vote that cannot be read is passed over', async () => {
  const links = new Links()
  await links.started(2)
  const { closed } = await links.stranger(
    Buffer.concat([encodeHello(3, 'x', 1), framed(new Uint8Array(30)), framed(encodeNotification(vote(4)))]),
  )
  await links.until('3>2 4')
  assert.ok(!closed())
})

test('many who say nothing do not keep others away', async () => {
  const links = new Links()
  await links.started(2)
  links.world.process('stranger').start(async ({ network }) => {
    for (let count = 0; count < 200; count++)
      (await network.connect({ host: 'zoo2', port: PORT, timeoutMs: 1000 })).start({
        onBytes() {},
        onDrain() {},
        onClose() {},
      })
  })
  await links.world.run(1000)
  await links.started(3)
  links.open.get(3)!.send(2, vote(1))
  await links.until('3>2 1')
})

test('a port that is taken is tried again, as often as it is said', async () => {
  for (const [retries, isFreed, opens] of [
    ['3', false, false],
    ['3', true, true],
    ['0', true, true],
  ] as const) {
    const world = new World(1)
    let outcome = ''
    world.process('zoo2').start(async (platform) => {
      const taken = await platform.network.listen({
        host: 'zoo2',
        port: PORT,
        onConnection: (socket) => socket.destroy(),
      })
      if (isFreed) platform.clock.setTimer(1500, () => void taken.close())
      await ElectionLinks.open(platform, configOf(2, `electionPortBindRetry=${retries}`), TICK_MS, {
        onNotification() {},
      }).then(
        () => (outcome = 'open'),
        (error: Error) => (outcome = error.name),
      )
    })
    await world.run(10_000)
    assert.equal(outcome, opens ? 'open' : 'NetworkError')
  }
})

/** An election over its links, as a server drives it. */
class Candidate {
  election: Election | null = null
  readonly #sid: number
  #links: ElectionLinks | null = null
  #platform: Platform | null = null
  #timer: Timer | null = null

  constructor(sid: number) {
    this.#sid = sid
  }

  async run(platform: Platform): Promise<void> {
    const config = configOf(this.#sid)
    this.#platform = platform
    this.election = new Election(config)
    this.#links = await ElectionLinks.open(platform, config, TICK_MS, {
      onNotification: (from, notification) => {
        this.election!.onNotification(from, notification, platform.clock.monotonic())
        this.#carryOut()
      },
    })
    this.look()
  }

  look(): void {
    this.election!.start({ zxid: BigInt(this.#sid), peerEpoch: 0 }, this.#platform!.clock.monotonic())
    this.#carryOut()
  }

  #carryOut(): void {
    for (const effect of this.election!.takeEffects()) {
      if (effect.type === 'send') this.#links!.send(effect.to, effect.notification)
      if (effect.type === 'connectAll') this.#links!.connectAll()
    }
    this.#timer?.cancel()
    const { clock } = this.#platform!
    const nextTickMs = this.election!.nextTickMs
    if (nextTickMs === null) return
    this.#timer = clock.setTimer(Math.max(0, nextTickMs - clock.monotonic()), () => {
      this.election!.onTick(clock.monotonic())
      this.#carryOut()
    })
  }
}

test('three servers elect one, and another one when it is gone; it comes back as a follower', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = new World(seed)
    const candidates = new Map<number, Candidate>()
    const boot = (sid: number): void => {
      const candidate = new Candidate(sid)
      candidates.set(sid, candidate)
      world.process(`zoo${sid}`).start((platform) => candidate.run(platform))
    }
    const agreeOn = (leader: number, sids: readonly number[]): Promise<boolean> =>
      world.runUntil(
        () =>
          sids.every((sid) => {
            const election = candidates.get(sid)!.election
            return (
              election?.currentVote.leader === leader && election.state === (sid === leader ? 'leading' : 'following')
            )
          }),
        5000,
      )
    for (const sid of SIDS) world.process(`zoo${sid}`)
    for (const sid of SIDS) boot(sid)
    assert.ok(await agreeOn(3, SIDS), `seed ${seed}: the first leader`)
    world.process('zoo3').crash()
    for (const sid of [1, 2]) world.process(`zoo${sid}`).signal(() => candidates.get(sid)!.look())
    assert.ok(await agreeOn(2, [1, 2]), `seed ${seed}: the second leader`)
    boot(3)
    assert.ok(await agreeOn(2, SIDS), `seed ${seed}: the first one is back`)
    assert.deepEqual(world.findings, [])
  }
})
