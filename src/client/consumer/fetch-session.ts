/**
 * The client's half of a fetch session (KIP-227): the broker keeps what was asked for, and each request says only what has
 * changed since. Pure.
 */
import { ErrorCode } from '#protocol'
import type { FetchRequestInput, FetchResponse } from '#protocol/messages/fetch'

import { byTopic, keyOf, type TopicPartition } from './topic-partition.ts'

/** What a fetch wants of one partition. */
export interface FetchTarget extends TopicPartition {
  /** `ZERO_UUID` where the broker has no ids. */
  readonly topicId: string
  readonly fetchOffset: number
  /** As the metadata tells; -1 if not known. */
  readonly currentLeaderEpoch: number
  readonly partitionMaxBytes: number
}

type SessionFields = Pick<FetchRequestInput, 'sessionId' | 'sessionEpoch' | 'topics' | 'forgottenTopicsData'>

/** Stands for no session, in both directions. */
const NO_SESSION = 0
const EPOCH_NEW = 0
const EPOCH_CLOSE = -1
const EPOCH_MAX = 2 ** 31 - 1

export class FetchSession {
  #id = NO_SESSION
  #epoch = EPOCH_NEW
  /** What the broker has of this session. */
  #targets = new Map<string, FetchTarget>()

  /** Whether the broker keeps something that `close` should give back. */
  get isOpen(): boolean {
    return this.#id !== NO_SESSION
  }

  /** All that is wanted now; what the session has and is not wanted any more is forgotten. */
  next(wanted: readonly FetchTarget[]): SessionFields {
    const targets = new Map(wanted.map((target) => [keyOf(target), target]))
    if (this.#epoch === EPOCH_NEW) {
      this.#targets = targets
      // With an id and the epoch 0 the old session is closed and a new one made.
      return { sessionId: this.#id, sessionEpoch: EPOCH_NEW, topics: topicsOf(wanted), forgottenTopicsData: [] }
    }
    const changed = wanted.filter((target) => !isSame(this.#targets.get(keyOf(target)), target))
    const forgotten = [...this.#targets.values()].filter((old) => {
      const now = targets.get(keyOf(old))
      return now === undefined || now.topicId !== old.topicId
    })
    this.#targets = targets
    return {
      sessionId: this.#id,
      sessionEpoch: this.#epoch,
      topics: topicsOf(changed),
      forgottenTopicsData: forgottenOf(forgotten),
    }
  }

  /** The request that ends the session. */
  close(): SessionFields {
    const sessionId = this.#id
    this.#reset(NO_SESSION)
    return { sessionId, sessionEpoch: EPOCH_CLOSE, topics: [], forgottenTopicsData: [] }
  }

  /** Takes the answer in; false when it must not be used, and the next request begins anew. */
  onAnswer({ errorCode, sessionId }: Pick<FetchResponse, 'errorCode' | 'sessionId'>): boolean {
    if (errorCode !== ErrorCode.NONE) {
      this.#reset(errorCode === ErrorCode.FETCH_SESSION_ID_NOT_FOUND ? NO_SESSION : this.#id)
      return false
    }
    if (sessionId === NO_SESSION) this.#reset(NO_SESSION)
    else {
      this.#id = sessionId
      this.#epoch = this.#epoch === EPOCH_MAX ? 1 : this.#epoch + 1
    }
    return true
  }

  /** No answer came; what the broker has of the session is not known. */
  onFailure(): void {
    this.#reset(this.#id)
  }

  /** Name of the topic with this id, of those asked for. */
  topicNameOf(topicId: string): string | null {
    for (const target of this.#targets.values()) if (target.topicId === topicId) return target.topic
    return null
  }

  #reset(id: number): void {
    this.#id = id
    this.#epoch = EPOCH_NEW
    this.#targets.clear()
  }
}

function isSame(a: FetchTarget | undefined, b: FetchTarget): boolean {
  return (
    a !== undefined &&
    a.topicId === b.topicId &&
    a.fetchOffset === b.fetchOffset &&
    a.currentLeaderEpoch === b.currentLeaderEpoch &&
    a.partitionMaxBytes === b.partitionMaxBytes
  )
}

function topicsOf(targets: readonly FetchTarget[]): FetchRequestInput['topics'] {
  return Array.from(byTopic(targets), ([topic, list]) => ({
    topic,
    topicId: list[0]!.topicId,
    partitions: list.map(({ partition, fetchOffset, currentLeaderEpoch, partitionMaxBytes }) => ({
      partition,
      fetchOffset,
      currentLeaderEpoch,
      partitionMaxBytes,
    })),
  }))
}

function forgottenOf(targets: readonly FetchTarget[]): NonNullable<SessionFields['forgottenTopicsData']> {
  return Array.from(byTopic(targets), ([topic, list]) => ({
    topic,
    topicId: list[0]!.topicId,
    partitions: list.map(({ partition }) => partition),
  }))
}
