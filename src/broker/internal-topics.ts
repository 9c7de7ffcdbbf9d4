/** The topics that the brokers keep for themselves. */
import { ErrorCode, errorOf } from '#protocol'

import type { BrokerConfig } from './config/index.ts'
import type { TopicAdministration } from './topic-administration.ts'

export const GROUP_METADATA_TOPIC = '__consumer_offsets'
export const TRANSACTION_STATE_TOPIC = '__transaction_state'

export function isInternalTopic(topic: string): boolean {
  return topic === GROUP_METADATA_TOPIC || topic === TRANSACTION_STATE_TOPIC
}

export class InternalTopics {
  readonly #administration: TopicAdministration
  readonly #config: BrokerConfig
  /** One creation at a time: every consumer of a new cluster asks at once. */
  #creation: Promise<string | null> | null = null

  constructor(administration: TopicAdministration, config: BrokerConfig) {
    this.#administration = administration
    this.#config = config
  }

  /** Resolves with what is in the way, or null when it has been made; that it has leaders takes a moment longer. */
  createGroupMetadataTopic(): Promise<string | null> {
    this.#creation ??= this.#create().finally(() => (this.#creation = null))
    return this.#creation
  }

  async #create(): Promise<string | null> {
    const { offsetsTopicNumPartitions, offsetsTopicReplicationFactor, offsetsTopicSegmentBytes } = this.#config
    const { errorCode, errorMessage } = await this.#administration.createUnasked({
      name: GROUP_METADATA_TOPIC,
      numPartitions: offsetsTopicNumPartitions,
      replicationFactor: offsetsTopicReplicationFactor,
      assignments: new Map(),
      configs: {
        'cleanup.policy': 'compact',
        'segment.bytes': String(offsetsTopicSegmentBytes),
        'compression.type': 'producer',
      },
    })
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) return null
    return errorMessage ?? errorOf(errorCode).message
  }
}
