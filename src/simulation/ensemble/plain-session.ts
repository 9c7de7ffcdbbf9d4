/**
 * A ZooKeeper session over one connection after the other, written from the protocol's description. Shares only the
 * records of the wire with the client of the house, so that a fault of that one is not one of the judge's.
 * It tells the recorder whatever it sees, in the order in which it sees it.
 */
import { ByteReader, ByteWriter } from '#base'
import { sleep, type Platform, type Socket, type Timer } from '#platform'
import {
  ConnectRequest,
  ConnectResponse,
  OpCode,
  ReplyHeader,
  ReservedXid,
  WatchEventType,
  WatcherEvent,
  ZkErrorCode,
  operations,
} from '#zookeeper/protocol'

import { Frames } from '../frames.ts'
import {
  isOfWatches,
  isRead,
  type Operation,
  type Person,
  type ReadRequest,
  type Request,
  type Session,
  type WatchRequest,
} from './history.ts'
import { OK, hex, readOutcome } from './outcome.ts'
import { PASSWORDS } from './permissions.ts'
import type { Recorder } from './recorder.ts'
import { writeRequest } from './wire-requests.ts'

export interface PlainSessionOptions {
  readonly client: string
  readonly servers: readonly string[]
  readonly port: number
  /** Whom it shows to be on each connection; null for nobody. */
  readonly person: Person | null
  readonly timeoutMs: number
}

const CONNECT_TIMEOUT_MS = 300
const RECONNECT_PAUSE_MS = 60
const LENGTH_BYTES = 4

interface Asked {
  readonly operation: Operation
  readonly resolve: (operation: Operation) => void
}

export class PlainSession {
  readonly #platform: Platform
  readonly #options: PlainSessionOptions
  readonly #recorder: Recorder
  #record: Session | null = null
  #passwd: Uint8Array = new Uint8Array(16)
  #timeoutMs: number
  #socket: Socket | null = null
  #server = ''
  #state: 'connecting' | 'open' | 'ended' = 'connecting'
  #frames = new Frames()
  #xid = 0
  #lastZxid = 0n
  /** In the order in which they were sent. */
  #asked: Asked[] = []
  #lastHeardMs = 0
  #lastSentMs = 0
  #ticker: Timer | null = null
  #onOpen: (() => void)[] = []
  readonly #dataWatches = new Set<string>()
  /** Of data watches those that wait for a creation. */
  readonly #existWatches = new Set<string>()
  readonly #childWatches = new Set<string>()
  readonly #persistentWatches = new Set<string>()
  readonly #recursiveWatches = new Set<string>()
  /** The watches on missing znodes that the connection set again at its beginning. */
  #rewatched: readonly string[] = []

  constructor(platform: Platform, options: PlainSessionOptions, recorder: Recorder) {
    this.#platform = platform
    this.#options = options
    this.#recorder = recorder
    this.#timeoutMs = options.timeoutMs
    void this.#stayConnected()
    this.#tick()
  }

  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get server(): string {
    return this.#server
  }

  /** 0 before the session exists. */
  get id(): bigint {
    return this.#record?.id ?? 0n
  }

  /** Paths, some of them more than once. */
  get watched(): readonly string[] {
    return [...this.#dataWatches, ...this.#childWatches, ...this.#persistentWatches, ...this.#recursiveWatches]
  }

  /** Resolves when there is a connection, or when the session has ended. */
  async opened(): Promise<void> {
    if (this.#state === 'connecting') await new Promise<void>((resolve) => this.#onOpen.push(resolve))
  }

  /** To be called while it is open. Resolves with the answer, or without one when the connection is lost. */
  submit(request: Request): Promise<Operation> {
    const nowMs = this.#platform.clock.monotonic()
    const operation = this.#recorder.invoked(this.#record!, ++this.#xid, request, this.#server, nowMs)
    const writer = new ByteWriter()
    writer.int32(operation.xid)
    writeRequest(writer, request)
    this.#send(writer)
    return new Promise((resolve) => this.#asked.push({ operation, resolve }))
  }

  /** Goes to another server. */
  move(): void {
    this.#disconnect()
  }

  #send(writer: ByteWriter): void {
    this.#lastSentMs = this.#platform.clock.monotonic()
    const body = writer.toBytes()
    const frame = new Uint8Array(LENGTH_BYTES + body.length)
    new DataView(frame.buffer).setInt32(0, body.length)
    frame.set(body, LENGTH_BYTES)
    this.#socket!.write([frame])
  }

  /** Server after server, in an order of its own, until the session ends. */
  async #stayConnected(): Promise<void> {
    const { random, clock } = this.#platform
    const { servers } = this.#options
    let next = random.below(servers.length)
    while (this.#state !== 'ended') {
      if (this.#socket === null) {
        next = (next + 1 + random.below(Math.max(1, servers.length - 1))) % servers.length
        await this.#connect(servers[next]!)
      }
      await sleep(clock, RECONNECT_PAUSE_MS * (0.5 + random.next()))
    }
  }

  async #connect(server: string): Promise<void> {
    const { port } = this.#options
    let socket: Socket
    try {
      socket = await this.#platform.network.connect({ host: server, port, timeoutMs: CONNECT_TIMEOUT_MS })
    } catch {
      return
    }
    this.#socket = socket
    this.#server = server
    this.#frames = new Frames()
    this.#state = 'connecting'
    this.#lastHeardMs = this.#platform.clock.monotonic()
    socket.start({
      onBytes: (bytes) => this.#onBytes(socket, bytes),
      onDrain() {},
      onClose: () => {
        if (this.#socket === socket) this.#disconnect()
      },
    })
    const writer = new ByteWriter()
    ConnectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen: this.#lastZxid,
      timeOut: this.#options.timeoutMs,
      sessionId: this.id,
      passwd: this.#passwd,
      readOnly: false,
    })
    this.#send(writer)
  }

  /** What is in flight stays without an answer. */
  #disconnect(): void {
    const wasOpen = this.#state === 'open'
    if (this.#state !== 'ended') this.#state = 'connecting'
    this.#socket?.destroy()
    this.#socket = null
    if (wasOpen) this.#record!.events.push({ kind: 'disconnected', atMs: this.#platform.clock.monotonic() })
    for (const { operation, resolve } of this.#asked.splice(0)) resolve(operation)
  }

  #end(how: 'expired' | 'closed'): void {
    this.#record?.events.push({ kind: 'ended', atMs: this.#platform.clock.monotonic(), how })
    this.#state = 'ended'
    this.#ticker?.cancel()
    this.#disconnect()
    this.#tellOpen()
  }

  #tellOpen(): void {
    for (const resolve of this.#onOpen.splice(0)) resolve()
  }

  /** Pings when idle, and gives a silent server up. */
  #tick(): void {
    const everyMs = this.#timeoutMs / 6
    this.#ticker = this.#platform.clock.setTimer(everyMs, () => {
      if (this.#state === 'ended') return
      const nowMs = this.#platform.clock.monotonic()
      if (this.#socket !== null && nowMs - this.#lastHeardMs > (this.#timeoutMs * 2) / 3) this.#disconnect()
      else if (this.#state === 'open' && nowMs - this.#lastSentMs > this.#timeoutMs / 3) this.#ping()
      this.#tick()
    })
  }

  #ping(): void {
    const writer = new ByteWriter()
    writer.int32(ReservedXid.ping)
    writer.int32(OpCode.ping)
    this.#send(writer)
  }

  #onBytes(socket: Socket, bytes: Uint8Array): void {
    if (this.#socket !== socket) return
    this.#lastHeardMs = this.#platform.clock.monotonic()
    for (const frame of this.#frames.add(bytes)) {
      if (this.#socket !== socket) return
      if (this.#state === 'open') this.#onFrame(new ByteReader(frame))
      else this.#onWelcome(ConnectResponse.decode(frame))
    }
  }

  #onWelcome({ timeOut, sessionId, passwd }: ConnectResponse): void {
    const nowMs = this.#platform.clock.monotonic()
    if (timeOut === 0) {
      if (this.#record === null) return this.#disconnect()
      return this.#end('expired')
    }
    if (this.#record === null) {
      this.#record = this.#recorder.sessionBegins(sessionId, this.#options.client, this.#options.person, timeOut)
      this.#passwd = passwd!.slice()
      this.#timeoutMs = timeOut
    } else if (sessionId !== this.#record.id)
      this.#recorder.faults.push(`${this.#server} gave session ${hex(sessionId)} to ${hex(this.#record.id)}`)
    this.#record.events.push({ kind: 'connected', atMs: nowMs, server: this.#server })
    this.#state = 'open'
    this.#authenticate()
    this.#setWatchesAgain()
    this.#tellOpen()
  }

  #authenticate(): void {
    const { person } = this.#options
    if (person === null) return
    const writer = new ByteWriter()
    writer.int32(ReservedXid.auth)
    writer.int32(OpCode.auth)
    const auth = new TextEncoder().encode(`${person}:${PASSWORDS[person]}`)
    operations.auth.request.write(writer, { type: 0, scheme: 'digest', auth })
    this.#send(writer)
  }

  #setWatchesAgain(): void {
    this.#rewatched = [...this.#existWatches]
    if (this.watched.length === 0) return
    const watches = {
      relativeZxid: this.#lastZxid,
      dataWatches: [...this.#dataWatches].filter((path) => !this.#existWatches.has(path)),
      existWatches: [...this.#existWatches],
      childWatches: [...this.#childWatches],
      persistentWatches: [...this.#persistentWatches],
      persistentRecursiveWatches: [...this.#recursiveWatches],
    }
    const hasPersistent = this.#persistentWatches.size + this.#recursiveWatches.size > 0
    const operation = hasPersistent ? operations.setWatches2 : operations.setWatches
    const writer = new ByteWriter()
    writer.int32(ReservedXid.setWatches)
    writer.int32(operation.code)
    operation.request.write(writer, watches)
    this.#send(writer)
  }

  #onFrame(reader: ByteReader): void {
    const { xid, zxid, err } = ReplyHeader.read(reader)
    if (xid === ReservedXid.notification) return this.#onNotified(WatcherEvent.read(reader), zxid)
    if (zxid > this.#lastZxid) this.#lastZxid = zxid
    if (xid === ReservedXid.ping) return void this.#record!.events.push({ kind: 'pong', zxid })
    if (xid === ReservedXid.auth) {
      if (err !== OK) this.#recorder.faults.push(`${this.#server} refused a password: ${err}`)
      return
    }
    if (xid === ReservedXid.setWatches) {
      this.#record!.events.push({
        kind: 'rewatched',
        zxid,
        existing: this.#rewatched,
        // Nothing is added or removed before the answer to the first request after this one.
        persistent: [...this.#persistentWatches],
        recursive: [...this.#recursiveWatches],
      })
      return
    }
    this.#onAnswer(xid, zxid, err, reader)
  }

  #onAnswer(xid: number, zxid: bigint, err: number, reader: ByteReader): void {
    const asked = this.#asked.shift()
    if (asked?.operation.xid !== xid) {
      this.#recorder.faults.push(`${this.#server} answered request ${xid} where ${asked?.operation.xid} was due`)
      return this.#disconnect()
    }
    const { operation, resolve } = asked
    const { request } = operation
    const text = err === OK ? readOutcome(request, reader) : ''
    this.#recorder.answered(this.#record!, operation, { zxid, err, text }, this.#platform.clock.monotonic())
    if (isRead(request) && request.watch) this.#watch(request, err)
    if (isOfWatches(request) && err === OK) this.#changeWatches(request)
    if (request.kind === 'close' && err === OK) this.#end('closed')
    else if (err === ZkErrorCode.SESSIONEXPIRED) this.#end('expired')
    else if (err === ZkErrorCode.SESSIONMOVED) this.#disconnect()
    resolve(operation)
  }

  #watch({ kind, path }: ReadRequest, err: number): void {
    if (kind === 'children') {
      if (err === OK) this.#childWatches.add(path)
      return
    }
    const isMissing = err === ZkErrorCode.NONODE
    if (err !== OK && !(isMissing && kind === 'exists')) return
    this.#dataWatches.add(path)
    if (isMissing) this.#existWatches.add(path)
    else this.#existWatches.delete(path)
  }

  #changeWatches(request: WatchRequest): void {
    const { path } = request
    if (request.kind === 'addWatch') {
      ;(request.recursive ? this.#recursiveWatches : this.#persistentWatches).add(path)
      return
    }
    const { of } = request
    if (of === 'data' || of === 'any') {
      this.#dataWatches.delete(path)
      this.#existWatches.delete(path)
    }
    if (of === 'children' || of === 'any') this.#childWatches.delete(path)
    if (of === 'persistent' || of === 'any') this.#persistentWatches.delete(path)
    if (of === 'recursive' || of === 'any') this.#recursiveWatches.delete(path)
  }

  #onNotified({ type, path }: WatcherEvent, zxid: bigint): void {
    this.#record!.events.push({ kind: 'notified', type, path, zxid })
    if (type !== WatchEventType.nodeChildrenChanged) {
      this.#dataWatches.delete(path)
      this.#existWatches.delete(path)
    }
    if (type === WatchEventType.nodeChildrenChanged || type === WatchEventType.nodeDeleted)
      this.#childWatches.delete(path)
  }
}
