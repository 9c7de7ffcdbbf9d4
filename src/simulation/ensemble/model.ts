/**
 * Znodes as the documentation describes them, one operation after the other: the sequential execution that a
 * history is compared with. Knows nothing of servers, and shares no code with `zookeeper/tree`.
 */
import { WatchEventType, ZkErrorCode } from '#zookeeper/protocol'

import type { ReadRequest, Step, WriteRequest } from './history.ts'
import { OK, childrenText, dataText, multiText, refusalText, statText, type StatView } from './outcome.ts'

interface ModelNode {
  data: string
  version: number
  /** Children created so far. */
  creations: number
  readonly czxid: bigint
  mzxid: bigint
  pzxid: bigint
  /** Session; 0 for a persistent znode. */
  readonly owner: bigint
  readonly children: Set<string>
}

export interface Outcome {
  readonly err: number
  readonly text: string
}

/** Something that a watch on this path is told. */
export interface Change {
  readonly zxid: bigint
  readonly type: number
}

const ANY_VERSION = -1

export class ZnodeModel {
  readonly nodes = new Map<string, ModelNode>([['', newNode('', 0n, 0n)]])
  readonly sessions = new Set<bigint>()
  /** What data watches and child watches were told, by path, in order. */
  readonly dataChanges = new Map<string, Change[]>()
  readonly childChanges = new Map<string, Change[]>()
  /** Changes that are to be taken back if the multi fails. */
  #undo: (() => void)[] | null = null

  write(request: WriteRequest, session: bigint, zxid: bigint): Outcome {
    if (request.kind === 'close') {
      this.endSession(session, zxid)
      return { err: OK, text: '' }
    }
    return request.kind === 'multi' ? this.#multi(request.steps, session, zxid) : this.#step(request, session, zxid)
  }

  read({ kind, path }: ReadRequest): Outcome {
    const node = this.nodes.get(path)
    if (node === undefined) return { err: ZkErrorCode.NONODE, text: '' }
    switch (kind) {
      case 'exists':
        return { err: OK, text: statText(statOf(node)) }
      case 'get':
        return { err: OK, text: dataText(node.data, statOf(node)) }
      case 'children':
        return { err: OK, text: childrenText([...node.children], statOf(node)) }
    }
  }

  endSession(session: bigint, zxid: bigint): void {
    this.sessions.delete(session)
    for (const [path, { owner }] of this.nodes) if (owner === session && session !== 0n) this.#remove(path, zxid)
  }

  #multi(steps: readonly Step[], session: bigint, zxid: bigint): Outcome {
    const undo: (() => void)[] = []
    this.#undo = undo
    const texts: string[] = []
    let failedAt = -1
    for (const [index, step] of steps.entries()) {
      const { err, text } = this.#step(step, session, zxid)
      if (err !== OK) {
        failedAt = index
        texts.push(refusalText(err))
        break
      }
      texts.push(text)
    }
    this.#undo = null
    if (failedAt < 0) return { err: OK, text: multiText(texts) }
    for (const takeBack of undo.reverse()) takeBack()
    // Everything before the step that failed says 0, everything after it that it was not tried.
    const told = steps.map((_, index) =>
      index < failedAt
        ? refusalText(OK)
        : index === failedAt
          ? texts[index]!
          : refusalText(ZkErrorCode.RUNTIMEINCONSISTENCY),
    )
    return { err: OK, text: multiText(told) }
  }

  #step(step: Step, session: bigint, zxid: bigint): Outcome {
    switch (step.kind) {
      case 'create':
        return this.#create(step, session, zxid)
      case 'delete': {
        const node = this.nodes.get(step.path)
        if (node === undefined) return refused(ZkErrorCode.NONODE)
        if (isOtherVersion(step.version, node)) return refused(ZkErrorCode.BADVERSION)
        if (node.children.size > 0) return refused(ZkErrorCode.NOTEMPTY)
        this.#remove(step.path, zxid)
        return { err: OK, text: '' }
      }
      case 'set': {
        const node = this.nodes.get(step.path)
        if (node === undefined) return refused(ZkErrorCode.NONODE)
        if (isOtherVersion(step.version, node)) return refused(ZkErrorCode.BADVERSION)
        const before = { ...node }
        this.#later(() => Object.assign(node, before))
        node.data = step.data
        node.version += 1
        node.mzxid = zxid
        this.#changed(this.dataChanges, step.path, WatchEventType.nodeDataChanged, zxid)
        return { err: OK, text: statText(statOf(node)) }
      }
      case 'check': {
        const node = this.nodes.get(step.path)
        if (node === undefined) return refused(ZkErrorCode.NONODE)
        return isOtherVersion(step.version, node) ? refused(ZkErrorCode.BADVERSION) : { err: OK, text: '' }
      }
    }
  }

  #create(step: Extract<Step, { kind: 'create' }>, session: bigint, zxid: bigint): Outcome {
    const parentPath = parentOf(step.path)
    const parent = this.nodes.get(parentPath)
    if (parent === undefined) return refused(ZkErrorCode.NONODE)
    const path = step.sequential ? step.path + String(parent.creations).padStart(10, '0') : step.path
    if (this.nodes.has(path)) return refused(ZkErrorCode.NODEEXISTS)
    if (parent.owner !== 0n) return refused(ZkErrorCode.NOCHILDRENFOREPHEMERALS)
    const { creations, pzxid } = parent
    this.#later(() => {
      parent.creations = creations
      parent.pzxid = pzxid
      parent.children.delete(nameOf(path))
      this.nodes.delete(path)
    })
    parent.creations += 1
    parent.pzxid = zxid
    parent.children.add(nameOf(path))
    this.nodes.set(path, newNode(step.data, zxid, step.ephemeral ? session : 0n))
    this.#changed(this.dataChanges, path, WatchEventType.nodeCreated, zxid)
    this.#changed(this.childChanges, parentPath, WatchEventType.nodeChildrenChanged, zxid)
    return { err: OK, text: path }
  }

  #remove(path: string, zxid: bigint): void {
    const node = this.nodes.get(path)!
    const parentPath = parentOf(path)
    const parent = this.nodes.get(parentPath)!
    const { pzxid } = parent
    this.#later(() => {
      parent.pzxid = pzxid
      parent.children.add(nameOf(path))
      this.nodes.set(path, node)
    })
    parent.pzxid = zxid
    parent.children.delete(nameOf(path))
    this.nodes.delete(path)
    this.#changed(this.dataChanges, path, WatchEventType.nodeDeleted, zxid)
    this.#changed(this.childChanges, path, WatchEventType.nodeDeleted, zxid)
    this.#changed(this.childChanges, parentPath, WatchEventType.nodeChildrenChanged, zxid)
  }

  #changed(changes: Map<string, Change[]>, path: string, type: number, zxid: bigint): void {
    const known = changes.get(path)
    if (known === undefined) changes.set(path, [{ zxid, type }])
    else known.push({ zxid, type })
    this.#later(() => void changes.get(path)!.pop())
  }

  #later(takeBack: () => void): void {
    this.#undo?.push(takeBack)
  }
}

/** The first change after `zxid`, or null. */
export function firstAfter(changes: readonly Change[] | undefined, zxid: bigint): Change | null {
  if (changes === undefined) return null
  let low = 0
  let high = changes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (changes[middle]!.zxid <= zxid) low = middle + 1
    else high = middle
  }
  return changes[low] ?? null
}

function statOf(node: ModelNode): StatView {
  return {
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid: node.pzxid,
    version: node.version,
    cversion: 2 * node.creations - node.children.size,
    ephemeralOwner: node.owner,
    dataLength: node.data.length,
    numChildren: node.children.size,
  }
}

function newNode(data: string, zxid: bigint, owner: bigint): ModelNode {
  return { data, version: 0, creations: 0, czxid: zxid, mzxid: zxid, pzxid: zxid, owner, children: new Set() }
}

function refused(err: number): Outcome {
  return { err, text: '' }
}

function isOtherVersion(version: number, node: ModelNode): boolean {
  return version !== ANY_VERSION && version !== node.version
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
