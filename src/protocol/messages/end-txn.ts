/** Commits or aborts a transaction. */
import {
  api,
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

export const EndTxn = api({
  key: 26,
  name: 'EndTxn',
  versions: [0, 4],
  flexibleSince: 3,
  request: {
    transactionalId: string,
    producerId: int64,
    producerEpoch: int16,
    /** False aborts. */
    committed: bool,
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
  },
})

export type EndTxnRequest = RequestOf<typeof EndTxn>
export type EndTxnRequestInput = RequestInputOf<typeof EndTxn>
export type EndTxnResponse = ResponseOf<typeof EndTxn>
export type EndTxnResponseInput = ResponseInputOf<typeof EndTxn>
