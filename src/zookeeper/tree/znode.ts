import { crc32 } from 'node:zlib'

import type { Stat } from '#zookeeper/protocol'

import { OPEN_ACL, type SharedAcl } from './acl.ts'

/** One node of the tree. Its data is never changed in place: a write puts another array there. */
export interface Znode {
  data: Uint8Array | null
  acl: SharedAcl
  czxid: bigint
  mzxid: bigint
  pzxid: bigint
  /** Wall clock in ms, from the transaction. */
  ctime: number
  mtime: number
  version: number
  /** Children created so far; deletions do not lower it. It numbers sequential children. */
  cversion: number
  aversion: number
  /** See `ownership`. */
  ephemeralOwner: bigint
  /** By name, not path; null as long as there was none. */
  children: Map<string, Znode> | null
  /** CRC of path, data and stat, or `DIGEST_UNKNOWN` since the last change. */
  digest: number
  /** Number of the newest frozen tree that knows what it was; older ones know it, too. 0: none does. */
  keptBy: number
}

export const DIGEST_UNKNOWN = -1
/** Version of the calculation below, as logs and snapshots name it. */
export const DIGEST_VERSION = 2

export function emptyZnode(): Znode {
  return {
    data: new Uint8Array(0),
    acl: OPEN_ACL,
    czxid: 0n,
    mzxid: 0n,
    pzxid: 0n,
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ephemeralOwner: 0n,
    children: null,
    digest: DIGEST_UNKNOWN,
    keptBy: 0,
  }
}

/** Marks a container: a node that goes when its last child has gone. */
export const CONTAINER_OWNER = -(2n ** 63n)
/** Upper byte of a TTL node's owner; the lower 40 bits are its ms. */
const TTL_OWNER_MARK = 0xffn
export const TTL_MS_MAX = 0xff_ffff_ffff

export type Ownership = 'none' | 'session' | 'container' | 'ttl'

/** `extendedTypes`: without them an owner that looks like a TTL is a session of server 255. Source: EphemeralType. */
export function ownership(owner: bigint, extendedTypes: boolean): Ownership {
  if (owner === 0n) return 'none'
  if (owner === CONTAINER_OWNER) return 'container'
  if (extendedTypes && BigInt.asUintN(64, owner) >> 56n === TTL_OWNER_MARK) return 'ttl'
  return 'session'
}

export function ttlOwner(ttlMs: number): bigint {
  return BigInt.asIntN(64, (TTL_OWNER_MARK << 56n) | BigInt(ttlMs))
}

export function ttlOf(owner: bigint): number {
  return Number(owner & BigInt(TTL_MS_MAX))
}

/** What a client sees of the node. */
export function statOf(node: Znode, extendedTypes: boolean): Stat {
  const numChildren = node.children === null ? 0 : node.children.size
  return {
    czxid: node.czxid,
    mzxid: node.mzxid,
    ctime: node.ctime,
    mtime: node.mtime,
    version: node.version,
    cversion: (node.cversion * 2 - numChildren) | 0,
    aversion: node.aversion,
    ephemeralOwner: ownership(node.ephemeralOwner, extendedTypes) === 'session' ? node.ephemeralOwner : 0n,
    dataLength: node.data === null ? 0 : node.data.length,
    numChildren,
    pzxid: node.pzxid,
  }
}

/** The part of a node that its digest covers. */
export type Digested = Omit<Znode, 'acl' | 'children' | 'digest' | 'keptBy'>

const STAT_BYTES = 60
/** Path, data and stat lie here one after the other, so that one call digests them: most nodes are small. */
const scratch = new Uint8Array(4096)
const scratchView = new DataView(scratch.buffer)
/** The first so many bytes of it, by their number: most nodes have one of a few lengths. */
const scratchStarts: (Uint8Array | undefined)[] = []
const utf8Encoder = new TextEncoder()

/**
 * CRC-32 over path, data and 60 bytes of the stat. The sum of all of them is the tree's digest, by which
 * servers see that they hold the same. What lies under /zookeeper differs by right and counts 0.
 * Source: DigestCalculator.
 */
export function digestOf(path: string, node: Digested): number {
  if (path.startsWith('/zookeeper/')) return 0
  const { data } = node
  const dataBytes = data === null ? 0 : data.length
  if (path.length * 3 + dataBytes + STAT_BYTES > scratch.length) return digestOfLarge(path, node)
  let end = writeText(path)
  if (data !== null) scratch.set(data, end)
  end += dataBytes
  writeStat(end, node)
  return crc32(scratchStart(end + STAT_BYTES))
}

function scratchStart(length: number): Uint8Array {
  return (scratchStarts[length] ??= scratch.subarray(0, length))
}

function digestOfLarge(path: string, node: Digested): number {
  let crc = crc32(path)
  if (node.data !== null) crc = crc32(node.data, crc)
  writeStat(0, node)
  return crc32(scratchStart(STAT_BYTES), crc)
}

/** Returns where it ends. */
function writeText(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 0x7f) return utf8Encoder.encodeInto(text, scratch).written
    scratch[at] = unit
  }
  return text.length
}

function writeStat(at: number, node: Digested): void {
  scratchView.setBigInt64(at, node.czxid)
  scratchView.setBigInt64(at + 8, node.mzxid)
  scratchView.setBigInt64(at + 16, node.pzxid)
  writeInt64(at + 24, node.ctime)
  writeInt64(at + 32, node.mtime)
  scratchView.setInt32(at + 40, node.version)
  scratchView.setInt32(at + 44, node.cversion)
  scratchView.setInt32(at + 48, node.aversion)
  scratchView.setBigInt64(at + 52, node.ephemeralOwner)
}

function writeInt64(at: number, value: number): void {
  scratchView.setInt32(at, Math.floor(value / 0x1_0000_0000))
  scratchView.setUint32(at + 4, value >>> 0)
}
