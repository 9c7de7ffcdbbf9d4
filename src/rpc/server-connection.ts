/**
 * One client's connection: requests start in order, answers leave in order, and both are bounded.
 *
 * A request starts while the frame that it lies in is valid. One that may not start yet is copied and held, and the connection is
 * no longer read until it may: because the former one's effect or answer is still to come, or because the whole server
 * has enough to do. A client that does not read its answers is not read from either: `#net` sees to that.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import type { CloseReason, FramedConnection, FramedHandler } from '#net'
import { ErrorCode, decodeRequestHeader, encodeResponseHeader, type RequestHeader } from '#protocol'
import { ApiVersions } from '#protocol/messages/api-versions'

import { CLOSE_CONNECTION, Deferred, Reply, type Answer, type RpcPeer, type Settled } from './answer.ts'
import type { LogLimiter } from './log-limiter.ts'
import type { RpcHandler } from './server.ts'

/** Pipelined requests of one connection that wait for their answers; clients send 5, at most some hundreds. */
const PIPELINED_MAX = 100

export interface ServerConnectionOwner {
  readonly handlers: ReadonlyMap<number, RpcHandler>
  readonly log: LogLimiter
  /** Until the server is open, requests wait. */
  isOpen(): boolean
  /** Whether the server takes on more; a connection that may not work asks to be called (`proceed`) when it may. */
  mayWork(): boolean
  waitForWork(connection: ServerConnection): void
  onEffectBegins(): void
  onEffectEnds(): void
  onClose(connection: ServerConnection): void
}

/** A request that has started, in its place in the order of answers. */
interface Slot {
  readonly header: RequestHeader
  readonly handler: RpcHandler
  /** Undefined until the handler has made up its mind; null = nothing to send. */
  answer: Uint8Array[] | null | undefined
  release: (() => void) | null
  closeAfterwards: boolean
}

export class ServerConnection implements RpcPeer, FramedHandler {
  readonly id: number
  readonly listenerName: string
  readonly remoteHost: string
  clientSoftwareName = ''
  clientSoftwareVersion = ''

  readonly #owner: ServerConnectionOwner
  readonly #frames: FramedConnection
  /** Started and not answered, in order. */
  readonly #slots: Slot[] = []
  /** Copies of frames that may not start yet. Not empty only while the connection is not read. */
  readonly #held: Uint8Array[] = []
  #isProceeding = false
  #effectsPending = 0
  /** Whether the newest request allows no other beside it. */
  #exclusive = false
  #closed = false

  constructor(owner: ServerConnectionOwner, frames: FramedConnection, id: number, listenerName: string) {
    this.id = id
    this.listenerName = listenerName
    this.remoteHost = frames.remoteHost
    this.#owner = owner
    this.#frames = frames
  }

  /** Starts what is held, as far as it may. */
  proceed(): void {
    if (this.#isProceeding || this.#closed) return
    this.#isProceeding = true
    while (this.#held.length > 0 && this.#mayStart()) this.#start(this.#held.shift()!)
    this.#isProceeding = false
    if (this.#held.length === 0 && !this.#closed) this.#frames.resume()
  }

  onFrame(frame: Uint8Array): void {
    if (this.#held.length === 0 && this.#mayStart()) return this.#start(frame)
    this.#held.push(frame.slice())
    this.#frames.pause()
  }

  #mayStart(): boolean {
    if (this.#closed || this.#effectsPending > 0 || this.#exclusive || !this.#owner.isOpen()) return false
    if (this.#slots.length >= PIPELINED_MAX) return false
    if (this.#owner.mayWork()) return true
    this.#owner.waitForWork(this)
    return false
  }

  #start(frame: Uint8Array): void {
    try {
      const reader = new ByteReader(frame)
      const header = decodeRequestHeader(reader)
      const handler = this.#owner.handlers.get(header.apiKey)
      if (handler === undefined) throw new MalformedBytesError(`API ${header.apiKey} is not served`)
      if (header.apiVersion < handler.minVersion || header.apiVersion > handler.maxVersion)
        return this.#refuseVersion(header, handler)
      const message = handler.api.request.decode(reader, header.apiVersion)
      this.#dispatch(header, handler, message, frame.length)
    } catch (error) {
      this.#fail(error)
    }
  }

  /**
   * A client cannot know before it asked which versions are served, so ApiVersions of an unknown version is answered in version 0,
   * with the range that is (KIP-511). Whoever asks for an unknown version of anything else has not asked.
   */
  #refuseVersion(header: RequestHeader, { api, minVersion, maxVersion }: RpcHandler): void {
    if (api.key !== ApiVersions.key)
      throw new MalformedBytesError(
        `${api.name} ${header.apiVersion} is not served, only ${minVersion} to ${maxVersion}`,
      )
    const refusal = {
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: api.key, minVersion, maxVersion }],
    }
    const slot = this.#take({ ...header, apiVersion: 0 }, this.#owner.handlers.get(api.key)!)
    this.#settle(slot, refusal)
  }

  #dispatch(header: RequestHeader, handler: RpcHandler, message: unknown, sizeInBytes: number): void {
    const slot = this.#take(header, handler)
    try {
      const answer = handler.handle({ ...header, message, sizeInBytes, connection: this })
      if (isPending(answer)) this.#await(slot, answer)
      else this.#settle(slot, answer)
    } catch (error) {
      this.#fail(error, slot)
    }
  }

  #take(header: RequestHeader, handler: RpcHandler): Slot {
    const slot: Slot = { header, handler, answer: undefined, release: null, closeAfterwards: false }
    this.#slots.push(slot)
    this.#exclusive = !handler.pipelined
    return slot
  }

  #await(slot: Slot, answer: Promise<Settled<unknown>> | Deferred<unknown>): void {
    const response = answer instanceof Deferred ? answer.response : answer
    response.then(
      (settled) => this.#settle(slot, settled),
      (error: unknown) => this.#fail(error, slot),
    )
    if (!(answer instanceof Deferred)) return
    this.#effectsPending++
    this.#owner.onEffectBegins()
    const done = (): void => {
      this.#effectsPending--
      this.#owner.onEffectEnds()
      this.proceed()
    }
    // A failed effect fails the response too, which tells of it.
    answer.effect.then(done, done)
  }

  #settle(slot: Slot, settled: Settled<unknown>): void {
    if (this.#closed) {
      if (settled instanceof Reply) settled.release()
      return
    }
    try {
      if (settled === null) slot.answer = null
      else if (settled === CLOSE_CONNECTION) {
        slot.answer = null
        slot.closeAfterwards = true
      } else if (settled instanceof Reply) {
        slot.release = settled.release
        slot.answer = encode(slot, settled.message)
      } else slot.answer = encode(slot, settled)
    } catch (error) {
      return this.#fail(error, slot)
    }
    this.#flush()
  }

  /** Sends what is answered, up to the first that is not. */
  #flush(): void {
    while (this.#slots.length > 0 && this.#slots[0]!.answer !== undefined) {
      const slot = this.#slots.shift()!
      if (slot.answer !== null) this.#frames.send(slot.answer!, slot.release ?? undefined)
      if (slot.closeAfterwards) return this.#frames.close()
    }
    if (this.#slots.length === 0) this.#exclusive = false
    if (this.#held.length > 0) this.proceed()
  }

  /** The client sent what it should not have, or we made a fault: either way the connection cannot go on. */
  #fail(error: unknown, slot?: Slot): void {
    if (this.#closed) return
    const what = slot === undefined ? '' : ` (${slot.handler.api.name} ${slot.header.apiVersion})`
    const from = `connection from ${this.remoteHost} on ${this.listenerName}${what}`
    if (error instanceof MalformedBytesError) this.#owner.log.warn(`${from} closed: ${error.message}`)
    else this.#owner.log.error(`${from} closed: the request failed`, error)
    this.#frames.destroy()
  }

  onClose({ kind, error }: CloseReason): void {
    this.#closed = true
    if (kind === 'frame')
      this.#owner.log.warn(`connection from ${this.remoteHost} on ${this.listenerName} closed: ${error?.message}`)
    for (const slot of this.#slots) slot.release?.()
    this.#slots.length = 0
    this.#held.length = 0
    this.#owner.onClose(this)
  }
}

function isPending(answer: Answer<unknown>): answer is Promise<Settled<unknown>> | Deferred<unknown> {
  return answer instanceof Promise || answer instanceof Deferred
}

function encode({ header, handler }: Slot, message: unknown): Uint8Array[] {
  const writer = new ByteWriter()
  encodeResponseHeader(writer, header.apiKey, header.apiVersion, header.correlationId)
  handler.api.response.encode(writer, message, header.apiVersion)
  return writer.chunks()
}
