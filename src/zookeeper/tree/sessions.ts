/**
 * Sessions: their numbers and passwords, and which of them have been silent too long.
 * Source: SessionTrackerImpl, ExpiryQueue, ZooKeeperServer.generatePasswd.
 */
import { PASSWORD_BYTES, ZkErrorCode } from '#zookeeper/protocol'

import { CONTAINER_OWNER } from './znode.ts'

interface Session {
  readonly id: bigint
  /** ms of silence that end it. */
  timeoutMs: number
  /** The bucket that it expires in: its upper end. */
  expiresAtMs: number
  /** Its end is decided and not yet applied: nothing else of it is accepted. */
  closing: boolean
  /** The server (of an ensemble) that its client is connected to; null until one says so. */
  owner: unknown
}

/**
 * Sessions expire in buckets, always at the end of the one that their silence ends in. Apache's buckets are a tick wide,
 * so that what a dead client held lives on for up to a tick more; narrow ones give it back sooner, and never too soon.
 */
export class SessionTracker {
  readonly #bucketMs: number
  readonly #sessions = new Map<bigint, Session>()
  readonly #buckets = new Map<number, Set<Session>>()
  /** End of the first bucket that has not been looked at. */
  #nextBucketMs: number

  constructor(bucketMs: number, nowMs: number) {
    this.#bucketMs = bucketMs
    this.#nextBucketMs = this.#bucketOf(nowMs)
  }

  get size(): number {
    return this.#sessions.size
  }

  has(id: bigint): boolean {
    return this.#sessions.has(id)
  }

  /** ms until the next bucket is due. */
  dueInMs(nowMs: number): number {
    return Math.max(0, this.#nextBucketMs - nowMs)
  }

  track(id: bigint, timeoutMs: number, nowMs: number): void {
    if (!this.#sessions.has(id)) this.#sessions.set(id, { id, timeoutMs, expiresAtMs: 0, closing: false, owner: null })
    this.touch(id, timeoutMs, nowMs)
  }

  /** A sign of life. False: there is no such session, or it is closing. */
  touch(id: bigint, timeoutMs: number, nowMs: number): boolean {
    const session = this.#sessions.get(id)
    if (session === undefined || session.closing) return false
    const expiresAtMs = this.#bucketOf(nowMs + timeoutMs)
    if (expiresAtMs > session.expiresAtMs) this.#moveTo(session, expiresAtMs)
    return true
  }

  /** `OK`, `SESSIONEXPIRED`, or `SESSIONMOVED` when another owner has taken it over. */
  check(id: bigint, owner: unknown): number {
    const session = this.#sessions.get(id)
    if (session === undefined || session.closing) return ZkErrorCode.SESSIONEXPIRED
    session.owner ??= owner
    return session.owner === owner ? ZkErrorCode.OK : ZkErrorCode.SESSIONMOVED
  }

  setOwner(id: bigint, owner: unknown): void {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.owner = owner
  }

  setClosing(id: bigint): void {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.closing = true
  }

  remove(id: bigint): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    this.#leaveBucket(session)
  }

  /** Sessions whose bucket has ended; each is named once and counts as closing from then on. */
  takeExpired(nowMs: number): bigint[] {
    const expired: bigint[] = []
    for (; this.#nextBucketMs <= nowMs; this.#nextBucketMs += this.#bucketMs) {
      for (const session of this.#buckets.get(this.#nextBucketMs) ?? []) {
        session.closing = true
        expired.push(session.id)
      }
      this.#buckets.delete(this.#nextBucketMs)
    }
    return expired
  }

  /** End of each bucket, and who expires then; for the admin words. */
  buckets(): [number, bigint[]][] {
    return Array.from(this.#buckets, ([endMs, sessions]): [number, bigint[]] => [
      endMs,
      Array.from(sessions, (session) => session.id),
    ]).sort(([a], [b]) => a - b)
  }

  #bucketOf(timeMs: number): number {
    return (Math.floor(timeMs / this.#bucketMs) + 1) * this.#bucketMs
  }

  #moveTo(session: Session, expiresAtMs: number): void {
    this.#leaveBucket(session)
    session.expiresAtMs = expiresAtMs
    let bucket = this.#buckets.get(expiresAtMs)
    if (bucket === undefined) this.#buckets.set(expiresAtMs, (bucket = new Set()))
    bucket.add(session)
  }

  #leaveBucket(session: Session): void {
    const bucket = this.#buckets.get(session.expiresAtMs)
    if (bucket?.delete(session) && bucket.size === 0) this.#buckets.delete(session.expiresAtMs)
  }
}

/**
 * Numbers for new sessions: the server's id in the upper byte, then ms of its start, then a count.
 *
 *     | server 8 | ms since the epoch, lower 40 bits | count 16 |
 */
export class SessionIds {
  #next: bigint

  constructor(serverId: number, nowMs: number) {
    const started = BigInt.asUintN(40, BigInt(Math.floor(nowMs))) << 16n
    this.#next = BigInt.asIntN(64, (BigInt(serverId) << 56n) | started)
  }

  take(isTaken: (id: bigint) => boolean): bigint {
    while (this.#next === CONTAINER_OWNER || this.#next === 0n || isTaken(this.#next)) this.#advance()
    const id = this.#next
    this.#advance()
    return id
  }

  #advance(): void {
    this.#next = BigInt.asIntN(64, this.#next + 1n)
  }
}

/** Every server computes the same password from the same number, so that a client may come back to any of them. */
const SECRET = 0xb3415c00n
const LCG_MULTIPLIER = 0x5deece66dn

/** The first 16 bytes of `java.util.Random(id ^ secret)`, a linear congruence of 48 bits. */
export function passwordOf(sessionId: bigint): Uint8Array {
  let seed = BigInt.asUintN(48, sessionId ^ SECRET ^ LCG_MULTIPLIER)
  const password = new Uint8Array(PASSWORD_BYTES)
  const view = new DataView(password.buffer)
  for (let at = 0; at < PASSWORD_BYTES; at += 4) {
    seed = BigInt.asUintN(48, seed * LCG_MULTIPLIER + 0xbn)
    view.setUint32(at, Number(seed >> 16n), true)
  }
  return password
}

/** Looks at every byte, whatever the first ones say. */
export function isPasswordOf(sessionId: bigint, password: Uint8Array | null): boolean {
  const right = passwordOf(sessionId)
  if (password === null || password.length !== right.length) return false
  let difference = 0
  for (let at = 0; at < right.length; at++) difference |= right[at]! ^ password[at]!
  return difference === 0
}
