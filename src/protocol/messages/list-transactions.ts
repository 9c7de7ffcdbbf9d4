/** The transactions that this broker coordinates (KIP-664). */
import {
  api,
  array,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const ListTransactions = api({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 1],
  flexibleSince: 0,
  request: {
    /** Empty for all states. */
    stateFilters: array(string),
    /** Empty for all producers. */
    producerIdFilters: array(int64),
    /** Only those that have been open for longer, in ms; -1 for all (KIP-994). */
    durationFilter: int64.since(1).default(-1),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    unknownStateFilters: array(string),
    transactionStates: array({
      transactionalId: string,
      producerId: int64,
      transactionState: string,
    }),
  },
})

export type ListTransactionsRequest = RequestOf<typeof ListTransactions>
export type ListTransactionsRequestInput = RequestInputOf<typeof ListTransactions>
export type ListTransactionsResponse = ResponseOf<typeof ListTransactions>
export type ListTransactionsResponseInput = ResponseInputOf<typeof ListTransactions>
