import type { AnyApi, Api } from '#protocol'
import type { Answer, RpcRequest } from '#rpc'

import type { BrokerServices } from '../services.ts'

/** One API as the broker serves it. */
export interface BrokerHandler {
  readonly api: AnyApi
  /** Served, both ends included: 3.9's range unless narrowed. */
  readonly minVersion: number
  readonly maxVersion: number
  /** See `RpcHandler`. */
  readonly pipelined: boolean
  handle(broker: BrokerServices, request: RpcRequest): Answer<unknown>
}

interface HandlerOptions {
  readonly minVersion?: number
  readonly pipelined?: boolean
}

/** Joins an API with what carries it out; the types of request and response come from the API. */
export function handler<RequestOut, RequestIn, ResponseOut, ResponseIn>(
  api: Api<RequestOut, RequestIn, ResponseOut, ResponseIn>,
  handle: (broker: BrokerServices, message: RequestOut, request: RpcRequest) => Answer<ResponseIn>,
  { minVersion = api.versions[0], pipelined = false }: HandlerOptions = {},
): BrokerHandler {
  return {
    api,
    minVersion,
    maxVersion: api.versions[1],
    pipelined,
    handle: (broker, request) => handle(broker, request.message as RequestOut, request),
  }
}

/** Runs of the same topic become one group, in order: how most answers list partitions. */
export function groupedByTopic<Item extends { readonly topic: string }, Group>(
  items: readonly Item[],
  group: (topic: string, items: Item[]) => Group,
): Group[] {
  return [...Map.groupBy(items, (item) => item.topic)].map(([topic, of]) => group(topic, of))
}
