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
  readonly ephemeralOwner: bigint
  readonly dataLength: number
  readonly numChildren: number
}

export function statText(stat: StatView): string {
  const { czxid, mzxid, pzxid, version, cversion, ephemeralOwner, dataLength, numChildren } = stat
  return `${hex(czxid)}/${hex(mzxid)}/${hex(pzxid)} v${version} c${cversion} o${hex(ephemeralOwner)} ${dataLength} bytes ${numChildren} children`
}

export function dataText(data: string, stat: StatView): string {
  return `'${data}' ${statText(stat)}`
}

export function childrenText(names: readonly string[], stat: StatView): string {
  return `[${[...names].sort().join()}] ${statText(stat)}`
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
    case 'create':
      return operations.create.response.read(reader).path
    case 'set':
      return statText(operations.setData.response.read(reader).stat)
    case 'multi':
      return multiText(operations.multi.response.read(reader).map(stepText))
    case 'get': {
      const { data, stat } = operations.getData.response.read(reader)
      return dataText(textOf(data), stat)
    }
    case 'exists':
      return statText(operations.exists.response.read(reader).stat)
    case 'children': {
      const { children, stat } = operations.getChildren2.response.read(reader)
      return childrenText(children, stat)
    }
    case 'delete':
    case 'check':
    case 'sync':
    case 'close':
      return ''
  }
}

function stepText(result: MultiResult): StepText {
  switch (result.type) {
    case OpCode.create:
      return result.path
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
