import { ByteReader, ByteWriter } from '#base'
import type { Platform, Socket } from '#platform'
import { decodeResponseHeader, encodeRequestHeader, type Api } from '#protocol'

/** No answer came, and nobody knows whether the request was carried out. */
export class NoAnswerError extends Error {
  override name = 'NoAnswerError'
}

interface Asked {
  readonly correlationId: number
  answer(frame: Uint8Array): void
  fail(error: NoAnswerError): void
}

const LENGTH_BYTES = 4

/**
 * The workload's own connection to a broker: as plain as can be, and without a line of `rpc` or `net`, so
 * that a fault in them is not mirrored here. Answers come in the order of the requests.
 */
export class PlainConnection {
  readonly #platform: Platform
  readonly #socket: Socket
  readonly #clientId: string
  readonly #asked: Asked[] = []
  #received = new Uint8Array(0)
  #correlationId = 0
  #closed = false

  static async open(platform: Platform, host: string, port: number, clientId: string): Promise<PlainConnection> {
    const socket = await platform.network.connect({ host, port, timeoutMs: CONNECT_TIMEOUT_MS })
    return new PlainConnection(platform, socket, clientId)
  }

  private constructor(platform: Platform, socket: Socket, clientId: string) {
    this.#platform = platform
    this.#socket = socket
    this.#clientId = clientId
    socket.start({
      onBytes: (bytes) => this.#onBytes(bytes),
      onDrain() {},
      onClose: () => this.#fail('the connection is closed'),
    })
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Rejects with `NoAnswerError`; after a timeout the connection is closed too. */
  ask<RequestOut, RequestIn, ResponseOut>(
    api: Api<RequestOut, RequestIn, ResponseOut, unknown>,
    version: number,
    request: RequestIn,
    timeoutMs: number,
  ): Promise<ResponseOut> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new NoAnswerError('the connection is closed'))
      const correlationId = this.#correlationId++
      const timer = this.#platform.clock.setTimer(timeoutMs, () => this.#fail(`${api.name} was not answered`))
      this.#asked.push({
        correlationId,
        answer(frame) {
          timer.cancel()
          const reader = new ByteReader(frame)
          const header = decodeResponseHeader(reader, api.key, version)
          if (header.correlationId !== correlationId) throw new Error('an answer to another request')
          resolve(api.response.decodeWhole(reader, version))
        },
        fail(error) {
          timer.cancel()
          reject(error)
        },
      })
      const writer = new ByteWriter()
      writer.int32(0)
      encodeRequestHeader(writer, { apiKey: api.key, apiVersion: version, correlationId, clientId: this.#clientId })
      api.request.encode(writer, request, version)
      const frame = writer.toBytes()
      new DataView(frame.buffer, frame.byteOffset).setInt32(0, frame.length - LENGTH_BYTES)
      this.#socket.write([frame])
    })
  }

  close(): void {
    this.#fail('the client closed the connection')
  }

  #onBytes(bytes: Uint8Array): void {
    const received = new Uint8Array(this.#received.length + bytes.length)
    received.set(this.#received)
    received.set(bytes, this.#received.length)
    const view = new DataView(received.buffer)
    let at = 0
    while (received.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + view.getInt32(at)
      if (end > received.length) break
      const asked = this.#asked.shift()
      if (asked === undefined) throw new Error('an answer that nobody asked for')
      asked.answer(received.slice(at + LENGTH_BYTES, end))
      at = end
    }
    this.#received = received.slice(at)
  }

  #fail(why: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.destroy()
    for (const asked of this.#asked.splice(0)) asked.fail(new NoAnswerError(why))
  }
}

const CONNECT_TIMEOUT_MS = 2000
