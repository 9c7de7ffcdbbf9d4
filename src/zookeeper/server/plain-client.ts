/** A client for the tests of this room: it speaks the protocol, keeps its connection, and knows nothing more. */
import { ByteReader, ByteWriter, assert } from '#base'
import { FramedConnection } from '#net'
import type { Platform } from '#platform'
import {
  ConnectRequest,
  ConnectResponse,
  ReplyHeader,
  ReservedXid,
  WatcherEvent,
  operations,
  zkErrorName,
  type OperationName,
  type RequestOf,
  type ResponseOf,
} from '#zookeeper/protocol'

export interface Answer<T> {
  zxid: bigint
  /** `OK`, or the name of the error. */
  err: string
  /** null where there is an error. */
  body: T | null
}

export class PlainClient {
  readonly #connection: FramedConnection
  readonly #waiting: ((reader: ByteReader, header: ReplyHeader) => void)[] = []
  #onFirst: ((frame: Uint8Array) => void) | null = null
  #onClosed: () => void = () => {}
  #xid = 0
  welcome: ConnectResponse | null = null
  readonly events: string[] = []
  closed = false
  readonly #ended = Promise.withResolvers<void>()

  private constructor(connection: FramedConnection) {
    this.#connection = connection
    connection.start({
      onFrame: (frame) => this.#onFrame(frame),
      onClose: () => {
        this.closed = true
        this.#ended.resolve()
        this.#onClosed()
      },
    })
  }

  /** Resolves when the connection is gone. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Resolves with the server's answer, or when it closes the connection without one. */
  static async connect(
    platform: Platform,
    port: number,
    { host = 'server', ...options }: Partial<ConnectRequest> & { host?: string } = {},
  ): Promise<PlainClient> {
    const socket = await platform.network.connect({ host, port, timeoutMs: 5000 })
    const client = new PlainClient(new FramedConnection(platform, socket, { maxFrameBytes: 1 << 24 }))
    await new Promise<void>((resolve) => {
      client.#onClosed = resolve
      client.#onFirst = (frame) => {
        client.welcome = ConnectResponse.decode(frame.slice())
        resolve()
      }
      const request = {
        protocolVersion: 0,
        lastZxidSeen: 0n,
        timeOut: 6000,
        sessionId: 0n,
        passwd: new Uint8Array(16),
        readOnly: false,
      }
      client.#connection.send([ConnectRequest.encode({ ...request, ...options })])
    })
    return client
  }

  /** Bytes as they are, framed. Their answer, if any, is passed over. */
  sendFrame(bytes: Uint8Array): void {
    this.#waiting.push(() => {})
    this.#connection.send([bytes])
  }

  ask<Name extends OperationName>(
    name: Name,
    request: RequestOf<Name>,
    xid = ++this.#xid,
  ): Promise<Answer<ResponseOf<Name>>> {
    const { code, request: codec, response } = operations[name]
    const writer = new ByteWriter()
    writer.int32(xid)
    writer.int32(code)
    codec.write(writer, request as never)
    this.#connection.send(writer.chunks())
    return new Promise((resolve, reject) => {
      this.#onClosed = () => reject(new Error('the server closed the connection'))
      this.#waiting.push((reader, header) => {
        assert(header.xid === xid, `answer ${header.xid} came where ${xid} was due`)
        const body = header.err === 0 ? (response.read(reader) as ResponseOf<Name>) : null
        resolve({ zxid: header.zxid, err: zkErrorName(header.err), body })
      })
    })
  }

  /** Closes the connection and leaves the session. */
  leave(): void {
    this.#connection.close()
  }

  #onFrame(frame: Uint8Array): void {
    const first = this.#onFirst
    this.#onFirst = null
    if (first !== null) return first(frame)
    const reader = new ByteReader(frame.slice())
    const header = ReplyHeader.read(reader)
    if (header.xid === ReservedXid.notification) {
      const { type, path } = WatcherEvent.read(reader)
      this.events.push(`${type} ${path}`)
    } else this.#waiting.shift()?.(reader, header)
  }
}
