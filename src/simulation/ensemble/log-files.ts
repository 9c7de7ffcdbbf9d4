import { LoggedTxn, OpCode } from '#zookeeper/protocol'

import type { DiskFile, SimulatedDisk } from '../disk.ts'
import type { Committed } from './history.ts'
import { OK } from './outcome.ts'

const FILE_HEADER_BYTES = 16
const ENTRY_HEAD_BYTES = 12

/** The code that a transaction refuses its request with; of a multi that of the operation which was refused. */
function refusalOf({ txn }: LoggedTxn): Pick<Committed, 'err' | 'errAt'> {
  if (txn.type === OpCode.error) return { err: txn.err, errAt: 0 }
  if (txn.type === OpCode.multi)
    for (const [errAt, each] of txn.txns.entries())
      if (each.type === OpCode.error && each.err !== OK) return { err: each.err, errAt }
  return { err: OK, errAt: 0 }
}

/** What the transaction logs in a folder hold, by zxid. Of two entries with one zxid the one in the later file counts. */
export function logOnDisk(disk: SimulatedDisk, folder: string): Map<bigint, Uint8Array> {
  const found = new Map<bigint, Uint8Array>()
  const directory = disk.find(folder)
  if (directory?.kind !== 'directory') return found
  for (const [name, node] of directory.entries) {
    if (!name.startsWith('log.')) continue
    for (const bytes of entriesOf(disk, node as DiskFile)) found.set(zxidOf(bytes), bytes)
  }
  return found
}

/** Of a server of its own: there, what is logged is committed. */
export function committedOnDisk(disk: SimulatedDisk, folder: string): Committed[] {
  return [...logOnDisk(disk, folder).values()]
    .map((bytes) => ({ ...decidedOf(bytes), atMs: 0 }))
    .sort((a, b) => (a.zxid < b.zxid ? -1 : 1))
}

/** What a transaction says, as the history has it. */
export function decidedOf(bytes: Uint8Array): Omit<Committed, 'atMs'> {
  const logged = LoggedTxn.decode(bytes)
  const { zxid, clientId, cxid, type, time } = logged.header
  const reaped = logged.txn.type === OpCode.deleteContainer ? logged.txn.path : null
  return { zxid, session: clientId, cxid, type, ...refusalOf(logged), wallMs: time, reaped }
}

/** A transaction begins with session int64, cxid int32, zxid int64. */
function zxidOf(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(12)
}

function* entriesOf(disk: SimulatedDisk, file: DiskFile): Iterable<Uint8Array> {
  const content = new Uint8Array(file.size)
  disk.read(file, content, 0)
  const view = new DataView(content.buffer)
  for (let at = FILE_HEADER_BYTES; at + ENTRY_HEAD_BYTES < content.length;) {
    const length = view.getInt32(at + 8)
    if (length <= 0) return
    yield content.subarray(at + ENTRY_HEAD_BYTES, at + ENTRY_HEAD_BYTES + length)
    at += ENTRY_HEAD_BYTES + length + 1
  }
}
