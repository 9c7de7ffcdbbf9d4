/**
 * For tests: a server of which the test decides everything. It takes connections, opens and keeps sessions as told, notes what it is sent, and answers
 * when the test says so.
 */
import { ByteReader, ByteWriter } from '#base'
import { FramedConnection } from '#net'
import type { Platform } from '#platform'
import {
  ConnectRequest,
  ConnectResponse,
  ReplyHeader,
  RequestHeader,
  ReservedXid,
  WatcherEvent,
  operations,
  type Operation,
  type RecordCodec,
} from '#zookeeper/protocol'

export interface ReceivedRequest {
  readonly xid: number
  readonly name: string
  readonly request: Record<string, unknown>
}

/** The word `isro`, where the length of a frame stands. */
const ISRO = 0x6973726f

export class ScriptedServer {
  readonly name: string
  /** Connect requests, in their order. */
  readonly handshakes: ConnectRequest[] = []
  /** Requests other than pings, in their order. */
  readonly received: ReceivedRequest[] = []
  pings = 0
  /** What the next handshakes are answered: a session, `expired`, or nothing at all. */
  onHandshake: (request: ConnectRequest) => 'granted' | 'expired' | 'silence' = () => 'granted'
  /** Answers each request at once, unless it returns undefined: then `answer` does it later. */
  onRequest: (received: ReceivedRequest) => { err?: number; body?: Record<string, unknown> } | undefined = () => ({})
  answersPings = true
  /** Has lost its quorum: it says so in the handshake, and when asked. */
  readOnly = false
  sessionTimeoutMs = 6000
  zxid = 100n
  #lastSession = 500n
  #connection: FramedConnection | null = null
  #greeted = false
  #platform: Platform | null = null

  constructor(name: string) {
    this.name = name
  }

  /** As a program of a simulated process. */
  readonly run = async (platform: Platform): Promise<void> => {
    this.#platform = platform
    await platform.network.listen({
      host: '0.0.0.0',
      port: 2181,
      onConnection: (socket) => {
        const connection = new FramedConnection(platform, socket, { maxFrameBytes: 1 << 20 })
        const former = { connection: this.#connection, greeted: this.#greeted }
        this.#connection = connection
        this.#greeted = false
        connection.start({
          onFirstWord: (word) => {
            if (word !== ISRO) return false
            this.#connection = former.connection
            this.#greeted = former.greeted
            connection.sendRaw([new TextEncoder().encode(this.readOnly ? 'ro' : 'rw')])
            connection.close()
            return true
          },
          onFrame: (frame) => (this.#connection === connection ? this.#onFrame(frame) : undefined),
          onClose: () => {
            if (this.#connection === connection) this.#connection = null
          },
        })
      },
    })
  }

  get isConnected(): boolean {
    return this.#connection !== null
  }

  /** The connection breaks; the server stays. */
  disconnect(): void {
    this.#connection?.destroy()
    this.#connection = null
  }

  answer(received: ReceivedRequest, err = 0, body?: Record<string, unknown>): void {
    this.zxid += 1n
    const { response } = operations[received.name as keyof typeof operations] as Operation<unknown, unknown>
    this.#send({ xid: received.xid, zxid: this.zxid, err }, err === 0 ? response : null, body)
  }

  event(type: number, path: string): void {
    this.#send({ xid: ReservedXid.notification, zxid: -1n, err: 0 }, WatcherEvent, { type, state: 3, path })
  }

  requests(name: string): ReceivedRequest[] {
    return this.received.filter((each) => each.name === name)
  }

  #onFrame(frame: Uint8Array): void {
    if (!this.#greeted) return this.#onConnectRequest(ConnectRequest.decode(new Uint8Array(frame)))
    const reader = new ByteReader(new Uint8Array(frame))
    const { xid, type } = RequestHeader.read(reader)
    const operation = Object.values(operations).find((each) => each.code === type) as Operation<unknown, unknown>
    if (xid === ReservedXid.ping) {
      this.pings += 1
      if (this.answersPings) this.#send({ xid, zxid: this.zxid, err: 0 }, null)
      return
    }
    const received = { xid, name: operation.name, request: operation.request.read(reader) as Record<string, unknown> }
    this.received.push(received)
    const answer = this.onRequest(received)
    if (answer !== undefined) this.answer(received, answer.err, answer.body)
  }

  #onConnectRequest(request: ConnectRequest): void {
    this.handshakes.push(request)
    const verdict = this.onHandshake(request)
    if (verdict === 'silence') return
    this.#greeted = true
    const isNew = request.sessionId === 0n
    if (isNew) this.#lastSession += 1n
    const granted = verdict === 'granted'
    const response = {
      protocolVersion: 0,
      timeOut: granted ? this.sessionTimeoutMs : 0,
      sessionId: granted ? (isNew ? this.#lastSession : request.sessionId) : 0n,
      passwd: new Uint8Array(16).fill(granted ? 7 : 0),
      readOnly: this.readOnly,
    }
    this.#connection?.send([ConnectResponse.encode(response)])
    if (!granted) this.#connection?.close()
  }

  #send(header: ReplyHeader, codec: RecordCodec<never> | RecordCodec<unknown> | null, body?: unknown): void {
    const writer = new ByteWriter()
    ReplyHeader.write(writer, header)
    if (codec !== null && body !== undefined) (codec as RecordCodec<unknown>).write(writer, body)
    this.#connection?.send(writer.chunks())
  }

  get platform(): Platform | null {
    return this.#platform
  }
}
