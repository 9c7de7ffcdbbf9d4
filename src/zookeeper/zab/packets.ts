/**
 * What leader and learners say to each other on the quorum port.
 *
 *     packet     type int32 | zxid int64 | data buffer | authinfo vector<Id>       one after the other, without a length
 *     SNAP       is followed by a snapshot without file header and seals, and by the ustring "BenWasHere"
 *
 * Source: zookeeper.jute (QuorumPacket, LearnerInfo), Leader, LearnerHandler, Learner.
 */
import { ByteReader, ByteWriter, MalformedBytesError, equalBytes } from '#base'
import { Id, int, long, record, type RecordCodec, zxidOf } from '#zookeeper/protocol'

export const PacketType = {
  /** A learner's client wants a write, or a sync. */
  request: 1,
  proposal: 2,
  ack: 3,
  commit: 4,
  ping: 5,
  /** A client has come to a learner with a session: is it alive? */
  revalidate: 6,
  /** Everything that was proposed before the learner asked is committed. */
  sync: 7,
  /** Proposal and commit in one, for observers. */
  inform: 8,
  commitAndActivate: 9,
  newLeader: 10,
  followerInfo: 11,
  upToDate: 12,
  diff: 13,
  trunc: 14,
  snap: 15,
  observerInfo: 16,
  leaderInfo: 17,
  ackEpoch: 18,
  informAndActivate: 19,
} as const
export type PacketType = (typeof PacketType)[keyof typeof PacketType]

export interface QuorumPacket {
  /** A `PacketType`; others are possible, and for the receiver to judge. */
  readonly type: number
  readonly zxid: bigint
  readonly data: Uint8Array | null
  /** Who a client is, with REQUEST. */
  readonly authinfo: readonly Id[] | null
}

/** Says that the leader knows epochs (ZAB 1.0, since ZooKeeper 3.4). */
export const PROTOCOL_VERSION = 0x10000
/** Ends an inline snapshot. */
export const SNAPSHOT_SIGNATURE = Uint8Array.from([
  0,
  0,
  0,
  10,
  ...Array.from('BenWasHere', (letter) => letter.charCodeAt(0)),
])
/** With UPTODATE, REQUEST and others that have none. */
export const NO_ZXID = -1n

/** First words of a learner. `configVersion` is 0 where the list of servers never changed. */
export const LearnerInfo = record('LearnerInfo', { serverId: long, protocolVersion: int, configVersion: long })

const protocolVersionOnly = record('protocolVersion', { protocolVersion: int })
/** `epoch` -1: the learner has acknowledged this epoch before, and once is all that counts. */
const ackEpochData = record('ackEpoch', { epoch: int })
const sessionTimeout = record('touch', { sessionId: long, timeoutMs: int })
const requestHead = record('request', { sessionId: long, cxid: int, type: int })

export const EPOCH_ACKNOWLEDGED_BEFORE = -1

export function packet(type: PacketType, zxid: bigint, data: Uint8Array | null = null): QuorumPacket {
  return { type, zxid, data, authinfo: null }
}

export function learnerInfoPacket(
  role: 'follower' | 'observer',
  info: { sid: number; acceptedEpoch: number; configVersion: bigint },
): QuorumPacket {
  const type = role === 'follower' ? PacketType.followerInfo : PacketType.observerInfo
  const data = LearnerInfo.encode({
    serverId: BigInt(info.sid),
    protocolVersion: PROTOCOL_VERSION,
    configVersion: info.configVersion,
  })
  return packet(type, zxidOf(info.acceptedEpoch), data)
}

export function leaderInfoPacket(epoch: number): QuorumPacket {
  return packet(PacketType.leaderInfo, zxidOf(epoch), protocolVersionOnly.encode({ protocolVersion: PROTOCOL_VERSION }))
}

export function ackEpochPacket(lastZxid: bigint, epoch: number): QuorumPacket {
  return packet(PacketType.ackEpoch, lastZxid, ackEpochData.encode({ epoch }))
}

export function ackEpochOf({ data }: QuorumPacket): number {
  return ackEpochData.decode(data ?? EMPTY).epoch
}

/** A learner's answer to a ping: the sessions that it has heard of since the last one. */
export function pingAnswerPacket(zxid: bigint, touched: readonly (readonly [bigint, number])[]): QuorumPacket {
  const writer = new ByteWriter(touched.length * 12)
  for (const [sessionId, timeoutMs] of touched) sessionTimeout.write(writer, { sessionId, timeoutMs })
  return packet(PacketType.ping, zxid, writer.toBytes())
}

export function touchedOf({ data }: QuorumPacket): [bigint, number][] {
  const reader = new ByteReader(data ?? EMPTY)
  const touched: [bigint, number][] = []
  while (reader.remaining > 0) {
    const { sessionId, timeoutMs } = sessionTimeout.read(reader)
    touched.push([sessionId, timeoutMs])
  }
  return touched
}

export function revalidatePacket(sessionId: bigint, timeoutMs: number): QuorumPacket {
  return packet(PacketType.revalidate, NO_ZXID, sessionTimeout.encode({ sessionId, timeoutMs }))
}

export function revalidateOf({ data }: QuorumPacket): { sessionId: bigint; timeoutMs: number } {
  return sessionTimeout.decode(data ?? EMPTY)
}

export function revalidatedPacket(sessionId: bigint, valid: boolean): QuorumPacket {
  const writer = new ByteWriter(9)
  writer.bigint64(sessionId)
  writer.int8(valid ? 1 : 0)
  return packet(PacketType.revalidate, NO_ZXID, writer.toBytes())
}

export function revalidatedOf({ data }: QuorumPacket): { sessionId: bigint; valid: boolean } {
  const reader = new ByteReader(data ?? EMPTY)
  return { sessionId: reader.bigint64(), valid: reader.int8() !== 0 }
}

/** A write of a learner's client, or a sync. */
export interface LearnerRequest {
  readonly sessionId: bigint
  readonly cxid: number
  readonly type: number
  readonly body: Uint8Array
  readonly ids: readonly Id[]
}

export function requestPacket({ sessionId, cxid, type, body, ids }: LearnerRequest): QuorumPacket {
  const writer = new ByteWriter(16 + Math.min(body.length, 1024))
  requestHead.write(writer, { sessionId, cxid, type })
  writer.bytes(body)
  return { type: PacketType.request, zxid: NO_ZXID, data: writer.toBytes(), authinfo: ids }
}

export function requestOf({ data, authinfo }: QuorumPacket): LearnerRequest {
  const reader = new ByteReader(data ?? EMPTY)
  const head = requestHead.read(reader)
  return { ...head, body: reader.slice(reader.remaining), ids: authinfo ?? [] }
}

/** INFORMANDACTIVATE carries the designated leader before the transaction. */
export function informedBytes({ type, data }: QuorumPacket): Uint8Array {
  const bytes = data ?? EMPTY
  if (type !== PacketType.informAndActivate) return bytes
  if (bytes.length < 8) throw new MalformedBytesError('INFORMANDACTIVATE names no leader')
  return bytes.subarray(8)
}

const EMPTY = new Uint8Array(0)

export function writePacket(writer: ByteWriter, { type, zxid, data, authinfo }: QuorumPacket): void {
  const at = writer.claim(16)
  writer.view.setInt32(at, type)
  writer.view.setBigInt64(at + 4, zxid)
  writer.view.setInt32(at + 12, data === null ? -1 : data.length)
  if (data !== null) writer.bytes(data)
  if (authinfo === null) return writer.int32(-1)
  writer.int32(authinfo.length)
  for (const id of authinfo) Id.write(writer, id)
  return undefined
}

/** Ids of one client, which are read again with each piece of them that arrives, and bytes of one text among them. */
const IDS_MAX = 1000
const TEXT_BYTES_MAX = 1 << 20
const HEAD_BYTES = 16
const BUFFER_BYTES = 1 << 16
/** A buffer that a large packet has made larger than this is not kept once it is empty. */
const BUFFER_KEPT_MAX = 1 << 20
/** What a packet may claim to hold when the reader is not told otherwise. A session with very many ephemerals closes in one. */
const PACKET_BYTES_MAX = 1 << 26

/**
 * Cuts the stream into packets, and an inline snapshot out of it. What it hands out is its own memory and stays as it is.
 * Throws `MalformedBytesError`, after which the stream is of no use.
 */
export class PacketReader {
  /** Data of a packet may be so long. */
  bytesMax: number
  #buffer: Uint8Array = new Uint8Array(BUFFER_BYTES)
  /** Unread bytes are from here … */
  #start = 0
  /** … to here. */
  #end = 0
  /** Less than this need not be looked at again. */
  #wanted = HEAD_BYTES
  #isInSnapshot = false

  constructor(bytesMax: number = PACKET_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  /** Bytes that are waiting to be read. */
  get bufferedBytes(): number {
    return this.#end - this.#start
  }

  /** From SNAP to the end of the snapshot: `takeRaw` reads on, and `endSnapshot`. */
  get isInSnapshot(): boolean {
    return this.#isInSnapshot
  }

  /** Copies what arrived. */
  push(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length)
    this.#buffer.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** The next packet, or null until more has arrived, or until a snapshot has been taken out. */
  next(): QuorumPacket | null {
    if (this.#isInSnapshot || this.bufferedBytes < this.#wanted) return null
    const reader = new ByteReader(this.#buffer, this.#start, this.#end)
    const type = reader.int32()
    const zxid = reader.bigint64()
    const length = reader.int32()
    if (length < -1 || length > this.bytesMax) throw new MalformedBytesError(`a packet claims ${length} bytes of data`)
    const dataBytes = Math.max(0, length)
    if (!this.#has(HEAD_BYTES + dataBytes + 4)) return null
    const view = length === -1 ? null : reader.slice(length)
    const authinfo = this.#ids(reader)
    if (authinfo === undefined) return null
    const data = view === null ? null : view.slice()
    this.#consume(reader.position - this.#start)
    if (type === PacketType.snap) this.#isInSnapshot = true
    return { type, zxid, data, authinfo }
  }

  /** Exactly so many bytes of the snapshot, which live until the next call; null until they have arrived. */
  takeRaw(length: number): Uint8Array | null {
    if (this.bufferedBytes < length) return null
    const bytes = this.#buffer.subarray(this.#start, this.#start + length)
    this.#start += length
    return bytes
  }

  /** Packets follow what is the last that was taken. */
  endSnapshot(signature: Uint8Array): void {
    if (!equalBytes(signature, SNAPSHOT_SIGNATURE))
      throw new MalformedBytesError('the snapshot does not end with its signature')
    this.#isInSnapshot = false
    this.#consume(0)
  }

  /** undefined until more has arrived. */
  #ids(reader: ByteReader): Id[] | null | undefined {
    const count = reader.int32()
    if (count === -1) return null
    if (count < 0 || count > IDS_MAX) throw new MalformedBytesError(`a packet claims ${count} ids`)
    const ids: Id[] = []
    for (let index = 0; index < count; index++) {
      const scheme = this.#text(reader)
      const id = scheme === undefined ? undefined : this.#text(reader)
      if (scheme === undefined || id === undefined) return undefined
      ids.push({ scheme, id })
    }
    return ids
  }

  #text(reader: ByteReader): string | undefined {
    const read = reader.position - this.#start
    if (!this.#has(read + 4)) return undefined
    const length = reader.int32()
    if (length < -1 || length > TEXT_BYTES_MAX) throw new MalformedBytesError(`an id claims ${length} bytes`)
    if (length === -1) return ''
    return this.#has(read + 4 + length) ? reader.utf8(length) : undefined
  }

  /** Whether so many bytes of the packet are there; if not they are waited for. */
  #has(bytes: number): boolean {
    if (this.bufferedBytes >= bytes) return true
    this.#wanted = bytes
    return false
  }

  #consume(length: number): void {
    this.#start += length
    this.#wanted = HEAD_BYTES
    if (this.#start < this.#end) return
    this.#start = 0
    this.#end = 0
    if (this.#buffer.length > BUFFER_KEPT_MAX) this.#buffer = new Uint8Array(BUFFER_BYTES)
  }

  #makeRoom(length: number): void {
    const unread = this.bufferedBytes
    const isLargeEnough = unread + length <= this.#buffer.length / 2
    const target =
      // What `takeRaw` has given out stays where it is.
      isLargeEnough && !this.#isInSnapshot
        ? this.#buffer
        : new Uint8Array(isLargeEnough ? this.#buffer.length : Math.max(this.#buffer.length * 2, unread + length))
    target.set(this.#buffer.subarray(this.#start, this.#end))
    this.#buffer = target
    this.#start = 0
    this.#end = unread
  }
}

export type LearnerInfo = typeof LearnerInfo extends RecordCodec<infer T> ? T : never
