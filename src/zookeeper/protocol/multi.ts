/**
 * multi and multiRead: entries of different types, each after a `MultiHeader`, ended by one that says done.
 *
 *     { MultiHeader(type, false, -1), request of that type }*  MultiHeader(-1, true, -1)
 *
 * An answer has an entry per request. When one operation of a multi failed, all entries are errors: 0 before it,
 * its code, RUNTIMEINCONSISTENCY after it. Source: MultiOperationRecord, MultiResponse.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'

import { OpCode } from './constants.ts'
import type { RecordCodec } from './jute.ts'
import { MultiHeader, type Stat } from './records.ts'
import {
  CheckVersionRequest,
  Create2Response,
  CreateRequest,
  CreateResponse,
  CreateTtlRequest,
  DeleteRequest,
  ErrorResponse,
  GetChildrenResponse,
  GetDataResponse,
  ReadRequest,
  SetDataRequest,
  StatResponse,
} from './requests.ts'

type CreateType = typeof OpCode.create | typeof OpCode.create2 | typeof OpCode.createContainer

export type MultiOp =
  | ({ type: CreateType } & CreateRequest)
  | ({ type: typeof OpCode.createTTL } & CreateTtlRequest)
  | ({ type: typeof OpCode.delete } & DeleteRequest)
  | ({ type: typeof OpCode.setData } & SetDataRequest)
  | ({ type: typeof OpCode.check } & CheckVersionRequest)

export type MultiReadOp = { type: typeof OpCode.getData | typeof OpCode.getChildren } & ReadRequest

export type MultiResult =
  | { type: typeof OpCode.create; path: string }
  | { type: typeof OpCode.create2; path: string; stat: Stat }
  | { type: typeof OpCode.setData; stat: Stat }
  | { type: typeof OpCode.delete }
  | { type: typeof OpCode.check }
  | { type: typeof OpCode.getData; data: Uint8Array | null; stat: Stat }
  | { type: typeof OpCode.getChildren; children: string[] }
  | { type: typeof OpCode.error; err: number }

type Entry = { type: number; err?: number }

export const MultiRequest: RecordCodec<MultiOp[]> = entries('MultiRequest', readOp, writeOp)
export const MultiReadRequest: RecordCodec<MultiReadOp[]> = entries('MultiReadRequest', readReadOp, ReadRequest.write)
export const MultiResponse: RecordCodec<MultiResult[]> = entries('MultiResponse', readResult, writeResult)

function readOp(reader: ByteReader, type: number): MultiOp {
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
      return { type, ...CreateRequest.read(reader) }
    case OpCode.createTTL:
      return { type, ...CreateTtlRequest.read(reader) }
    case OpCode.delete:
      return { type, ...DeleteRequest.read(reader) }
    case OpCode.setData:
      return { type, ...SetDataRequest.read(reader) }
    case OpCode.check:
      return { type, ...CheckVersionRequest.read(reader) }
    default:
      throw new MalformedBytesError(`operation ${type} is not one of a multi`)
  }
}

function writeOp(writer: ByteWriter, op: MultiOp): void {
  switch (op.type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
      return CreateRequest.write(writer, op)
    case OpCode.createTTL:
      return CreateTtlRequest.write(writer, op)
    case OpCode.delete:
      return DeleteRequest.write(writer, op)
    case OpCode.setData:
      return SetDataRequest.write(writer, op)
    case OpCode.check:
      return CheckVersionRequest.write(writer, op)
  }
}

function readReadOp(reader: ByteReader, type: number): MultiReadOp {
  if (type !== OpCode.getData && type !== OpCode.getChildren)
    throw new MalformedBytesError(`operation ${type} is not one of a multiRead`)
  return { type, ...ReadRequest.read(reader) }
}

function readResult(reader: ByteReader, type: number): MultiResult {
  switch (type) {
    case OpCode.create:
      return { type, ...CreateResponse.read(reader) }
    case OpCode.create2:
      return { type, ...Create2Response.read(reader) }
    case OpCode.setData:
      return { type, ...StatResponse.read(reader) }
    case OpCode.delete:
    case OpCode.check:
      return { type }
    case OpCode.getData:
      return { type, ...GetDataResponse.read(reader) }
    case OpCode.getChildren:
      return { type, ...GetChildrenResponse.read(reader) }
    case OpCode.error:
      return { type, ...ErrorResponse.read(reader) }
    default:
      throw new MalformedBytesError(`an answer of type ${type} is none of a multi`)
  }
}

function writeResult(writer: ByteWriter, result: MultiResult): void {
  switch (result.type) {
    case OpCode.create:
      return CreateResponse.write(writer, result)
    case OpCode.create2:
      return Create2Response.write(writer, result)
    case OpCode.setData:
      return StatResponse.write(writer, result)
    case OpCode.delete:
    case OpCode.check:
      return undefined
    case OpCode.getData:
      return GetDataResponse.write(writer, result)
    case OpCode.getChildren:
      return GetChildrenResponse.write(writer, result)
    case OpCode.error:
      return ErrorResponse.write(writer, result)
  }
}

/** `whenFine`: what the header's `err` says where the entry carries none: -1 in requests, 0 in answers. */
function entries<T extends Entry>(
  name: string,
  readEntry: (reader: ByteReader, type: number) => T,
  writeEntry: (writer: ByteWriter, entry: T) => void,
): RecordCodec<T[]> {
  const whenFine = name === 'MultiResponse' ? 0 : -1
  const read = (reader: ByteReader): T[] => {
    const found: T[] = []
    for (let header = MultiHeader.read(reader); !header.done; header = MultiHeader.read(reader))
      found.push(readEntry(reader, header.type))
    return found
  }
  const write = (writer: ByteWriter, all: T[]): void => {
    for (const entry of all) {
      MultiHeader.write(writer, { type: entry.type, done: false, err: entry.err ?? whenFine })
      writeEntry(writer, entry)
    }
    MultiHeader.write(writer, { type: -1, done: true, err: -1 })
  }
  return {
    name,
    read,
    write,
    encode(all) {
      const writer = new ByteWriter()
      write(writer, all)
      return writer.toBytes()
    },
    decode: (bytes) => read(new ByteReader(bytes)),
  }
}
