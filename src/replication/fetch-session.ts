/**
 * A follower's side of a fetch session (KIP-227): after the first request only what has changed is sent, and only
 * partitions with news come back.
 */
import { ErrorCode, ZERO_UUID } from '#protocol'
import type { FetchRequestInput, FetchResponse } from '#protocol/messages/fetch'

export interface FetchTarget {
  readonly topic: string
  /** null: the topic has none. */
  readonly topicId: string | null
  readonly partition: number
  readonly fetchOffset: number
  readonly logStartOffset: number
  readonly currentLeaderEpoch: number
  /** −1: not known. */
  readonly lastFetchedEpoch: number
  readonly maxBytes: number
}

export type FetchSessionPart = Pick<FetchRequestInput, 'sessionId' | 'sessionEpoch' | 'topics' | 'forgottenTopicsData'>

const INITIAL_EPOCH = 0
const EPOCH_MAX = 2 ** 31 - 1

export class FetchSession {
  #id = 0
  #epoch = INITIAL_EPOCH
  /** What the leader has in the session, by `topic-partition`. */
  #known = new Map<string, FetchTarget>()
  #usesIds = true

  /** Whether the session goes by topic ids; it is true as long as every topic has one. */
  get usesTopicIds(): boolean {
    return this.#usesIds
  }

  /** The session's part of the next request, which wants these partitions. */
  next(targets: ReadonlyMap<string, FetchTarget>): FetchSessionPart {
    const usesIds = [...targets.values()].every(({ topicId }) => topicId !== null)
    if (usesIds !== this.#usesIds) this.reset()
    this.#usesIds = usesIds
    if (this.#epoch === INITIAL_EPOCH) return this.#full(targets)
    return this.#incremental(targets)
  }

  #full(targets: ReadonlyMap<string, FetchTarget>): FetchSessionPart {
    this.#known = new Map(targets)
    return {
      sessionId: this.#id,
      sessionEpoch: this.#epoch,
      topics: grouped(targets.values()),
      forgottenTopicsData: [],
    }
  }

  #incremental(targets: ReadonlyMap<string, FetchTarget>): FetchSessionPart {
    const changed: FetchTarget[] = []
    const forgotten: FetchTarget[] = []
    for (const [key, target] of targets) {
      const known = this.#known.get(key)
      // A topic that was deleted and made again under its name is another one (KIP-516).
      if (known !== undefined && known.topicId !== target.topicId) forgotten.push(known)
      if (known === undefined || !isSame(known, target)) changed.push(target)
    }
    for (const [key, known] of this.#known) if (!targets.has(key)) forgotten.push(known)
    this.#known = new Map(targets)
    return {
      sessionId: this.#id,
      sessionEpoch: this.#epoch,
      topics: grouped(changed),
      forgottenTopicsData: groupBy(forgotten).map(([{ topic, topicId }, of]) => ({
        topic,
        topicId: topicId ?? ZERO_UUID,
        partitions: of.map(({ partition }) => partition),
      })),
    }
  }

  /** Takes in the answer. Returns false when the session is lost, and with it the answer. */
  answered(response: FetchResponse): boolean {
    if (response.errorCode !== ErrorCode.NONE) {
      // The leader knows the session but lost count: it is closed by beginning a new one under the same id.
      const keepsId = response.errorCode === ErrorCode.INVALID_FETCH_SESSION_EPOCH
      this.reset(keepsId ? this.#id : 0)
      return false
    }
    if (response.sessionId === 0) this.reset()
    else {
      this.#id = response.sessionId
      this.#epoch = this.#epoch >= EPOCH_MAX ? 1 : this.#epoch + 1
    }
    return true
  }

  /** The next request is a full one: the connection was lost, or the leader wants it so. */
  reset(id = 0): void {
    this.#id = id
    this.#epoch = INITIAL_EPOCH
    this.#known = new Map()
  }
}

function isSame(a: FetchTarget, b: FetchTarget): boolean {
  return (
    a.fetchOffset === b.fetchOffset &&
    a.logStartOffset === b.logStartOffset &&
    a.currentLeaderEpoch === b.currentLeaderEpoch &&
    a.lastFetchedEpoch === b.lastFetchedEpoch &&
    a.maxBytes === b.maxBytes &&
    a.topicId === b.topicId
  )
}

function grouped(targets: Iterable<FetchTarget>): FetchRequestInput['topics'] {
  return groupBy(targets).map(([{ topic, topicId }, of]) => ({
    topic,
    topicId: topicId ?? ZERO_UUID,
    partitions: of.map((target) => ({
      partition: target.partition,
      currentLeaderEpoch: target.currentLeaderEpoch,
      fetchOffset: target.fetchOffset,
      lastFetchedEpoch: target.lastFetchedEpoch,
      logStartOffset: target.logStartOffset,
      partitionMaxBytes: target.maxBytes,
    })),
  }))
}

function groupBy(targets: Iterable<FetchTarget>): [FetchTarget, FetchTarget[]][] {
  const groups = new Map<string, [FetchTarget, FetchTarget[]]>()
  for (const target of targets) {
    const key = target.topicId ?? target.topic
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [target, [target]])
    else group[1].push(target)
  }
  return [...groups.values()]
}
