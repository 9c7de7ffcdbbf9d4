/** What several operations share: identities, stats, headers, the handshake, events. Source: zookeeper.jute. */
import { ByteReader, ByteWriter } from '#base'

import { boolean, buffer, int, long, record, time, ustring, vector, type RecordCodec, type RecordOf } from './jute.ts'

/** Who someone is: `world`/`anyone`, `digest`/`user:hash`, `ip`/`10.0.0.0/8`. */
export const Id = record('Id', { scheme: ustring, id: ustring })
export type Id = RecordOf<typeof Id>

/** `perms` is a set of `Perms` bits. */
export const Acl = record('ACL', { perms: int, id: Id })
export type Acl = RecordOf<typeof Acl>

/** What a client sees of a znode. `cversion` moves by one with each created and each deleted child. */
export const Stat = record('Stat', {
  czxid: long,
  mzxid: long,
  ctime: time,
  mtime: time,
  version: int,
  cversion: int,
  aversion: int,
  /** Session that owns an ephemeral znode; 0 for all others. */
  ephemeralOwner: long,
  dataLength: int,
  numChildren: int,
  pzxid: long,
})
export type Stat = RecordOf<typeof Stat>

/** As `Stat` in snapshots: `cversion` counts creations only, `ephemeralOwner` marks containers and TTL znodes too. */
export const StatPersisted = record('StatPersisted', {
  czxid: long,
  mzxid: long,
  ctime: time,
  mtime: time,
  version: int,
  cversion: int,
  aversion: int,
  ephemeralOwner: long,
  pzxid: long,
})
export type StatPersisted = RecordOf<typeof StatPersisted>

export const PASSWORD_BYTES = 16

export interface ConnectRequest {
  protocolVersion: number
  /** The server refuses who has seen more than itself. */
  lastZxidSeen: bigint
  /** Wanted session timeout in ms. */
  timeOut: number
  /** 0 for a new session. */
  sessionId: bigint
  passwd: Uint8Array | null
  /** null: a client so old that its request ends before this flag; it wants an answer without it. */
  readOnly: boolean | null
}

const connectRequestFields = record('ConnectRequest', {
  protocolVersion: int,
  lastZxidSeen: long,
  timeOut: int,
  sessionId: long,
  passwd: buffer,
})

export const ConnectRequest: RecordCodec<ConnectRequest> = withReadOnlyFlag(connectRequestFields)

export interface ConnectResponse {
  protocolVersion: number
  /** Negotiated session timeout in ms; 0 refuses: the session has expired or the password is wrong. */
  timeOut: number
  sessionId: bigint
  passwd: Uint8Array | null
  /** Whether the server is read-only; null leaves the flag out, as for a request without it. */
  readOnly: boolean | null
}

const connectResponseFields = record('ConnectResponse', {
  protocolVersion: int,
  timeOut: int,
  sessionId: long,
  passwd: buffer,
})

export const ConnectResponse: RecordCodec<ConnectResponse> = withReadOnlyFlag(connectResponseFields)

/** The flag came with 3.4: a trailing byte that either side may leave out. */
function withReadOnlyFlag<T extends object>(fields: RecordCodec<T>): RecordCodec<T & { readOnly: boolean | null }> {
  type Whole = T & { readOnly: boolean | null }
  const read = (reader: ByteReader): Whole => {
    const value = fields.read(reader)
    return { ...value, readOnly: reader.remaining > 0 ? boolean.read(reader) : null }
  }
  const write = (writer: ByteWriter, value: Whole): void => {
    fields.write(writer, value)
    if (value.readOnly !== null) boolean.write(writer, value.readOnly)
  }
  return {
    name: fields.name,
    read,
    write,
    encode(value) {
      const writer = new ByteWriter(64)
      write(writer, value)
      return writer.toBytes()
    },
    decode: (bytes) => read(new ByteReader(bytes)),
  }
}

/** `xid` is the client's number of the request (or a `ReservedXid`), `type` its `OpCode`. */
export const RequestHeader = record('RequestHeader', { xid: int, type: int })
export type RequestHeader = RecordOf<typeof RequestHeader>

/** `zxid` is the transaction of a write, the last one applied for a read; `err` a `ZkErrorCode`. */
export const ReplyHeader = record('ReplyHeader', { xid: int, zxid: long, err: int })
export type ReplyHeader = RecordOf<typeof ReplyHeader>

/** Stands before every entry of a multi and, with `done`, after the last. */
export const MultiHeader = record('MultiHeader', { type: int, done: boolean, err: int })
export type MultiHeader = RecordOf<typeof MultiHeader>

/** `type` is a `WatchEventType`, `state` a `KeeperState`. */
export const WatcherEvent = record('WatcherEvent', { type: int, state: int, path: ustring })
export type WatcherEvent = RecordOf<typeof WatcherEvent>

export const ClientInfo = record('ClientInfo', { authScheme: ustring, user: ustring })
export type ClientInfo = RecordOf<typeof ClientInfo>

export const paths = vector(ustring)
