import { RecordErrorCode } from '#protocol/records'

/** The codes of Kafka's error table with which a log refuses an append. */
export const AppendErrorCode = {
  ...RecordErrorCode,
  RECORD_LIST_TOO_LARGE: 18,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  TRANSACTION_COORDINATOR_FENCED: 52,
  KAFKA_STORAGE_ERROR: 56,
} as const
export type AppendErrorCode = (typeof AppendErrorCode)[keyof typeof AppendErrorCode]
