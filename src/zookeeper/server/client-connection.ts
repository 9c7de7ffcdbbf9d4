/**
 * One client: its handshake, its requests in their order, its events.
 *
 * Answers leave in the order of the requests. Writes are handed in at once and wait in the queue until they are
 * committed; reads behind them wait as well, so that a client sees its own writes, and everyone else's reads go
 * by. An event is sent before any answer that shows the change. Source: NIOServerCnxn, ZooKeeperServer,
 * CommitProcessor, FinalRequestProcessor.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
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
  type LoggedTxn,
  hexLong,
} from '#zookeeper/protocol'
import {
  isPasswordOf,
  passwordOf,
  permits,
  type Applied,
  type SharedAcl,
  type WatchEvent,
  type Watcher,
  type Write,
  type WriteBody,
} from '#zookeeper/tree'

import { adminWordOf } from './admin-words.ts'
import type { Authentication } from './authentication.ts'
import type { Waiter } from './commit-log.ts'
import type { Host, Term } from './host.ts'
import { isWrite, operationLabel } from './operation-labels.ts'
import { prepareRead, type PreparedRead, type ReadAnswer } from './reads.ts'
import { OWN } from './sessions.ts'
import { TrafficStats } from './stats.ts'
import { decodeWrite, writeAnswer } from './writes.ts'

const NO_PASSWORD = new Uint8Array(PASSWORD_BYTES)
/** How long a connection may go without a handshake. Source: NIOServerCnxnFactory. */
export const GREETING_TIMEOUT_MS = 10_000
/** Before each frame. */
const LENGTH_BYTES = 4
/** The zxid of an answer that belongs to no transaction. */
const NO_ZXID = -1n

/** A request that has not been answered. */
class Pending {
  readonly xid: number
  readonly type: number
  readonly receivedMs: number
  /** Answers it; null as long as it waits. */
  answer: (() => void) | null

  constructor(xid: number, type: number, receivedMs: number, answer: (() => void) | null) {
    this.xid = xid
    this.type = type
    this.receivedMs = receivedMs
    this.answer = answer
  }
}

/** A write that waits for its commit. One object for all that has to be remembered of it: there may be thousands. */
class PendingWrite extends Pending implements Waiter {
  readonly write: Write
  readonly #connection: ClientConnection

  constructor(connection: ClientConnection, write: Write, receivedMs: number) {
    super(write.cxid, write.body.type, receivedMs, null)
    this.write = write
    this.#connection = connection
  }

  onCommitted(logged: LoggedTxn, applied: Applied): void {
    this.#connection.onCommitted(this, logged, applied)
  }
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
  readonly #authentication: Authentication
  /** What it still sends is passed over: its last answer is under way. */
  #isRefused = false

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
    const { remoteHost, peerCertificate } = connection
    this.#authentication = host.security.authenticationOf(plainAddress(remoteHost), peerCertificate)
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

  get localPort(): number {
    return this.#connection.localPort
  }

  get outstanding(): number {
    return this.#pending.length
  }

  /** Whether its requests are heard. */
  get isOpen(): boolean {
    return this.#state === 'greeting' || this.#state === 'open'
  }

  /** Monotonic ms at which it, or its session, is given up unless something is heard of it; for people. */
  get silentUntilMs(): number {
    if (this.#sessionId === 0n) return this.connectedMs + GREETING_TIMEOUT_MS
    return Math.max(this.connectedMs, this.lastResponseMs) + this.#timeoutMs
  }

  onFirstWord(word: number, rest: Uint8Array): boolean {
    const name = adminWordOf(word)
    if (name === null) return false
    this.#state = 'ending'
    this.traffic.received++
    this.#host.stats.received++
    const answer = this.#host.adminWord(name, rest)
    this.#host.stats.sent++
    this.#connection.sendRaw([new TextEncoder().encode(answer)])
    this.#connection.close()
    return true
  }

  onFrame(frame: Uint8Array): void {
    if (this.#state === 'ending' || this.#state === 'closed' || this.#isRefused) return
    this.traffic.received++
    this.#host.stats.received++
    this.#host.metrics.bytesReceived.add(LENGTH_BYTES + frame.length)
    if (this.#state === 'greeting') this.#greet(frame)
    else this.#onRequest(new ByteReader(frame))
  }

  onClose(_reason: CloseReason): void {
    if (this.#state === 'open') this.#host.metrics.connectionsDropped.add()
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

  /** As `close`; nothing waits for an answer any more, and no event is told. The server goes out of office. */
  drop(): void {
    this.#host.admission.leave(this.#pending.length)
    this.#pending.length = 0
    this.#host.tree.watches.forget(this)
    this.close()
  }

  notify(event: WatchEvent, acl: SharedAcl | null): void {
    const { config, security } = this.#host
    const { ids } = this.#authentication
    if (acl !== null && !config.skipAcl && !permits(acl, Perms.READ, ids, security.aclRules)) return
    const writer = frameWriter(64 + event.path.length)
    ReplyHeader.write(writer, { xid: ReservedXid.notification, zxid: event.zxid, err: ZkErrorCode.OK })
    WatcherEvent.write(writer, { type: event.type, state: KeeperState.syncConnected, path: event.path })
    this.#host.metrics.watchBytes.add(writer.length - LENGTH_BYTES)
    this.#send(writer)
  }

  #greet(frame: Uint8Array): void {
    const request = ConnectRequest.decode(frame)
    this.#host.metrics.connectionRequests.add()
    const { config, tree, logger, term } = this.#host
    if (term === null || (term.role === 'leader' && config.ensemble?.leaderServes === false)) return this.close()
    if (term.role === 'read-only' && request.readOnly !== true) return this.close()
    const hasSeenMore = request.lastZxidSeen > tree.lastZxid && request.lastZxidSeen > term.firstZxid
    if (hasSeenMore && !this.#host.faults.readsGoBack) {
      logger.info(
        `${this.remoteAddress} has seen ${hexLong(request.lastZxidSeen)}, we are at ${hexLong(tree.lastZxid)}: it must try another server`,
      )
      return this.close()
    }
    this.#state = 'open'
    this.#knowsReadOnly = request.readOnly !== null
    this.#timeoutMs = Math.min(Math.max(request.timeOut, config.minSessionTimeoutMs), config.maxSessionTimeoutMs)
    if (request.sessionId === 0n) this.#openSession()
    else this.#reopenSession(term, request.sessionId, request.passwd)
  }

  /** Answered when the session is committed; requests that come before that queue up behind it. */
  #openSession(): void {
    this.#sessionId = this.#host.newSessionId()
    this.#host.attach(this)
    this.#submit(0, { type: OpCode.createSession, timeOut: this.#timeoutMs }, null)
  }

  /** Requests that come before a leader has answered queue up behind it; on their way to it they come after the question. */
  #reopenSession(term: Term, sessionId: bigint, password: Uint8Array | null): void {
    this.#sessionId = sessionId
    const isAlive = isPasswordOf(sessionId, password) && term.sessions.reopen(sessionId, this.#timeoutMs)
    if (typeof isAlive === 'boolean') return this.#finishReopening(isAlive)
    const pending = new Pending(0, OpCode.createSession, this.#host.now(), null)
    this.#pending.push(pending)
    this.#host.admission.enter(this)
    isAlive.then(
      (answer) => {
        pending.answer = () => this.#finishReopening(answer)
        if (this.#state === 'open') this.#answerInOrder()
      },
      () => this.close(),
    )
  }

  #finishReopening(isAlive: boolean): void {
    if (isAlive) {
      this.#host.metrics.connectionsRevalidated.add()
      this.#host.attach(this)
      return this.#welcome()
    }
    this.#host.logger.info(
      `${this.remoteAddress} wants session ${hexLong(this.#sessionId)}, which has expired or is another's`,
    )
    this.#sessionId = 0n
    this.#sendConnectResponse(0, 0n, NO_PASSWORD)
    this.close()
  }

  #welcome(): void {
    this.#sendConnectResponse(this.#timeoutMs, this.#sessionId, passwordOf(this.#sessionId))
  }

  #sendConnectResponse(timeOut: number, sessionId: bigint, passwd: Uint8Array): void {
    const writer = frameWriter(64)
    const readOnly = this.#knowsReadOnly ? this.#host.term?.role === 'read-only' : null
    ConnectResponse.write(writer, { protocolVersion: 0, timeOut, sessionId, passwd, readOnly })
    this.#send(writer)
  }

  #onRequest(reader: ByteReader): void {
    const xid = reader.int32()
    const type = reader.int32()
    const { term } = this.#host
    if (term === null) return this.close()
    term.sessions.touch(this.#sessionId, this.#timeoutMs)
    try {
      this.#dispatch(term, xid, type, reader)
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error
      this.#host.logger.info(`${this.remoteAddress} sent a request of type ${type} that is none: ${error.message}`)
      this.#enqueue(xid, type, () => this.#reply(xid, this.#host.tree.lastZxid, ZkErrorCode.MARSHALLINGERROR))
    }
  }

  #dispatch(term: Term, xid: number, type: number, reader: ByteReader): void {
    switch (type) {
      case OpCode.auth:
        return this.#authenticate(xid, reader)
      case OpCode.sasl:
        return this.#exchangeSasl(xid, reader)
    }
    if (this.#authentication.isInsufficient)
      return this.#refuse(xid, type, ZkErrorCode.SESSIONCLOSEDREQUIRESASLAUTH, 'it has not authenticated as it must')
    switch (type) {
      case OpCode.ping:
        return this.#enqueue(ReservedXid.ping, type, () => this.#answerRead(ReservedXid.ping, null))
      case OpCode.sync:
        if (term.role === 'read-only')
          return this.#enqueue(xid, type, () => this.#reply(xid, this.#host.tree.lastZxid, ZkErrorCode.NOTREADONLY))
        return this.#sync(term, xid, reader)
    }
    const start = reader.position
    const write = decodeWrite(type, reader)
    if (write !== null) {
      const request = term.commitLog.forwards ? reader.bytes.slice(start, reader.end) : null
      return this.#submit(xid, write, request)
    }
    const read = prepareRead(type, reader)
    if (read !== null) return this.#enqueue(xid, type, () => this.#read(xid, read))
    return this.#refuseType(xid, type)
  }

  #submit(xid: number, body: WriteBody, request: Uint8Array | null): void {
    const write: Write = { sessionId: this.#sessionId, cxid: xid, ids: this.#authentication.ids, owner: OWN, body }
    const pending = new PendingWrite(this, write, this.#host.now())
    this.#pending.push(pending)
    this.#host.admission.enter(this)
    this.#host.term?.commitLog.submit(write, pending, request)
  }

  /** A write of this connection is committed; it is answered in its turn. */
  onCommitted(pending: PendingWrite, logged: LoggedTxn, applied: Applied): void {
    const { write, xid, type } = pending
    this.#host.audit?.written({ ...write, ip: plainAddress(this.#connection.remoteHost) }, write.body, applied)
    pending.answer =
      type === OpCode.createSession ? () => this.#welcome() : () => this.#answerWrite(xid, type, logged, applied)
    this.#answerInOrder()
  }

  #enqueue(xid: number, type: number, answer: () => void): void {
    this.#pending.push(new Pending(xid, type, this.#host.now(), answer))
    this.#host.admission.enter(this)
    if (this.#pending.length === 1) this.#answerInOrder()
  }

  #answerInOrder(): void {
    while (this.#state === 'open') {
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
    if (isWrite(type)) this.#host.metrics.updateLatency.add(tookMs)
    else this.#host.metrics.readLatency.add(tookMs)
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
    const { tree, term, config, security, metrics } = this.#host
    const { ids } = this.#authentication
    if (term === null) return this.close()
    const refusal = term.sessions.check(this.#sessionId)
    if (refusal === ZkErrorCode.SESSIONMOVED) return this.close()
    if (refusal !== ZkErrorCode.OK) return this.#reply(xid, tree.lastZxid, refusal)
    const { aclRules } = security
    this.#answerRead(xid, read({ tree, ids, watcher: this, skipAcl: config.skipAcl, aclRules, traffic: metrics.reads }))
  }

  #answerRead(xid: number, answer: ReadAnswer): void {
    const { lastZxid } = this.#host.tree
    if (typeof answer === 'number') return this.#reply(xid, lastZxid, answer)
    const writer = this.#replyWriter(xid, lastZxid, ZkErrorCode.OK)
    answer?.codec.write(writer, answer.value as never)
    this.#send(writer)
  }

  /** Answered when everything that any client handed in before is committed. */
  #sync(term: Term, xid: number, reader: ByteReader): void {
    const { path } = operations.sync.request.read(reader)
    const pending = new Pending(xid, OpCode.sync, this.#host.now(), null)
    this.#pending.push(pending)
    this.#host.admission.enter(this)
    term.commitLog.sync({ sessionId: this.#sessionId, cxid: xid, ids: this.#authentication.ids, path }, () => {
      pending.answer = () => this.#answerRead(xid, { codec: operations.sync.response as never, value: { path } })
      this.#answerInOrder()
    })
  }

  #authenticate(xid: number, reader: ByteReader): void {
    const { scheme, auth } = operations.auth.request.read(reader)
    if (this.#authentication.prove(scheme, auth))
      return this.#enqueue(xid, OpCode.auth, () => this.#reply(xid, 0n, ZkErrorCode.OK))
    this.#refuse(xid, OpCode.auth, ZkErrorCode.AUTHFAILED, `it cannot prove anything by scheme ${scheme}`)
  }

  #exchangeSasl(xid: number, reader: ByteReader): void {
    const { err, token, failure } = this.#authentication.exchange(operations.sasl.request.read(reader).token)
    if (err !== ZkErrorCode.OK) return this.#refuse(xid, OpCode.sasl, err, `SASL has failed: ${failure}`)
    if (failure !== null) this.#host.logger.warn(`${this.remoteAddress} stays as nobody: SASL has failed: ${failure}`)
    this.#enqueue(xid, OpCode.sasl, () => {
      const writer = this.#replyWriter(xid, 0n, ZkErrorCode.OK)
      operations.sasl.response.write(writer, { token })
      this.#send(writer)
    })
  }

  /** The error is the last thing that the client hears. */
  #refuse(xid: number, type: number, err: ZkErrorCode, why: string): void {
    this.#isRefused = true
    this.#host.metrics.authFailures++
    this.#host.logger.warn(`${this.remoteAddress} is refused: ${why}`)
    this.#enqueue(xid, type, () => {
      const writer = this.#replyWriter(xid, 0n, err)
      if (type === OpCode.sasl) operations.sasl.response.write(writer, { token: null })
      this.#send(writer)
      this.close()
    })
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
    const writer = frameWriter(128)
    writer.int32(xid)
    writer.bigint64(zxid)
    writer.int32(err)
    return writer
  }

  #send(writer: ByteWriter): void {
    const length = writer.length - LENGTH_BYTES
    this.traffic.sent++
    this.#host.stats.sent++
    this.#host.responses.add(length)
    this.#host.metrics.responseBytes.add(length)
    const chunks = writer.chunks()
    const first = chunks[0]!
    first[0] = length >>> 24
    first[1] = length >>> 16
    first[2] = length >>> 8
    first[3] = length
    this.#connection.sendRaw(chunks)
  }
}

/** With room for the length that goes before an answer: a piece of its own would cost more than most answers. */
function frameWriter(bodyBytes: number): ByteWriter {
  const writer = new ByteWriter(LENGTH_BYTES + bodyBytes)
  writer.int32(0)
  return writer
}

/** IPv4 as people and ACLs write it, also where the socket speaks IPv6. */
function plainAddress(host: string): string {
  return host.startsWith('::ffff:') ? host.slice(7) : host
}
