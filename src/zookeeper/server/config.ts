/**
 * `zoo.cfg`: the keys that people know, with ZooKeeper's defaults. A key that asks for security which is not
 * carried out stops the start; what is merely not there is named in a warning.
 * Source: QuorumPeerConfig, the administrator's guide.
 */
import { decodeUtf8 } from '#base'
import { FileError, joinPath, type FileSystem } from '#platform'
import { readMyId } from '#zookeeper/persistence'

import {
  configTextOf,
  memberOf,
  parseMember,
  quorumOf,
  type EnsembleConfig,
  type EnsembleMember,
} from './ensemble-config.ts'
import { propertiesOfJvmFlags } from './jvm-flags.ts'
import { refusalOf, warningOf } from './other-keys.ts'
import { parseProperties } from './properties.ts'
import { securityConfigOf, type SecurityConfig } from './security-config.ts'
import type { ConfigOf, Setting, SettingTable } from './setting.ts'
import { ENSEMBLE_SETTINGS, MEMBERSHIP_SETTINGS, PROMETHEUS_PROVIDER, SERVER_SETTINGS } from './settings.ts'
import { ZooCfgError } from './zoo-cfg-error.ts'

export { ZooCfgError } from './zoo-cfg-error.ts'

export interface ZooKeeperConfig extends Omit<ConfigOf<typeof SERVER_SETTINGS>, 'dataLogDir' | 'clientPort'> {
  readonly dataLogDir: string
  /** 0 picks a free one; null: `secureClientPort` only. */
  readonly clientPort: number | null
  readonly security: SecurityConfig
  /** Null: a server of its own. */
  readonly ensemble: EnsembleConfig | null
  /** Ends all sessions of a former process at the start: for an embedded server, whose clients died with it. */
  readonly closeStaleSessions: boolean
}

export interface ParsedZooCfg {
  config: ZooKeeperConfig
  warnings: string[]
}

/** What a server reads besides its `zoo.cfg`. */
export interface BesideZooCfg {
  /** What `dataDir/myid` says; an ensemble needs it. */
  readonly sid?: number | null
  /** The content of the file that `dynamicConfigFile` names. */
  readonly dynamicConfig?: string
  /** Java's command line, as people keep it in `SERVER_JVMFLAGS`: `-Dzookeeper.x=y` is `x=y`, unless the file has it. */
  readonly jvmFlags?: string
}

/** ms to wait for a better vote; Apache waits for 200. It guards against a worse choice only, never against a wrong one. */
const FINALIZE_WAIT_MS = 50

/** What Apache's servers have without another one, and what the admin words tell anyway. */
const OWN_PROVIDER = 'org.apache.zookeeper.metrics.impl.DefaultMetricsProvider'

/** Session ids carry it in one byte. */
const SID_MAX = 255

/** Throws `ZooCfgError` for a missing or bad value. */
export function parseZooCfg(text: string, beside: BesideZooCfg = {}): ParsedZooCfg {
  const values = new Values(parseProperties(text), propertiesOfJvmFlags(beside.jvmFlags ?? ''))
  const server = values.table(SERVER_SETTINGS)
  const ensemble = new EnsembleReader(values, beside).read()
  const security = securityConfigOf(values)
  if (![null, PROMETHEUS_PROVIDER, OWN_PROVIDER].includes(server.metricsProvider))
    values.warn('metricsProvider.className names a Java class and has no effect here')
  values.refuse()
  const client = clientAddressOf(server, ensemble, security)
  const { minSessionTimeoutMs: min, maxSessionTimeoutMs: max, tickTimeMs } = server
  const config: ZooKeeperConfig = {
    ...server,
    ...client,
    dataLogDir: server.dataLogDir ?? server.dataDir,
    minSessionTimeoutMs: min === -1 ? 2 * tickTimeMs : min,
    maxSessionTimeoutMs: max === -1 ? 20 * tickTimeMs : max,
    ensemble,
    security,
    closeStaleSessions: false,
  }
  if (config.minSessionTimeoutMs > config.maxSessionTimeoutMs)
    fail(
      `minSessionTimeout (${config.minSessionTimeoutMs}) is more than maxSessionTimeout (${config.maxSessionTimeoutMs})`,
    )
  if (config.extendedTypes && ensemble !== null && ensemble.sid === SID_MAX)
    fail(`extendedTypesEnabled needs server ids below ${SID_MAX}`)
  return { config, warnings: values.warnings() }
}

/** As `parseZooCfg`, with the files beside it read: `myid`, and the one that `dynamicConfigFile` names. */
export function readZooCfg(files: FileSystem, text: string, jvmFlags = ''): ParsedZooCfg {
  const values = new Values(parseProperties(text), propertiesOfJvmFlags(jvmFlags))
  const dynamicFile = values.value(MEMBERSHIP_SETTINGS.dynamicConfigFile)
  const sid = readMyId(files, values.value(SERVER_SETTINGS.dataDir))
  if (dynamicFile === null) return parseZooCfg(text, { sid, jvmFlags })
  return parseZooCfg(text, { sid, jvmFlags, dynamicConfig: readDynamicFile(files, dynamicFile) })
}

function readDynamicFile(files: FileSystem, path: string): string {
  try {
    const bytes = files.readFile(path)
    return decodeUtf8(bytes, 0, bytes.length)
  } catch (error) {
    if (error instanceof FileError) fail(`dynamicConfigFile=${path} cannot be read (${error.code})`)
    throw error
  }
}

/** Where the files are. */
export function foldersOf(config: ZooKeeperConfig, versionFolder: string): { snapshots: string; logs: string } {
  return { snapshots: joinPath(config.dataDir, versionFolder), logs: joinPath(config.dataLogDir, versionFolder) }
}

function clientAddressOf(
  { clientPort, clientPortAddress }: ConfigOf<typeof SERVER_SETTINGS>,
  ensemble: EnsembleConfig | null,
  { secureClientPort }: SecurityConfig,
): { clientPort: number | null; clientPortAddress: string } {
  const listed = ensemble === null ? null : memberOf(ensemble, ensemble.sid)!.clientAddress
  if (listed === null) {
    if (clientPort === null && secureClientPort === null)
      fail('clientPort is missing: it wants a number from 0 to 65535')
    return { clientPort, clientPortAddress }
  }
  const colon = listed.lastIndexOf(':')
  const port = Number(listed.slice(colon + 1))
  const address = listed.slice(0, colon).replaceAll(/[[\]]/g, '')
  if (clientPort !== null && (clientPort !== port || !['0.0.0.0', address].includes(clientPortAddress)))
    fail(
      `clientPort says ${clientPortAddress}:${clientPort}, and server.${ensemble!.sid} ${listed}: leave one of them out`,
    )
  return { clientPort: port, clientPortAddress: address }
}

/** `server.N` and what goes with it. */
class EnsembleReader {
  readonly #values: Values
  readonly #beside: BesideZooCfg
  readonly #membership: ConfigOf<typeof MEMBERSHIP_SETTINGS>
  readonly #lists: MemberLists

  constructor(values: Values, beside: BesideZooCfg) {
    this.#values = values
    this.#beside = beside
    this.#membership = values.table(MEMBERSHIP_SETTINGS)
    this.#lists = this.#memberLists()
  }

  read(): EnsembleConfig | null {
    const limits = this.#values.table(ENSEMBLE_SETTINGS)
    const { groups, weights, version } = this.#lists
    const members = Array.from(this.#lists.servers, ([sid, text]) => parseMember(sid, text)).sort(
      (a, b) => a.sid - b.sid,
    )
    if (this.#isAlone(members)) return null
    checkMembers(members)
    for (const key of ['initLimit', 'syncLimit'] as const)
      if (limits[key] === 0) fail(`${key} is missing: an ensemble wants a number of ticks`)
    const own = this.#own(members)
    this.#advise(members, own)
    return {
      ...limits,
      sid: own.sid,
      members,
      role: own.role,
      quorum: quorumOf(members, groups, weights),
      finalizeWaitMs: FINALIZE_WAIT_MS,
      configText: configTextOf(members, groups, weights, version),
      configVersion: version,
    }
  }

  #isAlone(members: readonly EnsembleMember[]): boolean {
    const voters = members.filter(({ role }) => role === 'participant')
    const { standaloneEnabled } = this.#membership
    if (voters.length > 1) return false
    if (members.length > voters.length) {
      if (voters.length === 0 || standaloneEnabled)
        fail('there are observers and no quorum of participants: name more servers as participants')
    }
    if (voters.length === 0 && !standaloneEnabled) fail('standaloneEnabled=false wants server.N lines')
    if (voters.length === 1 && standaloneEnabled)
      this.#values.warn(`server.${voters[0]!.sid} names one server only: it runs on its own`)
    return standaloneEnabled
  }

  #own(members: readonly EnsembleMember[]): EnsembleMember {
    const sid = this.#beside.sid ?? null
    if (sid === null)
      fail(`${members.length} servers are named, and myid is missing: a file in dataDir with the N of server.N`)
    return memberOf({ members }, sid) ?? fail(`myid says ${sid}, and there is no server.${sid}`)
  }

  #advise(members: readonly EnsembleMember[], own: EnsembleMember): void {
    const voters = members.filter(({ role }) => role === 'participant').length
    if (voters === 2) this.#values.warn('with two servers none may fail: name a third one')
    else if (voters % 2 === 0) this.#values.warn(`${voters} servers bear no more failures than ${voters - 1}`)
    const { peerType } = this.#membership
    if (peerType !== own.role && this.#values.has(MEMBERSHIP_SETTINGS.peerType.key))
      this.#values.warn(`peerType is ${peerType}, and server.${own.sid} says ${own.role}, which counts`)
  }

  /** From the file itself, or from the dynamic one, which has nothing else. */
  #memberLists(): MemberLists {
    const { dynamicConfigFile } = this.#membership
    const here = this.#values.memberLists()
    if (dynamicConfigFile === null) return here
    const misplaced = [...here.servers.keys()].map((sid) => `server.${sid}`)
    if (misplaced.length > 0)
      fail(`${misplaced.join(', ')} must be in ${dynamicConfigFile}, which dynamicConfigFile names`)
    if (this.#beside.dynamicConfig === undefined) fail(`dynamicConfigFile=${dynamicConfigFile} has not been read`)
    const there = new Values(parseProperties(this.#beside.dynamicConfig), new Map())
    const lists = there.memberLists()
    const [stranger] = there.unread()
    if (stranger !== undefined)
      fail(`${dynamicConfigFile} has ${stranger[0]}: it may have server.N, group.N and weight.N`)
    return { ...lists, version: versionInName(dynamicConfigFile) }
  }
}

interface MemberLists {
  readonly servers: ReadonlyMap<number, string>
  readonly groups: ReadonlyMap<number, string>
  readonly weights: ReadonlyMap<number, string>
  readonly version: bigint
}

/** Apache's servers name the file `zoo.cfg.dynamic.100000000` after the zxid of the reconfiguration. */
function versionInName(file: string): bigint {
  const suffix = /\.(?<version>[\da-f]{1,16})$/i.exec(file)?.groups?.['version']
  return suffix === undefined ? 0n : BigInt(`0x${suffix}`)
}

function checkMembers(members: readonly EnsembleMember[]): void {
  const owners = new Map<string, number>()
  for (const { sid, host, quorumPort, electionPort } of members) {
    if (sid > SID_MAX) fail(`server.${sid}: ids are from 0 to ${SID_MAX}`)
    for (const port of [quorumPort, electionPort]) {
      const address = `${host}:${port}`
      const other = owners.get(address)
      if (other !== undefined && host !== '0.0.0.0') fail(`server.${other} and server.${sid} both have ${address}`)
      owners.set(address, sid)
    }
  }
}

/** Keys may be written as the Java properties that they become. */
class Values {
  readonly #values = new Map<string, string>()
  readonly #read = new Set<string>()
  readonly #warnings: string[] = []

  constructor(file: ReadonlyMap<string, string>, jvm: ReadonlyMap<string, string>) {
    for (const [key, value] of [...jvm, ...file]) this.#values.set(key.replace(/^zookeeper\./, ''), value.trim())
  }

  table<Table extends SettingTable>(table: Table): ConfigOf<Table> {
    const entries = Object.entries(table).map(([field, setting]) => [field, this.value(setting)] as const)
    return Object.fromEntries(entries) as ConfigOf<Table>
  }

  value<Value>({ key, read }: Setting<Value>): Value {
    this.#read.add(key)
    const text = this.#values.get(key)
    return read(text === undefined || text === '' ? null : text)
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  family(pattern: RegExp): string[] {
    const found = Array.from(this.#values).filter(([key, value]) => pattern.test(key) && value !== '')
    for (const [key] of found) this.#read.add(key)
    return found.map(([, value]) => value)
  }

  memberLists(): MemberLists {
    const lists = {
      server: new Map<number, string>(),
      group: new Map<number, string>(),
      weight: new Map<number, string>(),
    }
    for (const [key, value] of this.#values) {
      const match = /^(?<list>server|group|weight)\.(?<id>.*)$/.exec(key)?.groups
      if (match === undefined) continue
      this.#read.add(key)
      if (!/^\d{1,9}$/.test(match['id']!)) fail(`${key}: "${match['id']}" is no id`)
      lists[match['list'] as keyof typeof lists].set(Number(match['id']), value)
    }
    return { servers: lists.server, groups: lists.group, weights: lists.weight, version: 0n }
  }

  unread(): [string, string][] {
    return Array.from(this.#values).filter(([key]) => !this.#read.has(key))
  }

  refuse(): void {
    for (const [key, value] of this.unread()) {
      const refusal = refusalOf(key, value)
      if (refusal !== null) fail(refusal)
    }
  }

  warn(warning: string): void {
    this.#warnings.push(warning)
  }

  warnings(): string[] {
    return [...this.#warnings, ...this.unread().flatMap(([key, value]) => warningOf(key, value) ?? [])]
  }
}

function fail(message: string): never {
  throw new ZooCfgError(message)
}
