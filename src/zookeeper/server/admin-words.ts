/**
 * The four-letter words: a connection that begins with one gets a text and is closed. What each prints is what
 * dashboards and scripts parse. Source: org.apache.zookeeper.server.command.
 */
import type { ClientConnection } from './client-connection.ts'
import type { ZooKeeperConfig } from './config.ts'
import type { TrafficStats } from './stats.ts'
import type { SessionTracker, ZnodeTree } from '#zookeeper/tree'

export const VERSION_TEXT = '3.9.4-samsa, built on 2025-01-01 00:00 UTC'

/** What the words tell about. */
export interface AdminView {
  readonly config: ZooKeeperConfig
  readonly tree: ZnodeTree
  readonly sessions: SessionTracker
  readonly stats: TrafficStats
  readonly connections: Iterable<ClientConnection>
  readonly connectionCount: number
  readonly outstanding: number
  readonly port: number
  readonly uptimeMs: number
  readonly syncs: { count: number; totalMs: number; maxMs: number }
  snapshotBytes(): number
  logBytes(): number
  /** Wall clock of a moment on the sessions' clock. */
  wallOfSessionMs(ms: number): number
}

const WORDS: Readonly<Record<string, (view: AdminView) => string>> = {
  ruok: () => 'imok',
  srvr: (view) => `Zookeeper version: ${VERSION_TEXT}\n${serverLines(view)}`,
  stat: (view) =>
    `Zookeeper version: ${VERSION_TEXT}\nClients:\n${lines(view.connections, briefLine)}\n${serverLines(view)}`,
  cons: (view) => `${lines(view.connections, connectionLine)}\n`,
  conf: configuration,
  mntr: monitor,
  envi: (view) => `Environment:\nzookeeper.version=${VERSION_TEXT}\nhost.name=${view.config.clientPortAddress}\n`,
  dump,
  dirs: (view) => `datadir_size: ${view.snapshotBytes()}\nlogdir_size: ${view.logBytes()}\n`,
  wchs: watchSummary,
  wchc: (view) =>
    lines(view.tree.watches.bySession(), ([id, paths]) => [hex(id), ...paths.map(tabbed)].join('\n')) + '\n',
  wchp: (view) =>
    lines(view.tree.watches.byPath(), ([path, ids]) => [path, ...ids.map(hex).map(tabbed)].join('\n')) + '\n',
  isro: () => 'rw',
  crst: resetConnections,
  srst: resetServer,
}

const NAMES = new Map(Object.keys(WORDS).map((name) => [numberOf(name), name]))

/** The word that a connection's first four bytes are, or null. */
export function adminWordOf(word: number): string | null {
  return NAMES.get(word) ?? null
}

export function answerAdminWord(view: AdminView, name: string): string {
  const { commands } = view.config
  if (!commands.has('*') && !commands.has(name)) return `${name} is not executed because it is not in the whitelist.\n`
  return WORDS[name]!(view)
}

function numberOf(name: string): number {
  return [0, 1, 2, 3].reduce((number, at) => (number << 8) | name.charCodeAt(at), 0)
}

function serverLines(view: AdminView): string {
  const { latency, received, sent } = view.stats
  return (
    `Latency min/avg/max: ${Math.floor(latency.minMs)}/${decimal(latency.averageMs)}/${Math.floor(latency.maxMs)}\n` +
    `Received: ${received}\nSent: ${sent}\nConnections: ${view.connectionCount}\nOutstanding: ${view.outstanding}\n` +
    `Zxid: ${hex(view.tree.lastZxid)}\nMode: standalone\nNode count: ${view.tree.nodeCount}\n`
  )
}

function briefLine(connection: ClientConnection): string {
  return ` /${connection.remoteAddress}[1](${trafficOf(connection)})`
}

function connectionLine(connection: ClientConnection): string {
  const { sessionId, traffic } = connection
  if (sessionId === 0n) return briefLine(connection)
  const { latency } = traffic
  const cxid = connection.lastXid >= 0 ? `,lcxid=0x${connection.lastXid.toString(16)}` : ''
  return (
    ` /${connection.remoteAddress}[1](${trafficOf(connection)},sid=${hex(sessionId)},lop=${connection.lastOperation},` +
    `est=${connection.establishedWallMs},to=${connection.timeoutMs}${cxid},lzxid=${hex(connection.lastZxid)},` +
    `lresp=${Math.floor(connection.lastResponseMs)},llat=${Math.floor(connection.lastLatencyMs)},` +
    `minlat=${Math.floor(latency.minMs)},avglat=${Math.floor(latency.averageMs)},maxlat=${Math.floor(latency.maxMs)})`
  )
}

function trafficOf({ outstanding, traffic }: ClientConnection): string {
  return `queued=${outstanding},recved=${traffic.received},sent=${traffic.sent}`
}

function configuration(view: AdminView): string {
  const { config } = view
  return properties({
    clientPort: view.port,
    secureClientPort: -1,
    dataDir: `${config.dataDir}/version-2`,
    dataDirSize: view.snapshotBytes(),
    dataLogDir: `${config.dataLogDir}/version-2`,
    dataLogSize: view.logBytes(),
    tickTime: config.tickTimeMs,
    maxClientCnxns: config.maxClientCnxns,
    minSessionTimeout: config.minSessionTimeoutMs,
    maxSessionTimeout: config.maxSessionTimeoutMs,
    clientPortListenBacklog: -1,
    serverId: 0,
  })
}

function monitor(view: AdminView): string {
  const { tree, stats, syncs } = view
  const { latency } = stats
  const values: Record<string, string | number> = {
    version: VERSION_TEXT,
    server_state: 'standalone',
    avg_latency: decimal(latency.averageMs),
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
    global_sessions: tree.sessions.size,
    local_sessions: 0,
    digest_mismatches_count: tree.digestMismatches,
    cnt_fsynctime: syncs.count,
    sum_fsynctime: Math.floor(syncs.totalMs),
    avg_fsynctime: decimal(syncs.count === 0 ? 0 : syncs.totalMs / syncs.count),
    max_fsynctime: Math.floor(syncs.maxMs),
  }
  return lines(Object.entries(values), ([name, value]) => `zk_${name}\t${value}`)
}

function dump(view: AdminView): string {
  const buckets = view.sessions.buckets()
  const ephemerals = [...view.tree.ephemeralsBySession()]
  const connected = Array.from(view.connections).filter(({ sessionId }) => sessionId !== 0n)
  return (
    `SessionTracker dump:\nSession Sets (${buckets.length})/(${view.sessions.size}):\n` +
    lines(buckets, ([endMs, ids]) =>
      [
        `${ids.length} expire at ${new Date(view.wallOfSessionMs(endMs)).toUTCString()}:`,
        ...ids.map(hex).map(tabbed),
      ].join('\n'),
    ) +
    `ephemeral nodes dump:\nSessions with Ephemerals (${ephemerals.length}):\n` +
    lines(ephemerals, ([id, paths]) => [`${hex(id)}:`, ...Array.from(paths, tabbed)].join('\n')) +
    `Connections dump:\n${lines(connected, ({ sessionId, remoteAddress }) => `\tip: /${remoteAddress} sessionId: ${hex(sessionId)}`)}`
  )
}

function watchSummary({ tree }: AdminView): string {
  const { connections, paths, watches } = tree.watches.summary()
  return `${connections} connections watching ${paths} paths\nTotal watches:${watches}\n`
}

function resetConnections(view: AdminView): string {
  for (const { traffic } of view.connections) traffic.reset()
  return 'Connection stats reset.\n'
}

function resetServer(view: AdminView): string {
  view.stats.reset()
  return 'Server stats reset.\n'
}

function properties(values: Readonly<Record<string, string | number>>): string {
  return lines(Object.entries(values), ([key, value]) => `${key}=${value}`)
}

function lines<T>(items: Iterable<T>, line: (item: T) => string): string {
  return Array.from(items, (item) => `${line(item)}\n`).join('')
}

function tabbed(text: string): string {
  return `\t${text}`
}

function hex(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}

/** As Java prints a rounded double: always with a fraction. */
function decimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000
  return Number.isInteger(rounded) ? `${rounded}.0` : String(rounded)
}
