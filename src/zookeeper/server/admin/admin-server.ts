/**
 * The HTTP admin server: `GET /commands` lists the commands, `GET /commands/NAME` carries one out and answers in JSON with `command`,
 * `error` and its own fields. Source: JettyAdminServer, Commands, CommandResponse.
 */
import type { HttpListener, HttpRequest, HttpResponse, Platform } from '#platform'

import { COMMAND_NAMES, commandNamed } from './commands.ts'
import { jsonResponse, listenOrGoOn } from './http.ts'
import { RESTORE_NAMES, SNAPSHOT_NAMES, SnapshotCommand, type SnapshotSource } from './snapshot.ts'
import { NOT_SERVING, type AdminView } from './view.ts'

export class AdminServer {
  readonly #view: AdminView
  readonly #snapshot: SnapshotCommand

  /** Null where the port cannot be had: then it is logged, and the server goes on without. */
  static async open(platform: Platform, view: AdminView, source: SnapshotSource): Promise<HttpListener | null> {
    const { adminServerAddress: host, adminServerPort: port, adminIdleTimeoutMs, adminCommandUrl } = view.config
    const server = new AdminServer(platform, view, source)
    const listener = await listenOrGoOn(platform, 'the admin server', {
      host,
      port,
      idleTimeoutMs: adminIdleTimeoutMs,
      onRequest: (request) => server.#answer(request),
    })
    if (listener !== null)
      platform.logger.info(`admin commands are at http://${listener.host}:${listener.port}${adminCommandUrl}`)
    return listener
  }

  private constructor(platform: Platform, view: AdminView, source: SnapshotSource) {
    this.#view = view
    this.#snapshot = new SnapshotCommand(platform, view, source)
  }

  #answer(request: HttpRequest): HttpResponse | Promise<HttpResponse> {
    const { method, path } = request
    const { adminCommandUrl } = this.#view.config
    if (path !== adminCommandUrl && !path.startsWith(`${adminCommandUrl}/`)) return { status: 404, body: '' }
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return { status: 405, body: '' }
    const name = path.slice(adminCommandUrl.length + 1)
    if (name === '') return list(adminCommandUrl)
    if (SNAPSHOT_NAMES.includes(name) && method !== 'POST') return this.#snapshot.take(request)
    if (RESTORE_NAMES.includes(name)) return this.#snapshot.refuseRestore(request)
    return this.#run(name, method, request.query)
  }

  #run(name: string, method: string, query: ReadonlyMap<string, string>): HttpResponse {
    const command = commandNamed(name)
    if (command === null) return jsonResponse(name, { error: `Unknown command: ${name}` })
    const [primary] = command.names
    if (method === 'POST') return jsonResponse(primary, { error: `${primary} is asked for with GET` }, 405)
    if (this.#view.role === null && command.always === undefined) return jsonResponse(name, { error: NOT_SERVING })
    return jsonResponse(primary, command.run(this.#view, query))
  }
}

function list(url: string): HttpResponse {
  const names = [...COMMAND_NAMES, SNAPSHOT_NAMES[0]!, RESTORE_NAMES[0]!].sort()
  const body = names.map((name) => `<a href="${url}/${name}">${name}</a>\n<br/>\n`).join('')
  return { status: 200, headers: { 'content-type': 'text/html;charset=utf-8' }, body }
}
