/**
 * The commands of the HTTP admin server, and the fields that Apache's answer with. Numbers that only the machinery of Java has
 * (selectors, queues between threads) are what they are for a server without it.
 * Source: org.apache.zookeeper.server.admin.Commands.
 */
import { hexLong } from '#zookeeper/protocol'

import { resetStats } from '../admin-words.ts'
import type { ClientConnection } from '../client-connection.ts'
import { memberOf, type EnsembleConfig, type EnsembleMember } from '../ensemble-config.ts'
import type { LearnerView } from '../ensemble/office.ts'
import type { SizeStats } from '../stats.ts'
import type { Json } from './json.ts'
import { monitorValues } from './monitor.ts'
import { Decimal, VERSION_TEXT, type AdminView } from './view.ts'

export type Fields = Readonly<Record<string, Json>>

interface Command {
  /** The first one is what the list shows and the answer carries. */
  readonly names: readonly [string, ...string[]]
  /** Answered also while clients are not served. */
  readonly always?: true
  readonly run: (view: AdminView, query: ReadonlyMap<string, string>) => Fields
}

/** Those whose answer is a stream (`snapshot`) or that take one (`restore`) are in `snapshot.ts`. */
const COMMANDS: readonly Command[] = [
  { names: ['configuration', 'conf', 'config'], run: configuration },
  {
    names: ['connection_stat_reset', 'crst'],
    run: ({ connections }) => {
      for (const { traffic } of connections) traffic.reset()
      return {}
    },
  },
  {
    names: ['connections', 'cons'],
    run: (view) => connectionLists(view, connectionFields),
  },
  {
    names: ['dirs'],
    run: (view) => ({ datadir_size: view.snapshotBytes(), logdir_size: view.logBytes() }),
  },
  { names: ['dump'], run: dump },
  { names: ['environment', 'env', 'envi'], always: true, run: (view) => Object.fromEntries(view.environment()) },
  { names: ['get_trace_mask', 'gtmk'], always: true, run: ({ traceMask }) => ({ tracemask: traceMask }) },
  {
    names: ['hash'],
    run: ({ tree }) => ({
      digests: tree.digests.map(([zxid, digest]) => ({ zxid, digest, digest_version: DIGEST_VERSION })),
    }),
  },
  // The file may carry passwords: it is not told.
  { names: ['initial_configuration', 'icfg'], run: () => ({ initial_configuration: null }) },
  { names: ['is_read_only', 'isro'], run: ({ role }) => ({ read_only: role === 'read-only' }) },
  { names: ['last_snapshot', 'lsnp'], run: lastSnapshot },
  { names: ['leader', 'lead'], run: leader },
  {
    names: ['monitor', 'mntr'],
    run: (view) => Object.fromEntries(monitorValues(view)),
  },
  { names: ['observer_connection_stat_reset', 'orst'], run: () => ({}) },
  { names: ['observers', 'obsr'], run: observers },
  { names: ['ruok'], run: () => ({}) },
  { names: ['server_stats', 'srvr'], run: serverStats },
  { names: ['set_trace_mask', 'stmk'], always: true, run: setTraceMask },
  {
    names: ['stat_reset', 'srst'],
    run: (view) => {
      resetStats(view)
      return {}
    },
  },
  {
    names: ['stats', 'stat'],
    run: (view) => ({ ...serverStats(view), ...connectionLists(view, briefFields) }),
  },
  {
    names: ['system_properties', 'sysp'],
    always: true,
    run: (view) => Object.fromEntries(view.environment().sort(([a], [b]) => (a < b ? -1 : 1))),
  },
  { names: ['voting_view'], run: votingView },
  {
    names: ['watch_summary', 'wchs'],
    run: ({ tree }) => {
      const { connections, paths, watches } = tree.watches.summary()
      return { num_connections: connections, num_paths: paths, num_total_watches: watches }
    },
  },
  {
    names: ['watches', 'wchc'],
    run: ({ tree }) => ({ session_id_to_watched_paths: byText(tree.watches.bySession()) }),
  },
  { names: ['watches_by_path', 'wchp'], run: ({ tree }) => ({ path_to_session_ids: byText(tree.watches.byPath()) }) },
  { names: ['zabstate'], always: true, run: zabState },
]

const DIGEST_VERSION = 2

const BY_NAME = new Map(COMMANDS.flatMap((command) => command.names.map((name) => [name, command] as const)))

export function commandNamed(name: string): Command | null {
  return BY_NAME.get(name) ?? null
}

/** What the list shows, without the streaming ones. */
export const COMMAND_NAMES: readonly string[] = COMMANDS.map(({ names }) => names[0])

function configuration({ config, port, securePort }: AdminView): Fields {
  return {
    client_port: port,
    ...(securePort === 0 ? {} : { secure_client_port: securePort }),
    data_dir: `${config.dataDir}/version-2`,
    data_log_dir: `${config.dataLogDir}/version-2`,
    tick_time: config.tickTimeMs,
    max_client_cnxns: config.maxClientCnxns,
    min_session_timeout: config.minSessionTimeoutMs,
    max_session_timeout: config.maxSessionTimeoutMs,
    server_id: config.ensemble?.sid ?? 0,
    client_port_listen_backlog: -1,
  }
}

function connectionLists(
  { connections, securePort }: AdminView,
  fields: (connection: ClientConnection) => Fields,
): Fields {
  const [plain, secure] = [[], []] as [Fields[], Fields[]]
  for (const connection of connections) (connection.localPort === securePort ? secure : plain).push(fields(connection))
  return { connections: plain, secure_connections: secure }
}

function briefFields({ remoteAddress, isOpen, outstanding, traffic }: ClientConnection): Fields {
  return {
    remote_socket_address: remoteAddress,
    interest_ops: isOpen ? 1 : 0,
    outstanding_requests: outstanding,
    packets_received: traffic.received,
    packets_sent: traffic.sent,
  }
}

function connectionFields(connection: ClientConnection): Fields {
  const { latency } = connection.traffic
  return {
    ...briefFields(connection),
    session_id: connection.sessionId,
    last_operation: connection.lastOperation,
    established: connection.establishedWallMs,
    session_timeout: connection.timeoutMs,
    last_cxid: connection.lastXid,
    last_zxid: connection.lastZxid,
    last_response_time: Math.floor(connection.lastResponseMs),
    last_latency: Math.floor(connection.lastLatencyMs),
    min_latency: Math.floor(latency.minMs),
    avg_latency: Math.floor(latency.averageMs),
    max_latency: Math.floor(latency.maxMs),
  }
}

function dump(view: AdminView): Fields {
  const buckets = view.tracker?.buckets() ?? []
  return {
    expiry_time_to_session_ids: new Map(buckets.map(([endMs, ids]) => [String(Math.floor(endMs)), ids])),
    session_id_to_ephemeral_paths: new Map(
      Array.from(view.tree.ephemeralsBySession(), ([id, paths]) => [String(id), [...paths]]),
    ),
  }
}

function lastSnapshot(view: AdminView): Fields {
  const newest = view.lastSnapshot()
  if (newest === null) return { zxid: 'ffffffffffffffff', timestamp: -1 }
  return { zxid: hexLong(newest.zxid).slice(2), timestamp: Math.floor(newest.wallMs / 1000) }
}

function leader({ ensemble, role, config }: AdminView): Fields {
  if (ensemble === null || role === 'read-only') return { error: 'server is not initialized' }
  const member = ensemble.leaderSid === null ? null : memberOf(config.ensemble!, ensemble.leaderSid)
  return { is_leader: role === 'leader', leader_id: ensemble.leaderSid ?? -1, leader_ip: member?.host ?? '' }
}

function observers({ ensemble }: AdminView): Fields {
  const learners = ensemble?.leadership?.learners ?? []
  const found = learners.filter(({ role, isSynced }) => role === 'observer' && isSynced)
  return { synced_observers: found.length, observers: found.map(learnerFields) }
}

function learnerFields(learner: LearnerView): Fields {
  return {
    remote_socket_address: `/${learner.remoteHost}:${learner.remotePort}`,
    sid: learner.sid,
    established: learner.establishedMs,
    queued_packets: learner.queuedBytes === 0 ? 0 : 1,
    queued_packets_size: learner.queuedBytes,
    packets_received: learner.packetsReceived,
    packets_sent: learner.packetsSent,
    requests: learner.requests,
    last_zxid: learner.ackedZxid,
  }
}

function serverStats(view: AdminView): Fields {
  const { stats, metrics, tree, role, ensemble } = view
  const { latency } = stats
  const leadership = ensemble?.leadership ?? null
  return {
    version: VERSION_TEXT,
    read_only: role === 'read-only',
    server_stats: {
      packets_sent: stats.sent,
      packets_received: stats.received,
      fsync_threshold_exceed_count: metrics.slowSyncs,
      client_response_stats: sizes(view.responses),
      server_state: role,
      provider_null: false,
      data_dir_size: view.snapshotBytes(),
      log_dir_size: view.logBytes(),
      last_processed_zxid: tree.lastZxid,
      outstanding_requests: view.outstanding,
      avg_latency: new Decimal(latency.averageMs),
      max_latency: Math.floor(latency.maxMs),
      min_latency: Math.floor(latency.minMs),
      num_alive_client_connections: view.connectionCount,
      auth_failed_count: metrics.authFailures,
      non_mtlsremote_conn_count: 0,
      non_mtlslocal_conn_count: 0,
      uptime: Math.floor(view.uptimeMs),
    },
    client_response: sizes(view.responses),
    ...(leadership === null ? {} : { proposal_stats: sizes(leadership.proposals) }),
    node_count: tree.nodeCount,
  }
}

function sizes({ last, min, max }: SizeStats): Fields {
  return { last_buffer_size: last, min_buffer_size: min, max_buffer_size: max }
}

const TRACE_MASK_WANTED = 'setTraceMask requires long traceMask argument'

function setTraceMask(view: AdminView, query: ReadonlyMap<string, string>): Fields {
  const text = query.get('traceMask')
  if (text === undefined) return { error: TRACE_MASK_WANTED }
  if (!/^-?\d{1,19}$/.test(text) || BigInt.asIntN(64, BigInt(text)) !== BigInt(text))
    return { error: `${TRACE_MASK_WANTED}, got ${text}` }
  view.traceMask = BigInt(text)
  return { tracemask: view.traceMask }
}

function votingView(view: AdminView): Fields {
  const { ensemble } = view.config
  if (ensemble === null || view.role === 'read-only') return { current_config: {} }
  const voters = ensemble.members.filter(({ role }) => role === 'participant')
  return {
    current_config: new Map(
      voters.map((voter) => [
        String(voter.sid),
        {
          server_addresses: [address(voter.host, voter.quorumPort)],
          election_addresses: [address(voter.host, voter.electionPort)],
          client_address: clientAddress(view, ensemble, voter),
          learner_type: 'participant',
        },
      ]),
    ),
  }
}

/** What `server.N` says; of the own server it is known in any case. */
function clientAddress(view: AdminView, { sid }: EnsembleConfig, member: EnsembleMember): string {
  if (member.clientAddress !== null) return member.clientAddress
  return member.sid === sid && view.port !== 0 ? address(view.config.clientPortAddress, view.port) : ''
}

function zabState(view: AdminView): Fields {
  const { role, ensemble, tree } = view
  const config = view.config.ensemble
  if (config === null || ensemble === null || role === null || role === 'read-only')
    return { voting: false, zabstate: '' }
  const own = memberOf(config, config.sid)!
  return {
    myid: config.sid,
    is_leader: role === 'leader',
    quorum_address: addresses(own.host, own.quorumPort),
    election_address: addresses(own.host, own.electionPort),
    client_address: clientAddress(view, config, own),
    voting: own.role === 'participant',
    last_zxid: hexLong(tree.lastZxid),
    zab_epoch: Number(tree.lastZxid >> 32n),
    zab_counter: Number(BigInt.asUintN(32, tree.lastZxid)),
    zabstate: ensemble.phase,
  }
}

/** Java shows every property of its list of addresses; there is one here. */
function addresses(host: string, port: number): Fields {
  const only = address(host, port)
  return {
    empty: false,
    all_addresses: [only],
    wildcard_addresses: [address('0.0.0.0', port)],
    all_ports: [port],
    all_host_strings: [host],
    reachable_address: only,
    all_reachable_addresses: [only],
    all_reachable_addresses_or_all: [only],
    reachable_or_one: only,
    one: only,
  }
}

function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function byText<Key, Value extends Json>(
  map: ReadonlyMap<Key, readonly Value[]>,
): ReadonlyMap<string, readonly Value[]> {
  return new Map(Array.from(map, ([key, values]) => [String(key), values]))
}
