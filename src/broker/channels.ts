/** Connections to other brokers, as replication and the controller want them. */
import type { ControlChannel, ControlTarget } from '#controller'
import type { Platform } from '#platform'
import { ZERO_UUID, type Api } from '#protocol'
import { Fetch, type FetchRequestInput } from '#protocol/messages/fetch'
import { ListOffsets } from '#protocol/messages/list-offsets'
import { OffsetForLeaderEpoch } from '#protocol/messages/offset-for-leader-epoch'
import type { BrokerEndpoint, LeaderEndpoint } from '#replication'
import { BrokerConnection } from '#rpc'

/** Before topic ids. */
const FETCH_BY_NAME_VERSION = 12

/** A follower's connection to a leader. */
export function leaderEndpoint(
  platform: Platform,
  leader: BrokerEndpoint,
  options: { readonly clientId: string; readonly timeoutMs: number },
): LeaderEndpoint {
  const { host, port } = leader
  const connection = new BrokerConnection(platform, { host, port, clientId: options.clientId, inFlightMax: 1 })
  const { timeoutMs } = options
  return {
    fetch(request) {
      const byName = needsNames(request)
      return connection.send(Fetch, request, { timeoutMs, ...(byName ? { maxVersion: FETCH_BY_NAME_VERSION } : {}) })
    },
    listOffsets: (request) => connection.send(ListOffsets, request, { timeoutMs }),
    offsetForLeaderEpoch: (request) => connection.send(OffsetForLeaderEpoch, request, { timeoutMs }),
    close: () => connection.close(),
  }
}

function needsNames({ topics, forgottenTopicsData = [] }: FetchRequestInput): boolean {
  return [...topics, ...(forgottenTopicsData ?? [])].some(({ topicId = ZERO_UUID }) => topicId === ZERO_UUID)
}

/** The controller's connection to a broker: versions are fixed by inter.broker.protocol.version, nothing is negotiated. */
export function controlChannel(
  platform: Platform,
  { endpoint }: ControlTarget,
  options: { readonly clientId: string; readonly timeoutMs: number },
): ControlChannel {
  const { host, port } = endpoint
  const connection = new BrokerConnection(platform, {
    host,
    port,
    clientId: options.clientId,
    fixedVersions: true,
    inFlightMax: 1,
  })
  return {
    send<RequestOut, RequestIn, ResponseOut, ResponseIn>(
      api: Api<RequestOut, RequestIn, ResponseOut, ResponseIn>,
      version: number,
      request: RequestIn,
    ): Promise<ResponseOut> {
      const typed = api as Api<RequestOut, RequestIn, ResponseOut, unknown>
      return connection.send(typed, request, { version, timeoutMs: options.timeoutMs })
    },
    close: () => connection.close(),
  }
}
