/** Ports that a member may keep as its own: chosen now, listened on a moment later. */
import { NetworkError, type Listener, type Platform } from '#platform'

/**
 * Below the ranges that kernels give to outgoing connections (Linux from 32768, macOS and Windows from 49152), whose
 * ports may be somebody's own end of a connection by the time that they are listened on. So a member that was stopped
 * finds its port free when it comes back, and nobody who knocks there meanwhile is connected with itself.
 */
export const PORT_FIRST = 10_000
export const PORT_END = 30_000
const PORT_TRIES_MAX = 1000

/** Ports of the host that nobody listens on, or is about to: they are taken all at once, so that they differ, and given back. */
export async function freePorts(
  { network, random }: Platform,
  host: string,
  count: number,
  promised: readonly number[] = [],
): Promise<number[]> {
  const listeners: Listener[] = []
  try {
    for (let tries = 0; listeners.length < count; tries++) {
      const port = PORT_FIRST + random.below(PORT_END - PORT_FIRST)
      if (promised.includes(port)) continue
      try {
        listeners.push(await network.listen({ host, port, onConnection: (socket) => socket.destroy() }))
      } catch (error) {
        if (!isPortTaken(error) || tries === PORT_TRIES_MAX) throw error
      }
    }
    return listeners.map(({ port }) => port)
  } finally {
    await Promise.all(listeners.map((listener) => listener.close()))
  }
}

/** Whether somebody else listens on the port that was wanted, as the error or one of its causes says. */
export function isPortTaken(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === 'EADDRINUSE'
  return error instanceof Error && isPortTaken(error.cause)
}
