/** Figures that are read when they are asked for. Source: registerMetrics of ZooKeeperServer and of the servers of an ensemble. */
import { Decimal, type AdminView, type Leadership } from './view.ts'

export function* gaugesOf(view: AdminView): Generator<[string, number | Decimal]> {
  const { tree, stats, responses } = view
  const { latency } = stats
  const { openFiles, maxFiles } = view.process()
  yield* Object.entries({
    avg_latency: new Decimal(latency.averageMs),
    max_latency: Math.floor(latency.maxMs),
    min_latency: Math.floor(latency.minMs),
    packets_received: stats.received,
    packets_sent: stats.sent,
    num_alive_connections: view.connectionCount,
    outstanding_requests: view.outstanding,
    uptime: Math.floor(view.uptimeMs),
    znode_count: tree.nodeCount,
    watch_count: tree.watches.count,
    ephemerals_count: tree.ephemeralCount,
    approximate_data_size: tree.dataSize,
    global_sessions: view.role === 'read-only' ? 0 : tree.sessions.size,
    local_sessions: 0,
    open_file_descriptor_count: openFiles,
    max_file_descriptor_count: maxFiles,
    connection_drop_probability: new Decimal(0),
    last_client_response_size: responses.last,
    max_client_response_size: responses.max,
    min_client_response_size: responses.min,
    outstanding_tls_handshake: 0,
    auth_failed_count: view.metrics.authFailures,
    non_mtls_remote_conn_count: 0,
    non_mtls_local_conn_count: 0,
  })
  if (view.ensemble !== null && view.role !== null && view.role !== 'read-only')
    yield ['quorum_size', view.config.ensemble!.members.filter(({ role }) => role === 'participant').length]
  const leadership = view.ensemble?.leadership ?? null
  if (leadership !== null) yield* leaderGauges(leadership)
}

function* leaderGauges({ learners, uptimeMs, proposals }: Leadership): Generator<[string, number]> {
  const synced = learners.filter(({ isSynced }) => isSynced)
  yield* Object.entries({
    learners: learners.length,
    synced_followers: synced.filter(({ role }) => role === 'follower').length,
    synced_non_voting_followers: 0,
    synced_observers: synced.filter(({ role }) => role === 'observer').length,
    pending_syncs: 0,
    leader_uptime: Math.floor(uptimeMs),
    last_proposal_size: proposals.last,
    max_proposal_size: proposals.max,
    min_proposal_size: proposals.min,
  })
}
