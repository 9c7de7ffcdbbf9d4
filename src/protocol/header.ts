/**
 * What lies before each request and response.
 *
 *     request  v0: apiKey int16, apiVersion int16, correlationId int32
 *              v1: … clientId nullable string
 *              v2: … tag section
 *     response v0: correlationId int32
 *              v1: … tag section
 *
 * Which version applies follows from the API's own version, with two exceptions. They are here, not in the schema:
 * - ControlledShutdown v0 comes from before there was a client id: request header v0.
 * - An ApiVersions response always has header v0, so that a client can read the answer to a version that the
 *   broker does not know (KIP-511). Its request's client id keeps the old int16 length for the same reason.
 */
import { type ByteReader, type ByteWriter, MalformedBytesError } from '#base'

import { ApiKey, apiByKey } from './apis.ts'
import { int16, int32, string } from './field.ts'
import { message } from './message.ts'

export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  /** Chosen by the client; the response carries it back. */
  readonly correlationId: number
  /** What the client calls itself, for logs and quotas. */
  readonly clientId: string | null
}

export interface ResponseHeader {
  readonly correlationId: number
}

export const RequestHeaderMessage = message({
  name: 'Request header',
  versions: [0, 2],
  flexibleSince: 2,
  fields: {
    apiKey: int16,
    apiVersion: int16,
    correlationId: int32,
    clientId: string.since(1).nullable().default(null).ignorable.inflexible,
  },
})

export const ResponseHeaderMessage = message({
  name: 'Response header',
  versions: [0, 1],
  flexibleSince: 1,
  fields: { correlationId: int32 },
})

export function encodeRequestHeader(writer: ByteWriter, header: RequestHeader): void {
  RequestHeaderMessage.encode(writer, header, requestHeaderVersion(header.apiKey, header.apiVersion))
}

/**
 * Throws `MalformedBytesError` for an API that does not exist: without it nobody knows where the header ends.
 * A version that does not exist is left to the caller; its header is taken to be that of the nearest known one.
 */
export function decodeRequestHeader(reader: ByteReader): RequestHeader {
  const start = reader.take(4)
  const apiKey = reader.view.getInt16(start)
  const apiVersion = reader.view.getInt16(start + 2)
  reader.position = start
  return RequestHeaderMessage.decode(reader, requestHeaderVersion(apiKey, apiVersion))
}

export function encodeResponseHeader(
  writer: ByteWriter,
  apiKey: number,
  apiVersion: number,
  correlationId: number,
): void {
  ResponseHeaderMessage.encode(writer, { correlationId }, responseHeaderVersion(apiKey, apiVersion))
}

export function decodeResponseHeader(reader: ByteReader, apiKey: number, apiVersion: number): ResponseHeader {
  return ResponseHeaderMessage.decode(reader, responseHeaderVersion(apiKey, apiVersion))
}

export function requestHeaderVersion(apiKey: number, apiVersion: number): 0 | 1 | 2 {
  if (apiKey === ApiKey.ControlledShutdown && apiVersion === 0) return 0
  return isFlexible(apiKey, apiVersion) ? 2 : 1
}

export function responseHeaderVersion(apiKey: number, apiVersion: number): 0 | 1 {
  if (apiKey === ApiKey.ApiVersions) return 0
  return isFlexible(apiKey, apiVersion) ? 1 : 0
}

function isFlexible(apiKey: number, apiVersion: number): boolean {
  const info = apiByKey(apiKey)
  if (info === undefined) throw new MalformedBytesError(`there is no API ${apiKey}`)
  return apiVersion >= info.flexibleSince
}
