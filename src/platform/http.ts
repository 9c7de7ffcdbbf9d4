/**
 * A small HTTP server, as a port: for people and for what watches the house. No data goes this way.
 */
import { NetworkError } from './network.ts'

export interface Http {
  /** Resolves when it listens; rejects with `NetworkError` (`EADDRINUSE`, …). Port 0 picks a free one. */
  listen(options: HttpListenOptions): Promise<HttpListener>
}

export interface HttpListenOptions {
  readonly host: string
  readonly port: number
  /** A connection on which nothing moves for so long is closed, and a request must have come whole by then; in ms. */
  readonly idleTimeoutMs: number
  /** A request with a longer body is refused (413) before it is read on. */
  readonly bodyBytesMax: number
  /** Further connections are closed at once. */
  readonly connectionsMax: number
  /** Called for each request that has come whole. What it throws is logged, and answered with 500. */
  onRequest(request: HttpRequest): HttpResponse | Promise<HttpResponse>
}

export interface HttpListener {
  readonly host: string
  readonly port: number
  /** Ends connections, too; resolves when the port is free. */
  close(): Promise<void>
}

export interface HttpRequest {
  readonly method: string
  /** Decoded, without the query; begins with `/`. */
  readonly path: string
  /** Of a name that comes several times, the first value. */
  readonly query: ReadonlyMap<string, string>
  readonly remoteHost: string
  readonly body: Uint8Array
  /** Null where the request has none of that name; whatever its case. */
  header(name: string): string | null
}

export interface HttpResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** What is long comes in pieces, as fast as the client takes them; when it goes away, the iteration is ended (`return`). */
  readonly body: string | AsyncIterable<Uint8Array>
}

/** A world without HTTP: who asks for it is refused. */
export const noHttp: Http = {
  listen: () => Promise.reject(new NetworkError('EOPNOTSUPP', 'there is no HTTP in this world')),
}
