import { ConfigError } from '../errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `bootstrap.servers`: `host:port` each, an IPv6 address in brackets. */
export function parseAddresses(servers: readonly string[]): Address[] {
  return servers.map((server) => {
    const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:]+)):(?<port>\d+)$/.exec(server)
    const host = match?.groups?.['v6'] ?? match?.groups?.['name']
    const port = Number(match?.groups?.['port'])
    if (host === undefined || !(port >= 1 && port <= 65_535))
      throw new ConfigError(`bootstrap server "${server}" is not of the form host:port, such as 127.0.0.1:9092`)
    return { host, port }
  })
}
