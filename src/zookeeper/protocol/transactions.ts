/**
 * What the transaction log holds and what an ensemble proposes: a header, and a body that says the outcome and
 * no longer the wish (the final path, the new version). Source: zookeeper.jute, module org.apache.zookeeper.txn.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'

import { OpCode } from './constants.ts'
import { boolean, buffer, int, long, record, time, ustring, vector, type RecordCodec, type RecordOf } from './jute.ts'
import { Acl, paths } from './records.ts'

/** `clientId` is the session, `cxid` the xid of its request, `time` the wall clock in ms, `type` an `OpCode`. */
export const TxnHeader = record('TxnHeader', { clientId: long, cxid: int, zxid: long, time, type: int })
export type TxnHeader = RecordOf<typeof TxnHeader>

/** `parentCVersion`: creations under the parent so far, this one included. */
export const CreateTxn = record('CreateTxn', {
  path: ustring,
  data: buffer,
  acl: vector(Acl),
  ephemeral: boolean,
  parentCVersion: int,
})
export type CreateTxn = RecordOf<typeof CreateTxn>

export const CreateContainerTxn = record('CreateContainerTxn', {
  path: ustring,
  data: buffer,
  acl: vector(Acl),
  parentCVersion: int,
})
export type CreateContainerTxn = RecordOf<typeof CreateContainerTxn>

export const CreateTtlTxn = record('CreateTTLTxn', {
  path: ustring,
  data: buffer,
  acl: vector(Acl),
  parentCVersion: int,
  ttl: time,
})
export type CreateTtlTxn = RecordOf<typeof CreateTtlTxn>

export const DeleteTxn = record('DeleteTxn', { path: ustring })
export type DeleteTxn = RecordOf<typeof DeleteTxn>

/** `version` is the one that the znode has afterwards. */
export const SetDataTxn = record('SetDataTxn', { path: ustring, data: buffer, version: int })
export type SetDataTxn = RecordOf<typeof SetDataTxn>

/** `version` is the `aversion` that the znode has afterwards. */
export const SetAclTxn = record('SetACLTxn', { path: ustring, acl: vector(Acl), version: int })
export type SetAclTxn = RecordOf<typeof SetAclTxn>

/** Logged inside a multi only: it changes nothing. */
export const CheckVersionTxn = record('CheckVersionTxn', { path: ustring, version: int })
export type CheckVersionTxn = RecordOf<typeof CheckVersionTxn>

export const CreateSessionTxn = record('CreateSessionTxn', { timeOut: int })
export type CreateSessionTxn = RecordOf<typeof CreateSessionTxn>

const CloseSessionTxn = record('CloseSessionTxn', { paths2Delete: paths })

export const ErrorTxn = record('ErrorTxn', { err: int })
export type ErrorTxn = RecordOf<typeof ErrorTxn>

const SubTxn = record('Txn', { type: int, data: buffer })
const MultiTxn = record('MultiTxn', { txns: vector(SubTxn) })

/** Digest of the whole tree after the transaction: a check between servers. `version` is 2. */
export const TxnDigest = record('TxnDigest', { version: int, treeDigest: long })
export type TxnDigest = RecordOf<typeof TxnDigest>

export type SimpleTxn =
  | ({ type: typeof OpCode.create | typeof OpCode.create2 } & CreateTxn)
  | ({ type: typeof OpCode.createContainer } & CreateContainerTxn)
  | ({ type: typeof OpCode.createTTL } & CreateTtlTxn)
  | ({ type: typeof OpCode.delete | typeof OpCode.deleteContainer } & DeleteTxn)
  | ({ type: typeof OpCode.setData | typeof OpCode.reconfig } & SetDataTxn)
  | ({ type: typeof OpCode.setACL } & SetAclTxn)
  | ({ type: typeof OpCode.check } & CheckVersionTxn)
  | ({ type: typeof OpCode.error } & ErrorTxn)

export type Txn =
  | SimpleTxn
  | ({ type: typeof OpCode.createSession } & CreateSessionTxn)
  /** `paths2Delete` null: a log from before 3.6, where each server used its own table of ephemerals. */
  | { type: typeof OpCode.closeSession; paths2Delete: string[] | null }
  | { type: typeof OpCode.multi; txns: SimpleTxn[] }

export function writeTxn(writer: ByteWriter, txn: Txn): void {
  switch (txn.type) {
    case OpCode.createSession:
      return CreateSessionTxn.write(writer, txn)
    case OpCode.closeSession:
      if (txn.paths2Delete !== null) CloseSessionTxn.write(writer, { paths2Delete: txn.paths2Delete })
      return undefined
    case OpCode.multi:
      return MultiTxn.write(writer, { txns: txn.txns.map((sub) => ({ type: sub.type, data: encodeSimple(sub) })) })
    default:
      return writeSimple(writer, txn)
  }
}

/** Buffers in the result are views into the reader's bytes. */
export function readTxn(reader: ByteReader, type: number): Txn {
  switch (type) {
    case OpCode.createSession:
      return { type, ...CreateSessionTxn.read(reader) }
    case OpCode.closeSession:
      return { type, paths2Delete: reader.remaining >= 4 ? CloseSessionTxn.read(reader).paths2Delete : null }
    case OpCode.multi:
      return { type, txns: MultiTxn.read(reader).txns.map((sub) => readSimple(subReader(sub.data), sub.type)) }
    default:
      return readSimple(reader, type)
  }
}

function subReader(data: Uint8Array | null): ByteReader {
  return new ByteReader(data ?? new Uint8Array(0))
}

function encodeSimple(txn: SimpleTxn): Uint8Array {
  const writer = new ByteWriter()
  writeSimple(writer, txn)
  return writer.toBytes()
}

function writeSimple(writer: ByteWriter, txn: SimpleTxn): void {
  switch (txn.type) {
    case OpCode.create:
    case OpCode.create2:
      return CreateTxn.write(writer, txn)
    case OpCode.createContainer:
      return CreateContainerTxn.write(writer, txn)
    case OpCode.createTTL:
      return CreateTtlTxn.write(writer, txn)
    case OpCode.delete:
    case OpCode.deleteContainer:
      return DeleteTxn.write(writer, txn)
    case OpCode.setData:
    case OpCode.reconfig:
      return SetDataTxn.write(writer, txn)
    case OpCode.setACL:
      return SetAclTxn.write(writer, txn)
    case OpCode.check:
      return CheckVersionTxn.write(writer, txn)
    case OpCode.error:
      return ErrorTxn.write(writer, txn)
  }
}

function readSimple(reader: ByteReader, type: number): SimpleTxn {
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
      return { type, ...CreateTxn.read(reader) }
    case OpCode.createContainer:
      return { type, ...CreateContainerTxn.read(reader) }
    case OpCode.createTTL:
      return { type, ...CreateTtlTxn.read(reader) }
    case OpCode.delete:
    case OpCode.deleteContainer:
      return { type, ...DeleteTxn.read(reader) }
    case OpCode.setData:
    case OpCode.reconfig:
      return { type, ...SetDataTxn.read(reader) }
    case OpCode.setACL:
      return { type, ...SetAclTxn.read(reader) }
    case OpCode.check:
      return { type, ...CheckVersionTxn.read(reader) }
    case OpCode.error:
      return { type, ...ErrorTxn.read(reader) }
    default:
      throw new MalformedBytesError(`a transaction of type ${type} is unknown`)
  }
}

/** Room for a transaction: most need a part of it, and larger data is not copied into it. */
const TXN_BYTES = 1024

/** In a log a header, the body, and from 3.6 on a digest that may be absent. */
export interface LoggedTxn {
  header: TxnHeader
  txn: Txn
  digest: TxnDigest | null
}

export const LoggedTxn: RecordCodec<LoggedTxn> = {
  name: 'LoggedTxn',
  read(reader) {
    const header = TxnHeader.read(reader)
    const txn = readTxn(reader, header.type)
    return { header, txn, digest: reader.remaining > 0 ? TxnDigest.read(reader) : null }
  },
  write(writer, { header, txn, digest }) {
    TxnHeader.write(writer, header)
    writeTxn(writer, txn)
    if (digest !== null) TxnDigest.write(writer, digest)
  },
  encode(logged) {
    const writer = new ByteWriter(TXN_BYTES)
    LoggedTxn.write(writer, logged)
    return writer.toBytes()
  },
  decode: (bytes) => LoggedTxn.read(new ByteReader(bytes)),
}

/** A transaction as it is logged and proposed: an encoded `LoggedTxn`. */
export interface LoggedBytes {
  readonly zxid: bigint
  readonly bytes: Uint8Array
}
