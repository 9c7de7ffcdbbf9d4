/**
 * A plain ZooKeeper client on a raw socket that shares no code with Samsa: it sends bytes, keeps so many requests under
 * way, and counts answers. What loads servers for measurements, and sees at once when one serves.
 */
import { connect, type Socket } from 'node:net'

const CREATE = 1
const DELETE = 2
const GET_DATA = 4
const SET_DATA = 5
const CLOSE_SESSION = -11
const SESSION_TIMEOUT_MS = 30_000
const OPEN_TIMEOUT_MS = 2000

export class ZooKeeperWire {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #onAnswer: (frame: Buffer) => void = () => {}
  #onLost: (error: Error) => void = () => {}
  #xid = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', (error) => this.#onLost(error))
    socket.on('close', () => this.#onLost(new Error('the server closed the connection')))
  }

  /** With a session of its own. Rejects if the server does not give one. */
  static open(host: string, port: number, sessionTimeoutMs = SESSION_TIMEOUT_MS): Promise<ZooKeeperWire> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port })
      const session = new ZooKeeperWire(socket)
      session.#onLost = reject
      // Apache's server, just started, sometimes neither answers nor closes.
      const late = setTimeout(() => socket.destroy(new Error('no session in time')), OPEN_TIMEOUT_MS)
      socket.once('close', () => clearTimeout(late))
      session.#onAnswer = () => {
        clearTimeout(late)
        resolve(session)
      }
      const greeting = Buffer.alloc(4 + 8 + 4 + 8 + 4 + 16 + 1)
      greeting.writeInt32BE(sessionTimeoutMs, 12)
      greeting.writeInt32BE(16, 24)
      socket.write(framed(greeting))
    })
  }

  /** Sends `count` requests with `window` under way; resolves with the last answer. Rejects on any error. */
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
      this.#onLost = reject
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

  /** Ends the session. */
  async close(): Promise<void> {
    await this.run(1, 1, () => requestFrame(CLOSE_SESSION, Buffer.alloc(0)))
    this.destroy()
  }

  /** Cuts the connection, and leaves the session to expire. */
  destroy(): void {
    this.#onLost = () => {}
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

export function createRequest(path: string, dataBytes: number, isSequential = false): Buffer {
  const flags = Buffer.alloc(4)
  flags.writeInt32BE(isSequential ? 2 : 0)
  return requestFrame(CREATE, text(path), text('x'.repeat(dataBytes)), ANYONE, flags)
}

export function setRequest(path: string, dataBytes: number): Buffer {
  return requestFrame(SET_DATA, text(path), text('y'.repeat(dataBytes)), Buffer.alloc(4, 0xff))
}

export function deleteRequest(path: string): Buffer {
  return requestFrame(DELETE, text(path), Buffer.alloc(4, 0xff))
}

export function getRequest(path: string): Buffer {
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

const ANYONE = (() => {
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 0)
  head.writeInt32BE(31, 4)
  return Buffer.concat([head, text('world'), text('anyone')])
})()
