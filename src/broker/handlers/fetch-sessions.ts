/**
 * Incremental fetch sessions (KIP-227): the broker remembers what a fetcher wants, so that a request names only what
 * changed and an answer only what is new. A request says (session id, epoch):
 *
 *     (0, −1)  full, no session          (x, 0)   full, a new session in place of x
 *     (0,  0)  full, wants a session     (x, −1)  full, closes session x
 *     (x, n)   incremental; n must be the epoch that the session expects next
 *
 * Source: `kafka.server.FetchSession`.
 */
import type { Random } from '#platform'
import { ErrorCode, ZERO_UUID } from '#protocol'

/** A partition as a fetcher wants it. */
export interface WantedPartition {
  /** Empty when the request named an id that is not known (yet). */
  topic: string
  /** Null where the request goes by names. */
  topicId: string | null
  readonly partition: number
  fetchOffset: number
  logStartOffset: number
  maxBytes: number
  currentLeaderEpoch: number
  lastFetchedEpoch: number
}

/** What decides whether an incremental answer has to speak of a partition. */
export interface AnsweredPartition {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly records: { readonly length: number }
  readonly divergingEpoch: unknown
  readonly preferredReadReplica: number
}

export interface FetchRequestSession {
  readonly sessionId: number
  readonly sessionEpoch: number
  /** Followers may push consumers out of a full cache. */
  readonly privileged: boolean
  /** Versions 13 and later go by topic ids. */
  readonly usesTopicIds: boolean
  /** Of a full request all that is wanted, of an incremental one what is new or changed. */
  readonly partitions: readonly WantedPartition[]
  readonly forgotten: readonly { readonly topic: string; readonly topicId: string | null; readonly partition: number }[]
}

/** One request seen through its session. */
export interface FetchContext {
  /** Not `NONE`: the whole request is refused with it. */
  readonly errorCode: number
  readonly partitions: readonly WantedPartition[]
  /** Longest sensible wait for data in ms, whatever the request allows; see `SetAside`. */
  readonly patienceMs: number
  /** Judges the answers, given in the order of `partitions`, and moves the session on. To be called once. */
  answer<Answered extends AnsweredPartition>(answers: readonly Answered[]): SessionAnswer<Answered>
}

export interface SessionAnswer<Answered> {
  readonly errorCode: number
  readonly sessionId: number
  /** Those that the answer has to hold, in order. */
  readonly answers: readonly Answered[]
}

const NO_SESSION_ID = 0
const INITIAL_EPOCH = 0
const FINAL_EPOCH = -1
const EPOCH_MAX = 0x7fff_ffff

/** A session that was not used for this long, or is this old, may be pushed out by anybody. */
const EVICTABLE_AFTER_MS = 120_000

/** First patience with a request that leaves partitions aside, in ms. */
const PATIENCE_MS = 20

/**
 * Partitions that a consumer has just taken out of its session. Java's consumer does so while their records lie in its
 * buffer, and has one request per broker: were that one parked for the whole wait, on behalf of a partition that is read to its
 * end, the consumer would run dry. So it is answered soon; each empty answer doubles the patience, for what is paused does
 * not come back.
 */
class SetAside {
  readonly #keys = new Set<string>()
  #patienceMs = PATIENCE_MS

  get patienceMs(): number {
    return this.#keys.size === 0 ? Infinity : this.#patienceMs
  }

  add(key: string): void {
    this.#keys.add(key)
    this.#patienceMs = PATIENCE_MS
  }

  comesBack(key: string): void {
    this.#keys.delete(key)
  }

  onEmptyAnswer(): void {
    this.#patienceMs *= 2
  }
}

interface SessionPartition extends WantedPartition {
  /** As last answered; −1 makes sure that the next answer speaks of the partition. */
  sentHighWatermark: number
  sentLogStartOffset: number
}

interface Session {
  readonly id: number
  readonly privileged: boolean
  readonly usesTopicIds: boolean
  readonly createdAt: number
  lastUsedAt: number
  /** Expected of the next request. */
  epoch: number
  /** In the order in which they are served; what gave records moves to the end. */
  readonly partitions: Map<string, SessionPartition>
  readonly setAside: SetAside
}

export class FetchSessionCache {
  /** Least recently used first. */
  readonly #sessions = new Map<number, Session>()
  readonly #random: Random
  readonly #slots: number

  constructor(random: Random, slots: number) {
    this.#random = random
    this.#slots = slots
  }

  get size(): number {
    return this.#sessions.size
  }

  /** `topicNameOf` resolves ids anew at each request: a topic may have become known since. `now` is monotonic ms. */
  contextOf(
    request: FetchRequestSession,
    topicNameOf: (topicId: string) => string | undefined,
    now: number,
  ): FetchContext {
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
      this.#sessions.delete(sessionId)
      return sessionEpoch === FINAL_EPOCH ? sessionless(request.partitions) : this.#newSessionContext(request, now)
    }
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return refusal(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    if (session.usesTopicIds !== request.usesTopicIds) return refusal(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
    if (session.epoch !== sessionEpoch) return refusal(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
    return this.#incrementalContext(session, request, topicNameOf, now)
  }

  #newSessionContext(request: FetchRequestSession, now: number): FetchContext {
    return {
      errorCode: ErrorCode.NONE,
      partitions: request.partitions,
      patienceMs: Infinity,
      answer: (answers) => {
        const session = this.#create(request, now)
        if (session === null) return { errorCode: ErrorCode.NONE, sessionId: NO_SESSION_ID, answers }
        for (const [index, partition] of request.partitions.entries()) {
          const answered = answers[index]!
          session.partitions.set(keyOf(partition), {
            ...partition,
            sentHighWatermark: sentHighWatermark(answered),
            sentLogStartOffset: answered.logStartOffset,
          })
        }
        return { errorCode: ErrorCode.NONE, sessionId: session.id, answers }
      },
    }
  }

  #incrementalContext(
    session: Session,
    request: FetchRequestSession,
    topicNameOf: (topicId: string) => string | undefined,
    now: number,
  ): FetchContext {
    for (const partition of request.partitions) update(session, partition)
    for (const partition of request.forgotten) forget(session, keyOf(partition))
    this.#touch(session, now)
    session.epoch = nextEpoch(session.epoch)
    if (session.partitions.size === 0) {
      this.#sessions.delete(session.id)
      return sessionless([])
    }
    const expectedEpoch = session.epoch
    const partitions = [...session.partitions.values()]
    if (session.usesTopicIds)
      for (const partition of partitions) partition.topic = topicNameOf(partition.topicId!) ?? ''
    return {
      errorCode: ErrorCode.NONE,
      partitions,
      patienceMs: session.setAside.patienceMs,
      answer: (answers) => {
        // Another request has used the session meanwhile: what it remembers as sent is no longer ours to change.
        if (session.epoch !== expectedEpoch)
          return { errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH, sessionId: session.id, answers: [] }
        const told = answers.filter((answered, index) => remember(session, partitions[index]!, answered))
        if (told.length === 0) session.setAside.onEmptyAnswer()
        return { errorCode: ErrorCode.NONE, sessionId: session.id, answers: told }
      },
    }
  }

  #create({ privileged, usesTopicIds, partitions }: FetchRequestSession, now: number): Session | null {
    if (this.#sessions.size >= this.#slots && !this.#makeRoom(privileged, partitions.length, now)) return null
    const id = this.#newId()
    const session: Session = {
      id,
      privileged,
      usesTopicIds,
      createdAt: now,
      lastUsedAt: now,
      epoch: nextEpoch(INITIAL_EPOCH),
      partitions: new Map(),
      setAside: new SetAside(),
    }
    this.#sessions.set(id, session)
    return session
  }

  #newId(): number {
    let id = 0
    while (id === NO_SESSION_ID || this.#sessions.has(id)) id = this.#random.below(EPOCH_MAX)
    return id
  }

  #touch(session: Session, now: number): void {
    session.lastUsedAt = now
    this.#sessions.delete(session.id)
    this.#sessions.set(session.id, session)
  }

  /** Pushes one session out, if there is one that may go for the new one's sake. */
  #makeRoom(privileged: boolean, size: number, now: number): boolean {
    const leastRecent: Session | undefined = this.#sessions.values().next().value
    if (leastRecent === undefined) return false
    if (now - leastRecent.lastUsedAt > EVICTABLE_AFTER_MS) return this.#sessions.delete(leastRecent.id)
    let victim: Session | null = null
    for (const session of this.#sessions.values()) {
      const old = now - session.createdAt > EVICTABLE_AFTER_MS
      if (!old && (session.privileged || !privileged)) continue
      if (victim === null || compareWorth(session, victim) < 0) victim = session
    }
    if (victim === null) return false
    const worthMore =
      Number(privileged) !== Number(victim.privileged)
        ? privileged && !victim.privileged
        : size >= victim.partitions.size
    return worthMore && this.#sessions.delete(victim.id)
  }
}

function compareWorth(a: Session, b: Session): number {
  return Number(a.privileged) - Number(b.privileged) || a.partitions.size - b.partitions.size || a.id - b.id
}

function nextEpoch(epoch: number): number {
  return epoch >= EPOCH_MAX ? 1 : epoch + 1
}

function keyOf({ topic, topicId, partition }: { topic: string; topicId: string | null; partition: number }): string {
  return `${topicId ?? topic}/${partition}`
}

function update(session: Session, wanted: WantedPartition): void {
  const key = keyOf(wanted)
  session.setAside.comesBack(key)
  const known = session.partitions.get(key)
  if (known === undefined) session.partitions.set(key, { ...wanted, sentHighWatermark: -1, sentLogStartOffset: -1 })
  else Object.assign(known, wanted)
}

function forget(session: Session, key: string): void {
  if (session.partitions.delete(key) && !session.privileged) session.setAside.add(key)
}

/** Whether the answer has to speak of the partition; what it says is then remembered as sent. */
function remember(session: Session, partition: WantedPartition, answered: AnsweredPartition): boolean {
  const known = session.partitions.get(keyOf(partition))
  if (known === undefined) return true
  const { errorCode, highWatermark, logStartOffset, records, divergingEpoch, preferredReadReplica } = answered
  const mustSay =
    records.length > 0 ||
    highWatermark !== known.sentHighWatermark ||
    logStartOffset !== known.sentLogStartOffset ||
    preferredReadReplica >= 0 ||
    errorCode !== ErrorCode.NONE ||
    divergingEpoch !== null
  known.sentHighWatermark = sentHighWatermark(answered)
  known.sentLogStartOffset = logStartOffset
  if (records.length > 0) {
    // Fairness: what gave records is served last next time.
    session.partitions.delete(keyOf(partition))
    session.partitions.set(keyOf(partition), known)
  }
  return mustSay
}

/** After an error or a divergence the partition is to be spoken of again, even if nothing else changes. */
function sentHighWatermark({ errorCode, divergingEpoch, highWatermark }: AnsweredPartition): number {
  return errorCode === ErrorCode.NONE && divergingEpoch === null ? highWatermark : -1
}

function sessionless(partitions: readonly WantedPartition[]): FetchContext {
  return {
    errorCode: ErrorCode.NONE,
    partitions,
    patienceMs: Infinity,
    answer: (answers) => ({ errorCode: ErrorCode.NONE, sessionId: NO_SESSION_ID, answers }),
  }
}

function refusal(errorCode: number): FetchContext {
  return {
    errorCode,
    partitions: [],
    patienceMs: 0,
    answer: () => ({ errorCode, sessionId: NO_SESSION_ID, answers: [] }),
  }
}

/** The id that a request by names carries. */
export function topicIdOrNull(topicId: string): string | null {
  return topicId === ZERO_UUID ? null : topicId
}
