/** What the HTTP admin server and the metrics share. */
import type { HttpListenOptions, HttpListener, HttpResponse, Platform } from '#platform'

import type { Fields } from './commands.ts'
import { writeJson } from './json.ts'

/** No command has one. */
const BODY_BYTES_MAX = 64 * 1024
/** People and a few collectors. */
const CONNECTIONS_MAX = 100

/** `null` where what is asked for cannot be opened: a server must not stay away because someone else has the port. */
export async function listenOrGoOn(
  platform: Platform,
  what: string,
  options: Omit<HttpListenOptions, 'bodyBytesMax' | 'connectionsMax'>,
): Promise<HttpListener | null> {
  try {
    return await platform.http.listen({
      ...options,
      bodyBytesMax: BODY_BYTES_MAX,
      connectionsMax: CONNECTIONS_MAX,
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    platform.logger.warn(
      `${what} cannot listen on ${options.host}:${options.port}: ${reason}; the server goes on without`,
    )
    return null
  }
}

/** As Apache's: the fields of the command, its name, and the error or null. */
export function jsonResponse(command: string, fields: Fields, status = 200): HttpResponse {
  const body = writeJson({ ...fields, command, error: fields['error'] ?? null })
  return { status, headers: { 'content-type': 'application/json' }, body }
}
