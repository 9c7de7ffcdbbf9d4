/** `listeners` and what belongs to them: where a broker listens, and where others are told to reach it. */
import { SECURITY_PROTOCOL_ID, type BrokerEndpoint, type SecurityProtocol } from '#metadata/znodes'

import { ConfigError, splitList } from './setting.ts'

/**
 * `listenerName` is in capitals. An empty `host` stands for every address of the machine (where to listen) or for the
 * machine's own name (advertised); port 0 for one that is free, advertised as what it became.
 */
export type ListenerEndpoint = BrokerEndpoint

export interface ListenerTexts {
  listeners: string
  advertisedListeners: string | null
  securityProtocolMap: string
  interBrokerListenerName: string | null
  securityInterBrokerProtocol: string
  /** Whether `security.inter.broker.protocol` was set by somebody. */
  securityInterBrokerProtocolSet: boolean
}

export interface Listeners {
  readonly endpoints: readonly ListenerEndpoint[]
  readonly advertisedEndpoints: readonly ListenerEndpoint[]
  /** Name of the listener that brokers use among themselves. */
  readonly interBrokerListener: string
}

export function resolveListeners(texts: ListenerTexts): Listeners {
  const protocols = parseProtocolMap(texts.securityProtocolMap)
  const endpoints = parseEndpoints('listeners', texts.listeners, protocols)
  if (endpoints.length === 0) throw new ConfigError('listeners: at least one is needed')
  refuseDuplicates('listeners', endpoints)
  refuseInsecure(endpoints)

  const { advertisedListeners } = texts
  const advertised =
    advertisedListeners === null || advertisedListeners.trim() === ''
      ? endpoints
      : parseEndpoints('advertised.listeners', advertisedListeners, protocols)
  for (const endpoint of advertised) checkAdvertised(endpoint, endpoints)
  const names = new Set(advertised.map((endpoint) => endpoint.listenerName))
  if (names.size !== advertised.length) throw new ConfigError('advertised.listeners: a listener name occurs twice')

  const interBrokerListener = interBrokerListenerOf(texts)
  if (!names.has(interBrokerListener))
    throw new ConfigError(
      `inter.broker.listener.name: ${interBrokerListener} is not among the advertised listeners (${[...names].join(', ')})`,
    )
  return { endpoints, advertisedEndpoints: advertised, interBrokerListener }
}

/**
 * Why a broker cannot go from the one to the other while it runs; null: it can. Listeners come and go; one that stays, stays where it is.
 * (Apache's broker takes another address of a listener, advertises it, and goes on listening at the old one.)
 */
export function listenerChangeFault(now: Listeners, next: Listeners): string | null {
  for (const { listenerName: name, host, port, securityProtocol } of next.endpoints) {
    const present = now.endpoints.find(({ listenerName }) => listenerName === name)
    if (present === undefined) continue
    if (present.securityProtocol !== securityProtocol)
      return `listener.security.protocol.map: the protocol of ${name} cannot be changed while the broker runs`
    if (present.host !== host || present.port !== port)
      return `listeners: ${name} cannot move to ${host}:${port} while the broker runs; add a listener of another name, or restart it`
  }
  return null
}

function interBrokerListenerOf(texts: ListenerTexts): string {
  const name = texts.interBrokerListenerName?.trim() ?? ''
  if (name === '') return texts.securityInterBrokerProtocol
  if (texts.securityInterBrokerProtocolSet)
    throw new ConfigError('inter.broker.listener.name and security.inter.broker.protocol: only one may be set')
  return name.toUpperCase()
}

function parseProtocolMap(text: string): Map<string, SecurityProtocol> {
  const protocols = new Map<string, SecurityProtocol>()
  for (const item of splitList(text)) {
    const match = /^([^:]+):([A-Z_]+)$/.exec(item)
    const protocol = match?.[2] ?? ''
    if (match === null || !Object.hasOwn(SECURITY_PROTOCOL_ID, protocol))
      throw new ConfigError(`listener.security.protocol.map: "${item}" is not NAME:PROTOCOL`)
    const name = match[1]!.trim().toUpperCase()
    if (protocols.has(name)) throw new ConfigError(`listener.security.protocol.map: ${name} occurs twice`)
    protocols.set(name, protocol as SecurityProtocol)
  }
  return protocols
}

const ENDPOINT = /^([^:/]+):\/\/(?:\[([0-9a-fA-F:%.]+)\]|([0-9a-zA-Z\-%._]*)):(-?\d+)$/

function parseEndpoints(key: string, text: string, protocols: Map<string, SecurityProtocol>): ListenerEndpoint[] {
  return splitList(text).map((item) => {
    const match = ENDPOINT.exec(item)
    const port = Number(match?.[4])
    if (match === null || port < 0 || port > 65535)
      throw new ConfigError(`${key}: "${item}" is not NAME://host:port with a port from 0 to 65535`)
    const name = match[1]!.toUpperCase()
    const securityProtocol = protocols.get(name)
    if (securityProtocol === undefined)
      throw new ConfigError(`${key}: listener.security.protocol.map does not say which protocol ${name} speaks`)
    return { listenerName: name, host: match[2] ?? match[3]!, port, securityProtocol }
  })
}

function refuseDuplicates(key: string, endpoints: readonly ListenerEndpoint[]): void {
  const names = new Set<string>()
  const places = new Set<string>()
  for (const { listenerName: name, host, port } of endpoints) {
    if (names.has(name)) throw new ConfigError(`${key}: ${name} occurs twice`)
    names.add(name)
    // One port may be listened on twice only as IPv4 and as IPv6 (KIP-797).
    const place = `${port} ${host.includes(':') ? 'IPv6' : 'IPv4'}`
    if (port !== 0 && places.has(place)) throw new ConfigError(`${key}: port ${port} occurs twice`)
    places.add(place)
  }
}

/** A listener that should be protected never opens as plain text. */
function refuseInsecure(endpoints: readonly ListenerEndpoint[]): void {
  for (const { listenerName: name, securityProtocol } of endpoints)
    if (securityProtocol !== 'PLAINTEXT')
      throw new ConfigError(
        `listeners: ${name} asks for ${securityProtocol}, which is not carried out yet; only PLAINTEXT is`,
      )
}

function checkAdvertised({ listenerName: name, host }: ListenerEndpoint, endpoints: readonly ListenerEndpoint[]): void {
  if (host === '0.0.0.0' || host === '::')
    throw new ConfigError(`advertised.listeners: nobody can reach ${name} at ${host}; set an address of this machine`)
  if (!endpoints.some((endpoint) => endpoint.listenerName === name))
    throw new ConfigError(`advertised.listeners: ${name} is not among the listeners`)
}
