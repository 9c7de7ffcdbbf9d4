/** What a client can see of an answer, as a text: made from the wire here, and from the model there. */
import type { ByteReader } from '#base'
import { OpCode, ZkErrorCode, operations, type MultiResult } from '#zookeeper/protocol'

import type { Request } from './history.ts'

/** Of a stat what does not depend on clocks. */
export interface StatView {
  readonly czxid: bigint
  readonly mzxid: bigint
  readonly pzxid: bigint
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly ephemeralOwner: bigint
  readonly dataLength: number
  readonly numChildren: number
}

export function statText(stat: StatView): string {
  const { czxid, mzxid, pzxid, version, cversion, aversion, ephemeralOwner, dataLength, numChildren } = stat
  return `${hex(czxid)}/${hex(mzxid)}/${hex(pzxid)} v${version} c${cversion} a${aversion} o${hex(ephemeralOwner)} ${dataLength} bytes ${numChildren} children`
}

export function dataText(data: string, stat: StatView): string {
  return `'${data}' ${statText(stat)}`
}

export function createdText(path: string, stat: StatView): string {
  return `${path} ${statText(stat)}`
}

export function childrenText(names: readonly string[], stat: StatView): string {
  return `[${[...names].sort().join()}] ${statText(stat)}`
}

/** Of an entry of a list: `digest:ann:…` and a number, in any order. */
export function aclText(entries: readonly { readonly id: string; readonly perms: number }[], stat: StatView): string {
  const texts = entries.map(({ id, perms }) => `${id} ${perms}`).sort()
  return `[${texts.join()}] ${statText(stat)}`
}

/** Of one operation of a multi that was carried out, in their order. */
export type StepText = string

export function multiText(steps: readonly StepText[]): string {
  return steps.join('; ')
}

/** The text of a step that was refused, or that stood beside one that was. */
export function refusalText(err: number): StepText {
  return `error ${err}`
}

/** Reads the body of an answer without an error. */
export function readOutcome(request: Request, reader: ByteReader): string {
  switch (request.kind) {
    case 'create': {
      if (request.life === 'persistent' || request.life === 'ephemeral')
        return operations.create.response.read(reader).path
      const { path, stat } = operations.create2.response.read(reader)
      return createdText(path, stat)
    }
    case 'set':
    case 'setAcl':
      return statText(operations.setData.response.read(reader).stat)
    case 'multi':
      return multiText(operations.multi.response.read(reader).map(stepText))
    case 'get': {
      const { data, stat } = operations.getData.response.read(reader)
      return dataText(textOf(data), stat)
    }
    case 'acl': {
      const { acl, stat } = operations.getACL.response.read(reader)
      return aclText(
        acl.map(({ perms, id }) => ({ id: `${id.scheme}:${id.id}`, perms })),
        stat,
      )
    }
    case 'exists':
      return statText(operations.exists.response.read(reader).stat)
    case 'children': {
      const { children, stat } = operations.getChildren2.response.read(reader)
      return childrenText(children, stat)
    }
    case 'addWatch':
      return addedText(operations.addWatch.response.read(reader).err)
    case 'removeWatches':
    case 'delete':
    case 'check':
    case 'sync':
    case 'close':
      return ''
  }
}

/** The body of this answer has an error code of its own. */
function addedText(err: number): string {
  return err === OK ? '' : refusalText(err)
}

function stepText(result: MultiResult): StepText {
  switch (result.type) {
    case OpCode.create:
      return result.path
    case OpCode.create2:
      return createdText(result.path, result.stat)
    case OpCode.setData:
      return statText(result.stat)
    case OpCode.error:
      return refusalText(result.err)
    default:
      return ''
  }
}

function textOf(data: Uint8Array | null): string {
  return data === null ? '' : new TextDecoder().decode(data)
}

export function hex(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16)
}

export const OK = ZkErrorCode.OK
