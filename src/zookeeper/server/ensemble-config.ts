/**
 * The servers of an ensemble, as `server.N`, `group.N` and `weight.N` name them, and what its members agree on.
 * Source: QuorumPeerConfig, QuorumPeer.QuorumServer, QuorumMaj, QuorumHierarchical.
 */
import { hierarchyOf, majorityOf, type Quorum } from '#zookeeper/zab'

import type { ConfigOf } from './setting.ts'
import type { ENSEMBLE_SETTINGS } from './settings.ts'
import { ZooCfgError } from './zoo-cfg-error.ts'

export type MemberRole = 'participant' | 'observer'

export interface EnsembleMember {
  readonly sid: number
  /** Under which the others reach it; without the brackets of an IPv6 address. */
  readonly host: string
  /** Where it listens for learners while it leads. */
  readonly quorumPort: number
  readonly electionPort: number
  readonly role: MemberRole
  /** `address:port` for clients, where `server.N` names it. */
  readonly clientAddress: string | null
}

/** Times of the tables are in ticks where their key says nothing of ms. */
export interface EnsembleConfig extends ConfigOf<typeof ENSEMBLE_SETTINGS> {
  /** The own server id, from `dataDir/myid` or given by whoever embeds the server. */
  readonly sid: number
  /** Ascending by id. */
  readonly members: readonly EnsembleMember[]
  /** The own one, as the list of servers has it. */
  readonly role: MemberRole
  readonly quorum: Quorum
  /** ms to wait for a better vote once a quorum agrees; none when every voter has been heard. */
  readonly finalizeWaitMs: number
  /** The text in `/zookeeper/config`, in notifications and in NEWLEADER. */
  readonly configText: string
  /** Of the list of servers: 0, or what the name of Apache's dynamic file ends with. */
  readonly configVersion: bigint
}

/** Null where no server has this id. */
export function memberOf(config: Pick<EnsembleConfig, 'members'>, sid: number): EnsembleMember | null {
  return config.members.find((member) => member.sid === sid) ?? null
}

/** `server.N=text`. Throws `ZooCfgError`. */
export function parseMember(sid: number, text: string): EnsembleMember {
  const key = `server.${sid}=${text}`
  const [server = '', client = '', secure = '', ...rest] = text.split(';').map((part) => part.trim())
  if (rest.length > 0) throw new ZooCfgError(`${key} ${FORM}`)
  if (secure !== '') throw new ZooCfgError(`${key} asks for a secure client port: name it as secureClientPort`)
  if (server.includes('|')) throw new ZooCfgError(`${key} names several addresses of one server: name one of them`)
  const [host = '', quorumPort = '', electionPort = '', role = 'participant', ...more] = parts(server)
  if (host === '' || electionPort === '' || more.length > 0) throw new ZooCfgError(`${key} ${FORM}`)
  const member: EnsembleMember = {
    sid,
    host,
    quorumPort: portOf(key, quorumPort),
    electionPort: portOf(key, electionPort),
    role: roleOf(key, role),
    clientAddress: client === '' ? null : clientAddressOf(key, client),
  }
  if (member.quorumPort === member.electionPort && member.quorumPort !== 0)
    throw new ZooCfgError(`${key} has the same port twice: one is for the quorum, one for elections`)
  return member
}

const FORM = 'is not host:quorumPort:electionPort[:participant|observer][;[address:]clientPort]'

/** Parts between colons; an IPv6 address is in brackets. */
function parts(text: string): string[] {
  const bracketed = /^\[(?<host>[^\]]+)\](?::(?<rest>.*))?$/.exec(text)?.groups
  if (bracketed === undefined) return text.split(':')
  return [bracketed['host']!, ...(bracketed['rest']?.split(':') ?? [])]
}

function portOf(key: string, text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65535) throw new ZooCfgError(`${key}: "${text}" is no port`)
  return port
}

function roleOf(key: string, text: string): MemberRole {
  const role = text.trim().toLowerCase()
  if (role === 'participant' || role === 'observer') return role
  throw new ZooCfgError(`${key}: "${text}" is neither participant nor observer`)
}

function clientAddressOf(key: string, text: string): string {
  const found = parts(text)
  const [host, port] = found.length === 1 ? ['0.0.0.0', found[0]!] : found
  if (found.length > 2 || host === '') throw new ZooCfgError(`${key} ${FORM}`)
  return `${bracketed(host!)}:${portOf(key, port!)}`
}

/**
 * Who decides. `groups` and `weights` are the values of `group.N` and `weight.N` by N; with any of them the quorum is a
 * hierarchical one. Throws `ZooCfgError`.
 */
export function quorumOf(
  members: readonly EnsembleMember[],
  groups: ReadonlyMap<number, string>,
  weights: ReadonlyMap<number, string>,
): Quorum {
  const voters = members.filter(({ role }) => role === 'participant').map(({ sid }) => sid)
  if (groups.size === 0 && weights.size === 0) return majorityOf(voters)
  const grouped = Array.from(groups, ([id, text]) => text.split(':').map((sid) => groupedSid(id, sid, voters)))
  const all = grouped.flat()
  for (const sid of voters) {
    const count = all.filter((other) => other === sid).length
    if (count !== 1) throw new ZooCfgError(`server.${sid} is in ${count} groups: it must be in one`)
  }
  const quorum = hierarchyOf(grouped, new Map(Array.from(weights, ([sid, text]) => [sid, weightOf(sid, text)])))
  if (voters.every((sid) => quorum.weightOf(sid) === 0))
    throw new ZooCfgError('every weight is 0: no server could ever lead')
  return quorum
}

function groupedSid(group: number, text: string, voters: readonly number[]): number {
  const sid = Number(text)
  if (!/^\d+$/.test(text.trim()) || !voters.includes(sid))
    throw new ZooCfgError(`group.${group}: "${text}" is the id of no participant`)
  return sid
}

function weightOf(sid: number, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new ZooCfgError(`weight.${sid}=${text} is no number from 0 on`)
  return Number(text)
}

/** As Apache's servers write it. */
export function configTextOf(
  members: readonly EnsembleMember[],
  groups: ReadonlyMap<number, string>,
  weights: ReadonlyMap<number, string>,
  version: bigint,
): string {
  const lines = members.map(({ sid, host, quorumPort, electionPort, role, clientAddress }) => {
    const client = clientAddress === null ? '' : `;${clientAddress}`
    return `server.${sid}=${bracketed(host)}:${quorumPort}:${electionPort}:${role}${client}`
  })
  for (const [id, text] of groups) lines.push(`group.${id}=${text}`)
  if (groups.size > 0)
    for (const { sid, role } of members)
      if (role === 'participant') lines.push(`weight.${sid}=${weights.get(sid) ?? 1}`)
  return [...lines, `version=${version.toString(16)}`].join('\n')
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
