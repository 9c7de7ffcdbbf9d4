/** What lies in the log directories of this broker, and how large it is (KIP-113). */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const DescribeLogDirs = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [0, 4],
  flexibleSince: 2,
  request: {
    /** Null asks for all. */
    topics: array({
      topic: string,
      partitions: array(int32),
    }).nullable(),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16.since(3).ignorable,
    results: array({
      errorCode: int16,
      logDir: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          /** In bytes. */
          partitionSize: int64,
          /** How far the replica is behind the high watermark, or a future replica behind the present one. */
          offsetLag: int64,
          /** The replica is on its way into this directory. */
          isFutureKey: bool,
        }),
      }),
      /** Size of the volume; -1 if not known. */
      totalBytes: int64.since(4).default(-1).ignorable,
      /** What is left of it; -1 if not known. */
      usableBytes: int64.since(4).default(-1).ignorable,
    }),
  },
})

export type DescribeLogDirsRequest = RequestOf<typeof DescribeLogDirs>
export type DescribeLogDirsRequestInput = RequestInputOf<typeof DescribeLogDirs>
export type DescribeLogDirsResponse = ResponseOf<typeof DescribeLogDirs>
export type DescribeLogDirsResponseInput = ResponseInputOf<typeof DescribeLogDirs>
