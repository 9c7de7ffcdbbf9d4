/**
 * The four-letter words: a connection that begins with one gets a text and is closed. What each prints is what
 * dashboards and scripts parse. Source: org.apache.zookeeper.server.command.
 */
import { hexLong } from '#zookeeper/protocol'

import { Decimal, NOT_SERVING, VERSION_TEXT, type AdminView } from './admin/view.ts'
import { monitorValues } from './admin/monitor.ts'
import type { ClientConnection } from './client-connection.ts'

export type { AdminView } from './admin/view.ts'

interface Word {
  readonly print: (view: AdminView, rest: Uint8Array) => string
  /** What it prints while clients are not served; as usual where this is not given. */
  readonly otherwise?: string
}

const SERVING_ONLY = `${NOT_SERVING}\n`

const WORDS: Readonly<Record<string, Word>> = {
  ruok: { print: () => 'imok' },
  srvr: { print: (view) => head(view) + summary(view), otherwise: SERVING_ONLY },
  stat: {
    print: (view) => `${head(view)}Clients:\n${lines(view.connections, briefLine)}\n${summary(view)}`,
    otherwise: SERVING_ONLY,
  },
  cons: { print: (view) => `${lines(view.connections, connectionLine)}\n`, otherwise: SERVING_ONLY },
  conf: { print: configuration, otherwise: SERVING_ONLY },
  mntr: {
    print: (view) => lines(monitorValues(view), ([name, value]) => `zk_${name}\t${String(value)}`),
    otherwise: SERVING_ONLY,
  },
  envi: { print: (view) => `Environment:\n${lines(view.environment(), ([key, value]) => `${key}=${value}`)}` },
  dump: { print: dump, otherwise: SERVING_ONLY },
  dirs: {
    print: (view) => `datadir_size: ${view.snapshotBytes()}\nlogdir_size: ${view.logBytes()}\n`,
    otherwise: SERVING_ONLY,
  },
  wchs: { print: watchSummary, otherwise: SERVING_ONLY },
  wchc: {
    print: ({ tree }) =>
      `${lines(tree.watches.bySession(), ([id, paths]) => [hexLong(id), ...paths.map(tabbed)].join('\n'))}\n`,
    otherwise: SERVING_ONLY,
  },
  wchp: {
    print: ({ tree }) =>
      `${lines(tree.watches.byPath(), ([path, ids]) => [path, ...ids.map(hexLong).map(tabbed)].join('\n'))}\n`,
    otherwise: SERVING_ONLY,
  },
  isro: { print: ({ role }) => (role === 'read-only' ? 'ro' : 'rw'), otherwise: 'null' },
  gtmk: { print: ({ traceMask }) => String(traceMask) },
  stmk: { print: setTraceMask },
  hash: {
    print: ({ tree }) => lines(tree.digests, ([zxid, digest]) => `${hexLong(zxid).slice(2)}: ${digest}`),
    otherwise: NOT_SERVING,
  },
  crst: { print: resetConnections, otherwise: SERVING_ONLY },
  srst: { print: resetServer, otherwise: SERVING_ONLY },
}

const NAMES = new Map(Object.keys(WORDS).map((name) => [numberOf(name), name]))

/** The word that a connection's first four bytes are, or null. */
export function adminWordOf(word: number): string | null {
  return NAMES.get(word) ?? null
}

/** `rest`: what came along with the word. */
export function answerAdminWord(view: AdminView, name: string, rest: Uint8Array = new Uint8Array()): string {
  if (!isAllowed(view, name)) return `${name} is not executed because it is not in the whitelist.\n`
  const { print, otherwise } = WORDS[name]!
  return view.role === null && otherwise !== undefined ? otherwise : print(view, rest)
}

/** `srvr` is what `zkServer.sh status` asks for, `isro` what clients of a read-only server do: Apache allows them in any case. */
function isAllowed({ config: { commands, readOnlyMode } }: AdminView, name: string): boolean {
  return commands.has('*') || commands.has(name) || name === 'srvr' || (name === 'isro' && readOnlyMode)
}

function numberOf(name: string): number {
  return [0, 1, 2, 3].reduce((number, at) => (number << 8) | name.charCodeAt(at), 0)
}

function head({ role }: AdminView): string {
  const warning = role === 'read-only' ? 'READ-ONLY mode; serving only read-only clients\n' : ''
  return `Zookeeper version: ${VERSION_TEXT}\n${warning}`
}

function summary(view: AdminView): string {
  const { latency, received, sent } = view.stats
  const leadership = view.ensemble?.leadership ?? null
  return (
    `Latency min/avg/max: ${Math.floor(latency.minMs)}/${new Decimal(latency.averageMs).toString()}/${Math.floor(latency.maxMs)}\n` +
    `Received: ${received}\nSent: ${sent}\nConnections: ${view.connectionCount}\nOutstanding: ${view.outstanding}\n` +
    `Zxid: ${hexLong(view.tree.lastZxid)}\nMode: ${view.role}\nNode count: ${view.tree.nodeCount}\n` +
    (leadership === null ? '' : `Proposal sizes last/min/max: ${leadership.proposals.toString()}\n`)
  )
}

function briefLine(connection: ClientConnection): string {
  return ` ${plainLine(connection)})`
}

function connectionLine(connection: ClientConnection): string {
  const { sessionId, traffic } = connection
  if (sessionId === 0n) return briefLine(connection)
  const { latency } = traffic
  const cxid = connection.lastXid >= 0 ? `,lcxid=0x${connection.lastXid.toString(16)}` : ''
  return (
    ` ${plainLine(connection)},sid=${hexLong(sessionId)},lop=${connection.lastOperation},` +
    `est=${connection.establishedWallMs},to=${connection.timeoutMs}${cxid},lzxid=${hexLong(connection.lastZxid)},` +
    `lresp=${Math.floor(connection.lastResponseMs)},llat=${Math.floor(connection.lastLatencyMs)},` +
    `minlat=${Math.floor(latency.minMs)},avglat=${Math.floor(latency.averageMs)},maxlat=${Math.floor(latency.maxMs)})`
  )
}

/** In brackets what Java's selector waits for: 1 is to read. */
function plainLine({ remoteAddress, isOpen, outstanding, traffic }: ClientConnection): string {
  return `/${remoteAddress}[${isOpen ? 1 : 0}](queued=${outstanding},recved=${traffic.received},sent=${traffic.sent}`
}

function configuration(view: AdminView): string {
  const { config, role } = view
  const { ensemble } = config
  const properties = lines(
    Object.entries({
      clientPort: view.port,
      secureClientPort: view.securePort || -1,
      dataDir: `${config.dataDir}/version-2`,
      dataDirSize: view.snapshotBytes(),
      dataLogDir: `${config.dataLogDir}/version-2`,
      dataLogSize: view.logBytes(),
      tickTime: config.tickTimeMs,
      maxClientCnxns: config.maxClientCnxns,
      minSessionTimeout: config.minSessionTimeoutMs,
      maxSessionTimeout: config.maxSessionTimeoutMs,
      clientPortListenBacklog: -1,
      serverId: ensemble?.sid ?? 0,
    }),
    property,
  )
  if (ensemble === null) return properties
  const own = ensemble.members.find(({ sid }) => sid === ensemble.sid)!
  const membership = lines(
    Object.entries({
      initLimit: ensemble.initLimit,
      syncLimit: ensemble.syncLimit,
      electionAlg: 3,
      electionPort: own.electionPort,
      quorumPort: own.quorumPort,
      peerType: own.role === 'observer' ? 1 : 0,
    }),
    property,
  )
  return properties + membership + (role === 'read-only' ? '' : `membership: \n${ensemble.configText}`)
}

function dump(view: AdminView): string {
  const ephemerals = [...view.tree.ephemeralsBySession()]
  return (
    `SessionTracker dump:\n${view.tracker === null ? globalSessions(view) : sessionSets(view)}` +
    `ephemeral nodes dump:\nSessions with Ephemerals (${ephemerals.length}):\n` +
    lines(ephemerals, ([id, paths]) => [`${hexLong(id)}:`, ...Array.from(paths, tabbed)].join('\n')) +
    `Connections dump:\n${connectionSets(view)}`
  )
}

function sessionSets(view: AdminView): string {
  const buckets = view.tracker!.buckets()
  return (
    `Session Sets (${buckets.length})/(${view.tracker!.size}):\n` +
    lines(buckets, ([endMs, ids]) => expiring(ids.map(hexLong), view.wallOfSessionMs(endMs)))
  )
}

/** A learner does not know when they expire. */
function globalSessions({ tree, role }: AdminView): string {
  const sessions = role === 'read-only' ? [] : [...tree.sessions]
  return `Global Sessions(${sessions.length}):\n${lines(sessions, ([id, timeoutMs]) => `${hexLong(id)}\t${timeoutMs}ms`)}`
}

/** When each is closed unless something is heard of it, in whole ticks as Apache counts. */
function connectionSets(view: AdminView): string {
  const sets = new Map<number, string[]>()
  const { tickTimeMs } = view.config
  for (const { remoteAddress, sessionId, silentUntilMs } of view.connections) {
    const endMs = (Math.floor(silentUntilMs / tickTimeMs) + 1) * tickTimeMs
    const texts = sets.get(endMs) ?? []
    sets.set(endMs, [...texts, `ip: /${remoteAddress} sessionId: ${hexLong(sessionId)}`])
  }
  const sorted = [...sets].sort(([a], [b]) => a - b)
  return `Connections Sets (${sets.size})/(${view.connectionCount}):\n${lines(sorted, ([endMs, texts]) => expiring(texts, view.wallOfMs(endMs)))}`
}

function expiring(members: readonly string[], wallMs: number): string {
  return [`${members.length} expire at ${javaDate(wallMs)}:`, ...members.map(tabbed)].join('\n')
}

/** `Tue Nov 24 20:13:58 UTC 2026`, as Java prints a date. */
function javaDate(wallMs: number): string {
  const [, day, date, month, year, time] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date(wallMs).toUTCString()) ?? []
  return `${day} ${month} ${date} ${time} UTC ${year}`
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
  resetStats(view)
  return 'Server stats reset.\n'
}

/** Everything that counts; what tells how things are stays. */
export function resetStats({ stats, responses, metrics, ensemble }: AdminView): void {
  stats.reset()
  responses.reset()
  metrics.reset()
  ensemble?.leadership?.proposals.reset()
}

/** Eight bytes follow the word. */
function setTraceMask(view: AdminView, rest: Uint8Array): string {
  if (rest.length >= 8) view.traceMask = new DataView(rest.buffer, rest.byteOffset, 8).getBigInt64(0)
  return String(view.traceMask)
}

function property([key, value]: [string, string | number]): string {
  return `${key}=${value}`
}

function lines<T>(items: Iterable<T>, line: (item: T) => string): string {
  return Array.from(items, (item) => `${line(item)}\n`).join('')
}

function tabbed(text: string): string {
  return `\t${text}`
}
