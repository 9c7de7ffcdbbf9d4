/** Connections to other brokers, as replication and the controller want them. */
import type { ControlChannel, ControlTarget } from '#controller'
import type { Platform } from '#platform'
import type { Api } from '#protocol'
import { Fetch, type FetchRequestInput } from '#protocol/messages/fetch'
import { ListOffsets } from '#protocol/messages/list-offsets'
import { OffsetForLeaderEpoch } from '#protocol/messages/offset-for-leader-epoch'
import type { BrokerEndpoint, LeaderEndpoint } from '#replication'
import { BrokerConnection } from '#rpc'

/** Before topic ids. */
const FETCH_BY_NAME_VERSION = 12

export interface ChannelOptions {
  readonly clientId: string
  /** Until an answer must have come, in ms. */
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
}

/** A follower's connection to a leader. */
export function leaderEndpoint(platform: Platform, leader: BrokerEndpoint, options: ChannelOptions): LeaderEndpoint {
  const { host, port } = leader
  const { clientId, timeoutMs, connectTimeoutMs } = options
  const connection = new BrokerConnection(platform, { host, port, clientId, connectTimeoutMs, inFlightMax: 1 })
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

/** Such a request names its sender in the field that versions with topic ids no longer have. */
function needsNames({ replicaId }: FetchRequestInput): boolean {
  return replicaId !== undefined
}

/** The controller's connection to a broker: versions are fixed by inter.broker.protocol.version, nothing is negotiated. */
export function controlChannel(
  platform: Platform,
  { endpoint }: ControlTarget,
  options: ChannelOptions,
): ControlChannel {
  const { host, port } = endpoint
  const { clientId, timeoutMs, connectTimeoutMs } = options
  const connection = new BrokerConnection(platform, {
    host,
    port,
    clientId,
    connectTimeoutMs,
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
      return connection.send(typed, request, { version, timeoutMs })
    },
    close: () => connection.close(),
  }
}
