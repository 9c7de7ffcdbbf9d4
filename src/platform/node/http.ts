import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import {
  NetworkError,
  type Http,
  type HttpListenOptions,
  type HttpListener,
  type HttpRequest,
  type Logger,
} from '#platform'

import { networkError } from './socket.ts'

/** Of a request's line and headers together. */
const HEADER_BYTES_MAX = 16 * 1024

/** Node's HTTP is loaded when the first one listens: most processes never need it. */
export class NodeHttp implements Http {
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  listen(options: HttpListenOptions): Promise<HttpListener> {
    const { idleTimeoutMs } = options
    const http = process.getBuiltinModule('node:http')
    const server = http.createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: idleTimeoutMs,
        requestTimeout: idleTimeoutMs,
        keepAliveTimeout: idleTimeoutMs,
        connectionsCheckingInterval: Math.min(idleTimeoutMs, 5000),
      },
      (request, response) => {
        void this.#serve(options, request, response)
      },
    )
    server.timeout = idleTimeoutMs
    server.maxConnections = options.connectionsMax
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(networkError(error))
      server.once('error', refuse)
      server.listen({ host: options.host, port: options.port, exclusive: true }, () => {
        server.removeListener('error', refuse)
        server.on('error', (error) => this.#logger.error(`HTTP on port ${options.port} fails`, error))
        resolve(new NodeHttpListener(server))
      })
    })
  }

  async #serve(options: HttpListenOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await bodyOf(request, options.bodyBytesMax)
      if (body === null) return endWith(response, 413)
      const url = urlOf(request)
      if (url === null) return endWith(response, 400)
      const answer = await options.onRequest(requestOf(request, url, body))
      response.writeHead(answer.status, answer.headers)
      if (typeof answer.body === 'string') response.end(answer.body)
      else await send(answer.body, request, response)
    } catch (error) {
      if (error instanceof NetworkError) return
      this.#logger.error(`${request.method} ${request.url} failed`, error)
      if (response.headersSent) response.destroy()
      else endWith(response, 500)
    }
  }
}

class NodeHttpListener implements HttpListener {
  readonly host: string
  readonly port: number
  readonly #server: Server

  constructor(server: Server) {
    const address = server.address() as AddressInfo
    this.host = address.address
    this.port = address.port
    this.#server = server
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }
}

/** Null: it is longer than allowed. Rejects when the client goes away. */
async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Uint8Array | null> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return null
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of request) {
      chunks.push(chunk as Uint8Array)
      bytes += (chunk as Uint8Array).length
      if (bytes > bytesMax) return null
    }
  } catch (error) {
    throw networkError(error as Error)
  }
  return Buffer.concat(chunks)
}

function urlOf(request: IncomingMessage): { path: string; query: URLSearchParams } | null {
  const url = URL.parse(request.url ?? '', 'http://host')
  if (url === null) return null
  try {
    return { path: decodeURIComponent(url.pathname), query: url.searchParams }
  } catch {
    return null
  }
}

function requestOf(
  request: IncomingMessage,
  { path, query }: { path: string; query: URLSearchParams },
  body: Uint8Array,
): HttpRequest {
  const first = new Map<string, string>()
  for (const [name, value] of query) if (!first.has(name)) first.set(name, value)
  return {
    method: request.method ?? 'GET',
    path,
    query: first,
    remoteHost: request.socket.remoteAddress ?? '',
    body,
    header: (name) => {
      const value = request.headers[name.toLowerCase()]
      return (Array.isArray(value) ? value[0] : value) ?? null
    },
  }
}

/** One piece at a time is in memory; a client that takes none is lost to the idle timeout. */
async function send(
  body: AsyncIterable<Uint8Array>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === 'HEAD') return void response.end()
  const gone = new Promise<'gone'>((resolve) => response.once('close', () => resolve('gone')))
  for await (const chunk of body) {
    if (response.destroyed) return
    if (response.write(chunk)) continue
    const drained = new Promise<'drained'>((resolve) => response.once('drain', () => resolve('drained')))
    if ((await Promise.race([drained, gone])) === 'gone') return
  }
  response.end()
}

function endWith(response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: 'close', 'content-length': '0' }).end()
}
