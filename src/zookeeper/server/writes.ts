/** Writes on their way in and their answers on the way out. */
import type { ByteReader, ByteWriter } from '#base'
import { OpCode, operations, type MultiOp, type MultiResult } from '#zookeeper/protocol'
import type { Applied, WriteBody } from '#zookeeper/tree'

/**
 * null where `type` is no write of a client. The result holds nothing of the frame: data is copied once, here,
 * and the same array goes to the log and into the tree.
 */
export function decodeWrite(type: number, reader: ByteReader): WriteBody | null {
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
      return owningData({ type, ...operations.create.request.read(reader) })
    case OpCode.createTTL:
      return owningData({ type, ...operations.createTTL.request.read(reader) })
    case OpCode.delete:
      return { type, ...operations.delete.request.read(reader) }
    case OpCode.setData:
      return owningData({ type, ...operations.setData.request.read(reader) })
    case OpCode.setACL:
      return { type, ...operations.setACL.request.read(reader) }
    case OpCode.multi:
      return { type, ops: operations.multi.request.read(reader).map(owningDataOf) }
    case OpCode.reconfig:
    case OpCode.closeSession:
      return { type }
    default:
      return null
  }
}

function owningData<T extends { data: Uint8Array | null }>(body: T): T {
  if (body.data !== null) body.data = body.data.slice()
  return body
}

function owningDataOf(op: MultiOp): MultiOp {
  return 'data' in op ? owningData(op) : op
}

/** The body of a successful answer. `type` is the request's. */
export function writeAnswer(writer: ByteWriter, type: number, applied: Applied): void {
  switch (type) {
    case OpCode.create:
      return operations.create.response.write(writer, { path: applied.path })
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return operations.create2.response.write(writer, { path: applied.path, stat: applied.stat! })
    case OpCode.setData:
    case OpCode.setACL:
      return operations.setData.response.write(writer, { stat: applied.stat! })
    case OpCode.multi:
      return operations.multi.response.write(writer, applied.results!.map(multiResult))
    default:
      return undefined
  }
}

function multiResult({ type, err, path, stat }: Applied): MultiResult {
  switch (type) {
    case OpCode.create:
      return { type, path }
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return { type: OpCode.create2, path, stat: stat! }
    case OpCode.setData:
      return { type, stat: stat! }
    case OpCode.delete:
    case OpCode.check:
      return { type }
    default:
      return { type: OpCode.error, err }
  }
}
