/** What clients ask for, as it goes over the wire. */
import type { ByteWriter } from '#base'
import { AddWatchMode, CreateMode, OpCode, WatcherType, operations, type Acl, type MultiOp } from '#zookeeper/protocol'

import type { AclEntry, Request, Step, WatchKind } from './history.ts'
import { OPEN, idOf } from './permissions.ts'

/** Type and body; the xid stands before them. */
export function writeRequest(writer: ByteWriter, request: Request): void {
  switch (request.kind) {
    case 'create':
    case 'delete':
    case 'set':
    case 'check': {
      const op = stepOf(request)
      writer.int32(op.type)
      return writeStep(writer, op)
    }
    case 'setAcl': {
      const { path, acl, version } = request
      writer.int32(OpCode.setACL)
      return operations.setACL.request.write(writer, { path, acl: wireAcl(acl), version })
    }
    case 'acl':
      writer.int32(OpCode.getACL)
      return operations.getACL.request.write(writer, request)
    case 'multi':
      writer.int32(OpCode.multi)
      return operations.multi.request.write(writer, request.steps.map(stepOf))
    case 'close':
      return writer.int32(OpCode.closeSession)
    case 'sync':
      writer.int32(OpCode.sync)
      return operations.sync.request.write(writer, { path: '/' })
    case 'get':
      writer.int32(OpCode.getData)
      return operations.getData.request.write(writer, request)
    case 'exists':
      writer.int32(OpCode.exists)
      return operations.exists.request.write(writer, request)
    case 'children':
      writer.int32(OpCode.getChildren2)
      return operations.getChildren2.request.write(writer, request)
    case 'addWatch': {
      const { path, recursive } = request
      writer.int32(OpCode.addWatch)
      const mode = recursive ? AddWatchMode.persistentRecursive : AddWatchMode.persistent
      return operations.addWatch.request.write(writer, { path, mode })
    }
    case 'removeWatches':
      writer.int32(OpCode.removeWatches)
      return operations.removeWatches.request.write(writer, { path: request.path, type: WATCHER_TYPES[request.of] })
  }
}

const WATCHER_TYPES: Record<WatchKind, number> = {
  children: WatcherType.children,
  data: WatcherType.data,
  any: WatcherType.any,
  persistent: WatcherType.persistent,
  recursive: WatcherType.persistentRecursive,
}

function writeStep(writer: ByteWriter, op: MultiOp): void {
  if (op.type === OpCode.create) operations.create.request.write(writer, op)
  else if (op.type === OpCode.createContainer) operations.createContainer.request.write(writer, op)
  else if (op.type === OpCode.createTTL) operations.createTTL.request.write(writer, op)
  else if (op.type === OpCode.delete) operations.delete.request.write(writer, op)
  else if (op.type === OpCode.setData) operations.setData.request.write(writer, op)
  else if (op.type === OpCode.check) operations.check.request.write(writer, op)
}

function stepOf(step: Step): MultiOp {
  switch (step.kind) {
    case 'create':
      return createOf(step)
    case 'delete':
      return { type: OpCode.delete, path: step.path, version: step.version }
    case 'set':
      return {
        type: OpCode.setData,
        path: step.path,
        data: new TextEncoder().encode(step.data),
        version: step.version,
      }
    case 'check':
      return { type: OpCode.check, path: step.path, version: step.version }
  }
}

function wireAcl(acl: readonly AclEntry[]): Acl[] {
  return acl.map(({ who, perms }) => ({ perms, id: idOf(who, true) }))
}

function createOf({ path, data, life, sequential, acl = OPEN }: Extract<Step, { kind: 'create' }>): MultiOp {
  const request = { path, data: new TextEncoder().encode(data), acl: wireAcl(acl) }
  if (life === 'container') return { type: OpCode.createContainer, ...request, flags: CreateMode.container }
  if (life === 'ephemeral') {
    const flags = sequential ? CreateMode.ephemeralSequential : CreateMode.ephemeral
    return { type: OpCode.create, ...request, flags }
  }
  if (life === 'persistent') {
    const flags = sequential ? CreateMode.persistentSequential : CreateMode.persistent
    return { type: OpCode.create, ...request, flags }
  }
  const flags = sequential ? CreateMode.persistentSequentialTtl : CreateMode.persistentTtl
  return { type: OpCode.createTTL, ...request, flags, ttl: life.ttlMs }
}
