/**
 * The HTTP commands that move the whole tree. `snapshot` writes one and streams it; `restore`, which would replace the data of a
 * running server, answers as Apache's does where it is switched off. Who asks must hold every permission on the root.
 * Source: Commands.SnapshotCommand, RestoreCommand.
 */
import type { HttpRequest, HttpResponse, Platform } from '#platform'
import { Perms, type Id, hexLong } from '#zookeeper/protocol'
import type { DatedFile } from '#zookeeper/persistence'
import { permits } from '#zookeeper/tree'

import type { Security } from '../security.ts'
import { jsonResponse } from './http.ts'
import { NOT_SERVING, type AdminView } from './view.ts'

export const SNAPSHOT_NAMES: readonly string[] = ['snapshot', 'snap']
export const RESTORE_NAMES: readonly string[] = ['restore', 'rest']

const PIECE_BYTES = 1 << 16
const ALL_PERMS = [Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN]

export interface SnapshotSource {
  readonly security: Security
  /** Null when it cannot be written. */
  takeSnapshot(): Promise<DatedFile | null>
}

export class SnapshotCommand {
  readonly #platform: Platform
  readonly #view: AdminView
  readonly #source: SnapshotSource
  #allowedAtMs = -Infinity

  constructor(platform: Platform, view: AdminView, source: SnapshotSource) {
    this.#platform = platform
    this.#view = view
    this.#source = source
  }

  async take(request: HttpRequest): Promise<HttpResponse> {
    const { config, metrics } = this.#view
    const refusal = this.#refusalOf('snapshot', request)
    if (refusal !== null) return refusal
    if (!config.adminSnapshot) return jsonResponse('snapshot', {}, 503)
    const nowMs = this.#platform.clock.monotonic()
    if (nowMs < this.#allowedAtMs) {
      metrics.snapshotsRateLimited.add()
      return jsonResponse('snapshot', {}, 429)
    }
    this.#allowedAtMs = nowMs + config.adminRateLimiterIntervalMs / INTERVAL_DIVISOR
    const written = await this.#source.takeSnapshot()
    if (written === null) return jsonResponse('snapshot', {}, 500)
    const size = this.#platform.files.stat(written.path).size
    const headers = { last_zxid: hexLong(written.zxid), snapshot_size: String(size) }
    if (request.query.get('streaming') === 'false') return { ...jsonResponse('snapshot', {}), headers }
    return {
      status: 200,
      headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body: piecesOf(this.#platform, written.path),
    }
  }

  refuseRestore(request: HttpRequest): HttpResponse {
    return this.#refusalOf('restore', request) ?? jsonResponse('restore', {}, 503)
  }

  #refusalOf(command: string, request: HttpRequest): HttpResponse | null {
    if (this.#view.role === null) return jsonResponse(command, { error: NOT_SERVING })
    const text = request.header('authorization')
    if (text === null) return jsonResponse(command, { error: 'Auth info is missing for the command' }, 401)
    const ids = this.#idsOf(text, request.remoteHost)
    if (ids === null) return jsonResponse(command, { error: 'Not authenticated' }, 401)
    return this.#mayDoAll(ids) ? null : jsonResponse(command, { error: 'Not authorized' }, 403)
  }

  /** `digest user:password`, or `ip`; null where that proves nothing. */
  #idsOf(text: string, remoteHost: string): readonly Id[] | null {
    const [scheme = '', auth = '', ...more] = text.split(' ')
    if (more.length > 0) return null
    const authentication = this.#source.security.authenticationOf(remoteHost.replace(/^::ffff:/, ''), null)
    if (!authentication.prove(scheme, new TextEncoder().encode(auth))) return null
    return authentication.ids
  }

  #mayDoAll(ids: readonly Id[]): boolean {
    const { config, tree } = this.#view
    const { acl } = tree.find('/')!
    const { aclRules } = this.#source.security
    return config.skipAcl || ALL_PERMS.every((perm) => permits(acl, perm, ids, aclRules))
  }
}

/** Apache's server takes the configured ms for µs where it limits snapshots: five minutes are 0.3 s, and scripts rely on it. */
const INTERVAL_DIVISOR = 1000

/** The file stays readable to the end, also when it is purged meanwhile. */
async function* piecesOf({ files }: Platform, path: string): AsyncGenerator<Uint8Array> {
  const file = files.open(path, 'read')
  try {
    for (let position = 0; ;) {
      const piece = new Uint8Array(PIECE_BYTES)
      const count = await file.readBehind(piece, position)
      if (count === 0) return
      position += count
      yield piece.subarray(0, count)
    }
  } finally {
    file.close()
  }
}
