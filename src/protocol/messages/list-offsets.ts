/** Looks up offsets by time, or the ends of a log. Version 0 answers with a list of segment starts. */
import {
  api,
  array,
  int16,
  int32,
  int64,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const ListOffsets = api({
  key: 2,
  name: 'ListOffsets',
  versions: [0, 9],
  flexibleSince: 6,
  request: {
    /** Id of the follower; -1 for a consumer, -2 for a debugging one. */
    replicaId: int32,
    /** 0 read uncommitted; 1 read committed: nothing beyond the last stable offset. */
    isolationLevel: int8.since(2),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        /**
         * The leader epoch that the sender knows, so that either side notices that it is behind; -1 skips the check.
         */
        currentLeaderEpoch: int32.since(4).default(-1).ignorable,
        /**
         * -1 the end, -2 the start, -3 the record with the largest timestamp (version 7), -4 the start of the local
         * log (8), -5 the end of tiered storage (9); otherwise the first record that is not older, in ms since 1970.
         */
        timestamp: int64,
        maxNumOffsets: int32.until(0).default(1),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(2).ignorable,
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        /** Starts of segments, the newest first. */
        oldStyleOffsets: array(int64).until(0),
        /** Of the record that was found; -1 for none, and for the ends of the log. */
        timestamp: int64.since(1).default(-1),
        /** -1 if there is no such record. */
        offset: int64.since(1).default(-1),
        /** Epoch of that record; -1 if not known. */
        leaderEpoch: int32.since(4).default(-1),
      }),
    }),
  },
})

export type ListOffsetsRequest = RequestOf<typeof ListOffsets>
export type ListOffsetsRequestInput = RequestInputOf<typeof ListOffsets>
export type ListOffsetsResponse = ResponseOf<typeof ListOffsets>
export type ListOffsetsResponseInput = ResponseInputOf<typeof ListOffsets>
