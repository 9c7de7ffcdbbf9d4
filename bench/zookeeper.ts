/**
 * Apache's ZooKeeper server and Samsa's under the same load: clients that each keep so many operations under way,
 * creating, setting and getting nodes of 100 bytes. Both run in one go, one after the other, in several rounds; the
 * last one counts, since a JVM needs the first to get warm.
 *
 *     node bench/zookeeper.ts [--clients 16] [--outstanding 100] [--operations 200000] [--rounds 2] [--only samsa|apache]
 *
 * The sketch that it confirms: a create is about 300 bytes in the log and a third of a microsecond of checksum; with
 * 1,600 under way one sync of 1 ms carries hundreds of them, so the limit is the processor, not the disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { startZooKeeper, until, usageOf, type Implementation } from '../test/peers/index.ts'

const DATA_BYTES = 100
const CREATE = 1
const GET_DATA = 4
const SET_DATA = 5
const CLOSE_SESSION = -11
const ANYONE = acl()

interface Load {
  clients: number
  outstanding: number
  operations: number
  rounds: number
}

type Rates = Record<string, number>

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      clients: { type: 'string', default: '16' },
      outstanding: { type: 'string', default: '100' },
      operations: { type: 'string', default: '200000' },
      rounds: { type: 'string', default: '2' },
      only: { type: 'string' },
    },
  })
  const load = {
    clients: Number(values.clients),
    outstanding: Number(values.outstanding),
    operations: Number(values.operations),
    rounds: Number(values.rounds),
  }
  if (values.only !== undefined) await measure(values.only as Implementation, load)
  else compare(await measure('apache', load), await measure('samsa', load))
}

function compare(apache: Rates, samsa: Rates): void {
  for (const [name, rate] of Object.entries(apache))
    console.log(`${name}: samsa reaches ${(samsa[name]! / rate).toFixed(2)} of apache`)
}

/** The rates of the last round. */
async function measure(implementation: Implementation, load: Load): Promise<Rates> {
  const directory = mkdtempSync(join(tmpdir(), 'samsa-bench-'))
  const server = await startZooKeeper({ implementation, directory })
  try {
    // Apache's listens before it serves.
    await until('the server serves', async () => {
      await (await Session.open(server.port)).close()
      return true
    })
    let rates: Rates = {}
    for (let round = 1; round <= load.rounds; round++) {
      const cpuBefore = usageOf(server.pid).cpuSeconds
      rates = await runRound(server.port, `/round-${round}`, load, `${implementation} round ${round}`)
      const usage = usageOf(server.pid)
      const micros = ((usage.cpuSeconds - cpuBefore) * 1e6) / (3 * load.operations)
      const mebibytes = usage.residentBytes / 2 ** 20
      console.log(
        `${implementation} round ${round}: ${micros.toFixed(1)} us of CPU per operation, ${mebibytes.toFixed(0)} MiB`,
      )
    }
    return rates
  } finally {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function runRound(port: number, parent: string, load: Load, title: string): Promise<Rates> {
  const sessions = await Promise.all(Array.from({ length: load.clients }, () => Session.open(port)))
  await sessions[0]!.run(1, 1, () => createRequest(parent))
  const count = Math.floor(load.operations / load.clients)
  const rates: Rates = {}
  for (const [name, request] of Object.entries({ create: createRequest, set: setRequest, get: getRequest })) {
    const latencies: number[] = []
    const startMs = performance.now()
    await Promise.all(
      sessions.map((session, number) =>
        session.run(count, load.outstanding, (index) => request(`${parent}/n-${number}-${index}`), latencies),
      ),
    )
    rates[name] = (count * load.clients * 1000) / (performance.now() - startMs)
    latencies.sort((a, b) => a - b)
    const at = (share: number): string => latencies[Math.floor(latencies.length * share)]!.toFixed(1)
    console.log(
      `${title}: ${name} ${Math.round(rates[name]).toLocaleString('en')}/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
    )
  }
  await Promise.all(sessions.map((session) => session.close()))
  return rates
}

/** A client that shares no code with ours: it sends bytes and counts answers. */
class Session {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #onAnswer: (frame: Buffer) => void = () => {}
  #xid = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', (error) => {
      throw error
    })
  }

  static async open(port: number): Promise<Session> {
    const socket = connect({ host: '127.0.0.1', port })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    const session = new Session(socket)
    const greeting = Buffer.alloc(4 + 8 + 4 + 8 + 4 + 16 + 1)
    greeting.writeInt32BE(30_000, 12)
    greeting.writeInt32BE(16, 24)
    const welcomed = new Promise<void>((resolve, reject) => {
      session.#onAnswer = () => resolve()
      socket.once('close', () => reject(new Error('the server refused the session')))
    })
    socket.write(framed(greeting))
    await welcomed
    return session
  }

  /** Sends `count` requests with `window` under way; resolves with the last answer. */
  run(count: number, window: number, request: (index: number) => Buffer, latencies: number[] = []): Promise<void> {
    return new Promise((resolve, reject) => {
      const sentMs: number[] = []
      let sent = 0
      let answered = 0
      const fill = (): void => {
        const batch: Buffer[] = []
        while (sent < count && sent - answered < window) {
          const frame = request(sent)
          frame.writeInt32BE(++this.#xid, 4)
          batch.push(frame)
          sentMs.push(performance.now())
          sent++
        }
        if (batch.length > 0) this.#socket.write(Buffer.concat(batch))
      }
      let filling = false
      this.#onAnswer = (frame) => {
        const error = frame.readInt32BE(12)
        if (error !== 0) reject(new Error(`error ${error}`))
        latencies.push(performance.now() - sentMs[answered]!)
        answered++
        if (answered === count) return resolve()
        if (filling) return
        filling = true
        setImmediate(() => {
          filling = false
          fill()
        })
      }
      fill()
    })
  }

  async close(): Promise<void> {
    await this.run(1, 1, () => requestFrame(CLOSE_SESSION, Buffer.alloc(0)))
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    let at = 0
    while (bytes.length - at >= 4) {
      const length = bytes.readInt32BE(at)
      if (bytes.length - at - 4 < length) break
      this.#onAnswer(bytes.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    this.#received = bytes.subarray(at)
  }
}

function createRequest(path: string): Buffer {
  return requestFrame(CREATE, text(path), text('x'.repeat(DATA_BYTES)), ANYONE, Buffer.alloc(4))
}

function setRequest(path: string): Buffer {
  return requestFrame(SET_DATA, text(path), text('y'.repeat(DATA_BYTES)), Buffer.alloc(4, 0xff))
}

function getRequest(path: string): Buffer {
  return requestFrame(GET_DATA, text(path), Buffer.alloc(1))
}

/** The xid is written into it when it is sent. */
function requestFrame(type: number, ...body: Buffer[]): Buffer {
  const header = Buffer.alloc(8)
  header.writeInt32BE(type, 4)
  return framed(Buffer.concat([header, ...body]))
}

function framed(content: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(content.length)
  return Buffer.concat([length, content])
}

function text(value: string): Buffer {
  return framed(Buffer.from(value))
}

function acl(): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 0)
  head.writeInt32BE(31, 4)
  return Buffer.concat([head, text('world'), text('anyone')])
}

await main()
