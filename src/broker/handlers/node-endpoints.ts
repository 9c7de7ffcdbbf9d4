import { ErrorCode } from '#protocol'

import type { BrokerServices } from '../services.ts'

export interface NodeEndpoint {
  nodeId: number
  host: string
  port: number
  rack: string | null
}

interface Answered {
  readonly errorCode: number
  readonly currentLeader: { readonly leaderId: number; readonly leaderEpoch: number } | null
}

/** Where the leaders are that the answer names to clients which came to the wrong broker (KIP-951). */
export function nodeEndpointsOf(
  broker: BrokerServices,
  listenerName: string,
  answered: readonly Answered[],
): NodeEndpoint[] {
  const { image } = broker.metadata
  const nodes = new Map<number, NodeEndpoint>()
  for (const { errorCode, currentLeader } of answered) {
    if (currentLeader === null || !namesLeader(errorCode) || nodes.has(currentLeader.leaderId)) continue
    const endpoint = image.endpoint(currentLeader.leaderId, listenerName)
    if (endpoint === undefined) continue
    const { host, port } = endpoint
    const rack = image.brokers.get(currentLeader.leaderId)?.rack ?? null
    nodes.set(currentLeader.leaderId, { nodeId: currentLeader.leaderId, host, port, rack })
  }
  return [...nodes.values()]
}

export function namesLeader(errorCode: number): boolean {
  return errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER || errorCode === ErrorCode.FENCED_LEADER_EPOCH
}
