/** Who the brokers are, which of them is the controller, and who leads and holds the partitions of topics. */
import {
  api,
  array,
  bool,
  int16,
  int32,
  string,
  uuid,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const Metadata = api({
  key: 3,
  name: 'Metadata',
  versions: [0, 12],
  flexibleSince: 9,
  request: {
    /** Null asks for all topics and an empty list for none; in version 0 an empty list asks for all. */
    topics: array({
      topicId: uuid.since(10).ignorable,
      /** Null if the topic is asked for by its id. */
      name: string.nullable(10),
    }).nullable(1),
    /** Whether the broker may create a topic that it does not know, if it is configured so. */
    allowAutoTopicCreation: bool.since(4).default(true),
    includeClusterAuthorizedOperations: bool.since(8).until(10),
    includeTopicAuthorizedOperations: bool.since(8),
  },
  response: {
    throttleTimeMs: int32.since(3).ignorable,
    brokers: array({
      nodeId: int32,
      host: string,
      port: int32,
      /** Null if the broker has none. */
      rack: string.since(1).nullable().default(null).ignorable,
    }),
    clusterId: string.since(2).nullable().default(null).ignorable,
    /** -1 if there is none. */
    controllerId: int32.since(1).default(-1).ignorable,
    topics: array({
      errorCode: int16,
      /** Null if a topic that was asked for by its id is not known. */
      name: string.nullable(12),
      topicId: uuid.since(10).ignorable,
      isInternal: bool.since(1).default(false).ignorable,
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        /** -1 if there is none. */
        leaderId: int32,
        /** -1 if not known. */
        leaderEpoch: int32.since(7).default(-1).ignorable,
        replicaNodes: array(int32),
        isrNodes: array(int32),
        /** Replicas whose broker, or whose disk there, is gone. */
        offlineReplicas: array(int32).since(5).ignorable,
      }),
      /** One bit for each operation that the client may carry out, by its number in ACLs; -2³¹ if not asked for. */
      topicAuthorizedOperations: int32.since(8).default(-(2 ** 31)),
    }),
    /** One bit for each operation that the client may carry out, by its number in ACLs; -2³¹ if not asked for. */
    clusterAuthorizedOperations: int32
      .since(8)
      .until(10)
      .default(-(2 ** 31)),
  },
})

export type MetadataRequest = RequestOf<typeof Metadata>
export type MetadataRequestInput = RequestInputOf<typeof Metadata>
export type MetadataResponse = ResponseOf<typeof Metadata>
export type MetadataResponseInput = ResponseInputOf<typeof Metadata>
