/**
 * One client: its handshake, its requests in their order, its events.
 *
 * Answers leave in the order of the requests. Writes are handed in at once and wait in the queue until they are
 * committed; reads behind them wait as well, so that a client sees its own writes, and everyone else's reads go
 * by. An event is sent before any answer that shows the change. Source: NIOServerCnxn, ZooKeeperServer,
 * CommitProcessor, FinalRequestProcessor.
 */
import { ByteReader, ByteWriter, MalformedBytesError, decodeUtf8 } from '#base'
import type { CloseReason, FramedConnection, FramedHandler } from '#net'
import {
  ConnectRequest,
  ConnectResponse,
  KeeperState,
  OpCode,
  PASSWORD_BYTES,
  Perms,
  ReplyHeader,
  ReservedXid,
  WatcherEvent,
  ZkErrorCode,
  operations,
  type Id,
  type LoggedTxn,
} from '#zookeeper/protocol'
import {
  digestIdOf,
  isPasswordOf,
  passwordOf,
  permits,
  type Applied,
  type SharedAcl,
  type WatchEvent,
  type Watcher,
} from '#zookeeper/tree'

import { adminWordOf } from './admin-words.ts'
import type { Waiter } from './commit-log.ts'
import type { Host } from './host.ts'
import { operationLabel } from './operation-labels.ts'
import { prepareRead, type PreparedRead, type ReadAnswer } from './reads.ts'
import { TrafficStats } from './stats.ts'
import { decodeWrite, writeAnswer } from './writes.ts'

/** Ids that one client may gather by authenticating again and again. */
const IDS_MAX = 100
const NO_PASSWORD = new Uint8Array(PASSWORD_BYTES)
/** The zxid of an answer that belongs to no transaction. */
const NO_ZXID = -1n

/** A request that has not been answered. */
interface Pending {
  readonly xid: number
  readonly type: number
  readonly receivedMs: number
  /** Answers it; null as long as it waits for its commit. */
  answer: (() => void) | null
}

export class ClientConnection implements FramedHandler, Watcher {
  readonly #host: Host
  readonly #connection: FramedConnection
  /** In the order of arrival. */
  readonly #pending: Pending[] = []
  #state: 'greeting' | 'open' | 'ending' | 'closed' = 'greeting'
  #sessionId = 0n
  #timeoutMs = 0
  /** Whether the handshake carried the flag, and so wants it in the answer. */
  #knowsReadOnly = true
  /** Never changed in place: a write that is under way keeps the list it came with. */
  #ids: readonly Id[]

  readonly traffic = new TrafficStats()
  readonly connectedMs: number
  readonly establishedWallMs: number
  lastOperation = 'NA'
  lastXid = -1
  lastZxid = 0n
  lastResponseMs = 0
  lastLatencyMs = 0

  constructor(host: Host, connection: FramedConnection) {
    this.#host = host
    this.#connection = connection
    this.#ids = [{ scheme: 'ip', id: plainAddress(connection.remoteHost) }]
    this.connectedMs = host.now()
    this.establishedWallMs = host.wallMs()
  }

  /** 0 before the handshake. */
  get sessionId(): bigint {
    return this.#sessionId
  }

  get timeoutMs(): number {
    return this.#timeoutMs
  }

  get remoteAddress(): string {
    return `${plainAddress(this.#connection.remoteHost)}:${this.#connection.remotePort}`
  }

  get outstanding(): number {
    return this.#pending.length
  }

  onFirstWord(word: number): boolean {
    const name = adminWordOf(word)
    const answer = name === null ? null : this.#host.adminWord(name)
    if (answer === null) return false
    this.#state = 'ending'
    this.#connection.sendRaw([new TextEncoder().encode(answer)])
    this.#connection.close()
    return true
  }

  onFrame(frame: Uint8Array): void {
    if (this.#state === 'ending' || this.#state === 'closed') return
    this.traffic.received++
    this.#host.stats.received++
    if (this.#state === 'greeting') this.#greet(frame)
    else this.#onRequest(new ByteReader(frame))
  }

  onClose(_reason: CloseReason): void {
    this.#state = 'closed'
    this.#host.admission.leave(this.#pending.length)
    this.#host.admission.forget(this)
    this.#pending.length = 0
    this.#host.tree.watches.forget(this)
    this.#host.detach(this)
  }

  pause(): void {
    this.#connection.pause()
  }

  resume(): void {
    this.#connection.resume()
  }

  /** Closes after what was answered; requests that were not are dropped. */
  close(): void {
    if (this.#state !== 'closed') this.#state = 'ending'
    this.#connection.close()
  }

  notify(event: WatchEvent, acl: SharedAcl | null): void {
    if (acl !== null && !this.#host.config.skipAcl && !permits(acl, Perms.READ, this.#ids)) return
    const writer = new ByteWriter(64 + event.path.length)
    ReplyHeader.write(writer, { xid: ReservedXid.notification, zxid: event.zxid, err: ZkErrorCode.OK })
    WatcherEvent.write(writer, { type: event.type, state: KeeperState.syncConnected, path: event.path })
    this.#send(writer)
  }

  #greet(frame: Uint8Array): void {
    const request = ConnectRequest.decode(frame)
    const { config, tree, logger } = this.#host
    if (request.lastZxidSeen > tree.lastZxid) {
      logger.info(
        `${this.remoteAddress} has seen ${hex(request.lastZxidSeen)}, we are at ${hex(tree.lastZxid)}: it must try another server`,
      )
      return this.close()
    }
    this.#state = 'open'
    this.#knowsReadOnly = request.readOnly !== null
    this.#timeoutMs = Math.min(Math.max(request.timeOut, config.minSessionTimeoutMs), config.maxSessionTimeoutMs)
    if (request.sessionId === 0n) this.#openSession()
    else this.#reopenSession(request.sessionId, request.passwd)
  }

  /** Answered when the session is committed; requests that come before that queue up behind it. */
  #openSession(): void {
    this.#sessionId = this.#host.newSessionId()
    this.#host.attach(this)
    this.#submit(0, { type: OpCode.createSession, timeOut: this.#timeoutMs }, () => this.#welcome())
  }

  #reopenSession(sessionId: bigint, password: Uint8Array | null): void {
    const { sessions } = this.#host
    const isAlive =
      isPasswordOf(sessionId, password) && sessions.touch(sessionId, this.#timeoutMs, this.#host.sessionNow())
    if (!isAlive) {
      this.#host.logger.info(`${this.remoteAddress} wants session ${hex(sessionId)}, which has expired or is another's`)
      this.#sendConnectResponse(0, 0n, NO_PASSWORD)
      return this.close()
    }
    sessions.setOwner(sessionId, this.#host.owner)
    this.#sessionId = sessionId
    this.#host.attach(this)
    this.#welcome()
  }

  #welcome(): void {
    this.#sendConnectResponse(this.#timeoutMs, this.#sessionId, passwordOf(this.#sessionId))
  }

  #sendConnectResponse(timeOut: number, sessionId: bigint, passwd: Uint8Array): void {
    const writer = new ByteWriter(64)
    const readOnly = this.#knowsReadOnly ? false : null
    ConnectResponse.write(writer, { protocolVersion: 0, timeOut, sessionId, passwd, readOnly })
    this.#send(writer)
  }

  #onRequest(reader: ByteReader): void {
    const xid = reader.int32()
    const type = reader.int32()
    this.#host.sessions.touch(this.#sessionId, this.#timeoutMs, this.#host.sessionNow())
    try {
      this.#dispatch(xid, type, reader)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#host.logger.info(`${this.remoteAddress} sent a request of type ${type} that is none: ${error.message}`)
      this.#enqueue(xid, type, () => this.#reply(xid, this.#host.tree.lastZxid, ZkErrorCode.MARSHALLINGERROR))
    }
  }

  #dispatch(xid: number, type: number, reader: ByteReader): void {
    switch (type) {
      case OpCode.ping:
        return this.#enqueue(ReservedXid.ping, type, () => this.#answerRead(ReservedXid.ping, null))
      case OpCode.auth:
        return this.#authenticate(xid, reader)
      case OpCode.sasl:
        return this.#refuseSasl(xid, reader)
      case OpCode.sync:
        return this.#sync(xid, reader)
    }
    const write = decodeWrite(type, reader)
    if (write !== null) return this.#submit(xid, write, null)
    const read = prepareRead(type, reader)
    if (read !== null) return this.#enqueue(xid, type, () => this.#read(xid, read))
    return this.#refuseType(xid, type)
  }

  #submit(xid: number, body: Parameters<Host['commitLog']['submit']>[0]['body'], whenFine: (() => void) | null): void {
    const pending: Pending = { xid, type: body.type, receivedMs: this.#host.now(), answer: null }
    this.#pending.push(pending)
    this.#host.admission.enter(this)
    const waiter: Waiter = {
      onCommitted: (logged, applied) => {
        pending.answer = whenFine ?? (() => this.#answerWrite(xid, body.type, logged, applied))
        this.#answerInOrder()
      },
    }
    this.#host.commitLog.submit(
      { sessionId: this.#sessionId, cxid: xid, ids: this.#ids, owner: this.#host.owner, body },
      waiter,
    )
  }

  #enqueue(xid: number, type: number, answer: () => void): void {
    this.#pending.push({ xid, type, receivedMs: this.#host.now(), answer })
    this.#host.admission.enter(this)
    if (this.#pending.length === 1) this.#answerInOrder()
  }

  #answerInOrder(): void {
    while (this.#state !== 'closed') {
      const first = this.#pending[0]
      if (first === undefined || first.answer === null) return
      this.#pending.shift()
      this.#count(first)
      first.answer()
    }
  }

  #count({ xid, type, receivedMs }: Pending): void {
    const nowMs = this.#host.now()
    const tookMs = nowMs - receivedMs
    this.#host.admission.leave(1)
    this.#host.stats.latency.add(tookMs)
    this.traffic.latency.add(tookMs)
    this.lastOperation = operationLabel(type)
    this.lastXid = xid
    this.lastZxid = this.#host.tree.lastZxid
    this.lastResponseMs = nowMs
    this.lastLatencyMs = tookMs
  }

  #answerWrite(xid: number, type: number, { header, txn }: LoggedTxn, applied: Applied): void {
    const err = txn.type === OpCode.error ? txn.err : ZkErrorCode.OK
    // Where the session has moved to another server, an answer would look like that server's.
    if (err === ZkErrorCode.SESSIONMOVED) return this.close()
    const writer = this.#replyWriter(xid, header.zxid, err)
    if (err === ZkErrorCode.OK) writeAnswer(writer, type, applied)
    this.#send(writer)
    if (type === OpCode.closeSession) this.close()
  }

  #read(xid: number, read: PreparedRead): void {
    const { tree, sessions, owner, config } = this.#host
    const refusal = sessions.check(this.#sessionId, owner)
    if (refusal !== ZkErrorCode.OK) return this.#reply(xid, tree.lastZxid, refusal)
    this.#answerRead(xid, read({ tree, ids: this.#ids, watcher: this, skipAcl: config.skipAcl }))
  }

  #answerRead(xid: number, answer: ReadAnswer): void {
    const { lastZxid } = this.#host.tree
    if (typeof answer === 'number') return this.#reply(xid, lastZxid, answer)
    const writer = this.#replyWriter(xid, lastZxid, ZkErrorCode.OK)
    answer?.codec.write(writer, answer.value as never)
    this.#send(writer)
  }

  /** Answered when everything that any client handed in before is committed. */
  #sync(xid: number, reader: ByteReader): void {
    const { path } = operations.sync.request.read(reader)
    const pending: Pending = { xid, type: OpCode.sync, receivedMs: this.#host.now(), answer: null }
    this.#pending.push(pending)
    this.#host.admission.enter(this)
    this.#host.commitLog.sync(() => {
      pending.answer = () => this.#answerRead(xid, { codec: operations.sync.response as never, value: { path } })
      this.#answerInOrder()
    })
  }

  /** A wrong password is no error: the client simply is someone else. */
  #authenticate(xid: number, reader: ByteReader): void {
    const { scheme, auth } = operations.auth.request.read(reader)
    const ids = auth === null ? null : this.#idsProved(scheme, auth)
    if (ids !== null && this.#ids.length + ids.length <= IDS_MAX) {
      const isNew = (id: Id): boolean => !this.#ids.some((known) => known.scheme === id.scheme && known.id === id.id)
      this.#ids = [...this.#ids, ...ids.filter(isNew)]
      return this.#enqueue(xid, OpCode.auth, () => this.#reply(xid, 0n, ZkErrorCode.OK))
    }
    this.#enqueue(xid, OpCode.auth, () => {
      this.#reply(xid, 0n, ZkErrorCode.AUTHFAILED)
      this.close()
    })
  }

  #idsProved(scheme: string, auth: Uint8Array): Id[] | null {
    if (scheme === 'ip') return [{ scheme, id: plainAddress(this.#connection.remoteHost) }]
    if (scheme !== 'digest') return null
    const id = digestIdOf(decodeUtf8(auth, 0, auth.length))
    const isSuper = id === this.#host.config.superDigest
    return isSuper
      ? [
          { scheme: 'super', id: '' },
          { scheme, id },
        ]
      : [{ scheme, id }]
  }

  /** An empty token tells the client that this server has no SASL. */
  #refuseSasl(xid: number, reader: ByteReader): void {
    operations.sasl.request.read(reader)
    const answer = { codec: operations.sasl.response as never, value: { token: null } }
    this.#enqueue(xid, OpCode.sasl, () => this.#answerRead(xid, answer))
  }

  #refuseType(xid: number, type: number): void {
    this.#enqueue(xid, type, () => {
      this.#reply(xid, NO_ZXID, ZkErrorCode.UNIMPLEMENTED)
      this.close()
    })
  }

  #reply(xid: number, zxid: bigint, err: number): void {
    this.#send(this.#replyWriter(xid, zxid, err))
  }

  #replyWriter(xid: number, zxid: bigint, err: number): ByteWriter {
    const writer = new ByteWriter(128)
    writer.int32(xid)
    writer.bigint64(zxid)
    writer.int32(err)
    return writer
  }

  #send(writer: ByteWriter): void {
    this.traffic.sent++
    this.#host.stats.sent++
    this.#connection.send(writer.chunks())
  }
}

/** IPv4 as people and ACLs write it, also where the socket speaks IPv6. */
function plainAddress(host: string): string {
  return host.startsWith('::ffff:') ? host.slice(7) : host
}

function hex(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}
