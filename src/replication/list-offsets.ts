import { ErrorCode } from '#protocol'
import type { FoundTimestamp, Log } from '#storage'

import type { Partition } from './partition.ts'
import { readErrorCode } from './read-errors.ts'
import {
  ListOffsetsTimestamp,
  type FetchIsolation,
  type ListOffsetsParameters,
  type ListOffsetsPartition,
  type ListOffsetsResult,
} from './requests.ts'

const DEBUG_CONSUMER = -2

/** Facts 1.8; upstream `Partition.fetchOffsetForTimestamp`. */
export function listOffset(
  partition: Partition,
  wanted: ListOffsetsPartition,
  { replicaId, isolation }: ListOffsetsParameters,
): ListOffsetsResult {
  const errorCode = partition.checkAccess(wanted.currentLeaderEpoch, replicaId !== DEBUG_CONSUMER)
  if (errorCode !== ErrorCode.NONE) return answer(wanted, { errorCode })
  const log = partition.log!
  try {
    return offsetIn(log, partition, wanted, isolation)
  } catch (error) {
    const failure = readErrorCode(log, error)
    if (failure === null) throw error
    return answer(wanted, { errorCode: failure })
  }
}

/** Throws as `Log.read` does. */
function offsetIn(
  log: Log,
  partition: Partition,
  wanted: ListOffsetsPartition,
  isolation: FetchIsolation,
): ListOffsetsResult {
  const end =
    isolation === 'logEnd' ? log.logEndOffset : isolation === 'highWatermark' ? log.highWatermark : log.lastStableOffset
  // A new leader may not know yet how far its records are committed: what it says could go back.
  const isUnsure =
    isolation !== 'logEnd' && partition.role.kind === 'leader' && log.highWatermark < partition.role.epochStartOffset
  const { latest, earliest, earliestLocal, maxTimestamp, latestTiered } = ListOffsetsTimestamp
  switch (wanted.timestamp) {
    case latest:
      if (isUnsure) return answer(wanted, { errorCode: ErrorCode.OFFSET_NOT_AVAILABLE })
      return answer(wanted, { offset: end, leaderEpoch: partition.leaderEpoch })
    case earliest:
    case earliestLocal:
      return answer(wanted, { offset: log.logStartOffset, leaderEpoch: log.epochs.epochAt(log.logStartOffset) })
    case latestTiered:
      return answer(wanted, { leaderEpoch: partition.leaderEpoch })
    case maxTimestamp:
      return found(wanted, log, below(end, log.findMaxTimestamp()), isUnsure)
    default:
      return found(wanted, log, log.findTimestamp(BigInt(Math.trunc(wanted.timestamp)), end), isUnsure)
  }
}

/** Only what may be fetched may be spoken of. */
function below(end: number, record: FoundTimestamp | null): FoundTimestamp | null {
  return record !== null && record.offset < end ? record : null
}

function found(
  wanted: ListOffsetsPartition,
  log: Log,
  record: FoundTimestamp | null,
  isUnsure: boolean,
): ListOffsetsResult {
  if (record === null) return answer(wanted, isUnsure ? { errorCode: ErrorCode.OFFSET_NOT_AVAILABLE } : {})
  const { timestamp, offset } = record
  return answer(wanted, { timestamp: Number(timestamp), offset, leaderEpoch: log.epochs.epochAt(offset) })
}

function answer({ topic, partition }: ListOffsetsPartition, known: Partial<ListOffsetsResult>): ListOffsetsResult {
  return { topic, partition, errorCode: ErrorCode.NONE, timestamp: -1, offset: -1, leaderEpoch: -1, ...known }
}
