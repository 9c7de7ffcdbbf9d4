/** Creates topics; answered by the controller. */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  string,
  uuid,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const CreateTopics = api({
  key: 19,
  name: 'CreateTopics',
  versions: [0, 7],
  flexibleSince: 5,
  request: {
    topics: array({
      name: string,
      /** -1 for the broker's default, or if there are assignments. */
      numPartitions: int32,
      /** -1 for the broker's default, or if there are assignments. */
      replicationFactor: int16,
      /** Replicas of each partition, the preferred leader first; empty leaves it to the broker. */
      assignments: array({
        partitionIndex: int32,
        brokerIds: array(int32),
      }),
      configs: array({
        name: string,
        value: string.nullable(),
      }),
    }),
    /** How long to wait until the topics can be used, in ms. */
    timeoutMs: int32.default(60_000),
    /** Checks all and changes nothing. */
    validateOnly: bool.since(1).default(false),
  },
  response: {
    throttleTimeMs: int32.since(2).ignorable,
    topics: array({
      name: string,
      topicId: uuid.since(7).ignorable,
      errorCode: int16,
      errorMessage: string.since(1).nullable().ignorable,
      /** Set if the configuration may not be told to the client. */
      topicConfigErrorCode: int16.tagged(0, 5).ignorable,
      numPartitions: int32.since(5).default(-1).ignorable,
      replicationFactor: int16.since(5).default(-1).ignorable,
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        /**
         * 1 topic, 2 broker (dynamic), 3 all brokers (dynamic), 4 broker (file), 5 default, 6 logger; -1 if not told.
         */
        configSource: int8.default(-1),
        /** A password or the like: its value is never told. */
        isSensitive: bool,
      })
        .since(5)
        .nullable().ignorable,
    }),
  },
})

export type CreateTopicsRequest = RequestOf<typeof CreateTopics>
export type CreateTopicsRequestInput = RequestInputOf<typeof CreateTopics>
export type CreateTopicsResponse = ResponseOf<typeof CreateTopics>
export type CreateTopicsResponseInput = ResponseInputOf<typeof CreateTopics>
