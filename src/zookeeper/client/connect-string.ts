/** `host:port,host:port/chroot`, as in `zookeeper.connect`. */
export interface ConnectString {
  /** In the order given, without duplicates. */
  readonly hosts: readonly ZooKeeperAddress[]
  /** `''` or `/path`: stands before every path that is sent. */
  readonly chroot: string
}

export interface ZooKeeperAddress {
  readonly host: string
  readonly port: number
}

const CLIENT_PORT_DEFAULT = 2181

/** Throws an `Error` that says what is wrong with it. */
export function parseConnectString(text: string): ConnectString {
  const slash = text.indexOf('/')
  const chroot = slash < 0 ? '' : text.slice(slash)
  const hosts = new Map<string, ZooKeeperAddress>()
  for (const part of text.slice(0, slash < 0 ? text.length : slash).split(',')) {
    if (part.trim() === '') continue
    const address = parseAddress(part.trim())
    hosts.set(`${address.host}:${address.port}`, address)
  }
  if (hosts.size === 0) throw new Error(`"${text}" names no ZooKeeper server; wanted host:port[,host:port…][/chroot]`)
  if (chroot.length > 1 && (chroot.endsWith('/') || chroot.includes('//')))
    throw new Error(`"${chroot}" is no path for a chroot`)
  return { hosts: [...hosts.values()], chroot: chroot === '/' ? '' : chroot }
}

function parseAddress(text: string): ZooKeeperAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text)
  const port = match?.[3] === undefined ? CLIENT_PORT_DEFAULT : Number(match[3])
  if (match === null || port < 1 || port > 65_535)
    throw new Error(`"${text}" is no ZooKeeper server's address; wanted host:port`)
  return { host: match[1] ?? match[2]!, port }
}
