import { OpCode } from '#zookeeper/protocol'

/** What the admin words call an operation. Source: FinalRequestProcessor. */
const LABELS: Readonly<Record<number, string>> = {
  [OpCode.createSession]: 'SESS',
  [OpCode.closeSession]: 'CLOS',
  [OpCode.ping]: 'PING',
  [OpCode.create]: 'CREA',
  [OpCode.create2]: 'CREA',
  [OpCode.createContainer]: 'CREA',
  [OpCode.createTTL]: 'CREA',
  [OpCode.delete]: 'DELE',
  [OpCode.setData]: 'SETD',
  [OpCode.setACL]: 'SETA',
  [OpCode.exists]: 'EXIS',
  [OpCode.getData]: 'GETD',
  [OpCode.getACL]: 'GETA',
  [OpCode.getChildren]: 'GETC',
  [OpCode.getChildren2]: 'GETC',
  [OpCode.getAllChildrenNumber]: 'GETACN',
  [OpCode.sync]: 'SYNC',
  [OpCode.multi]: 'MULT',
  [OpCode.multiRead]: 'MLTR',
  [OpCode.setWatches]: 'SETW',
  [OpCode.setWatches2]: 'STW2',
  [OpCode.addWatch]: 'ADDW',
  [OpCode.checkWatches]: 'CHKW',
  [OpCode.removeWatches]: 'REMW',
  [OpCode.getEphemerals]: 'GETE',
  [OpCode.whoAmI]: 'HOMI',
  [OpCode.reconfig]: 'RECO',
}

export function operationLabel(type: number): string {
  return LABELS[type] ?? 'NA'
}

/** Whether the operation becomes a transaction. */
export function isWrite(type: number): boolean {
  return WRITES.has(type)
}

const WRITES: ReadonlySet<number> = new Set([
  OpCode.createSession,
  OpCode.closeSession,
  OpCode.create,
  OpCode.create2,
  OpCode.createContainer,
  OpCode.createTTL,
  OpCode.delete,
  OpCode.deleteContainer,
  OpCode.setData,
  OpCode.setACL,
  OpCode.multi,
])
