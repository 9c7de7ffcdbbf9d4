import { closeSync, existsSync, fstatSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

import { FileError, type FileLock } from '#platform'

/**
 * A lock that dies with its process, which Node does not offer (no flock, no fcntl).
 *
 * On Linux it is a listening socket in the abstract namespace, named after device and inode of the lock
 * file. The kernel gives such a name to one holder only, within a process too, and takes it back when the
 * holder dies, however it dies; no stale file can remain. It reaches as far as the network namespace: two
 * containers that share a volume do not see each other's lock. An Apache broker's lock on the same file (fcntl) is
 * seen through `/proc/locks`, ours is not seen by it.
 *
 * Elsewhere it is the process id in the lock file, which counts while such a process lives.
 */
export function takeLock(path: string): FileLock {
  return process.platform === 'linux' ? lockByAbstractSocket(path) : lockByProcessId(path)
}

function lockByAbstractSocket(path: string): FileLock {
  const { device, inode } = identityOf(path)
  const holder = holderOfPosixLock(inode)
  if (holder !== null) throw held(path, `process ${holder}`)
  const server: Server = createServer((socket) => socket.destroy())
  // The name is taken within `listen`; what went wrong is told by an event only, and `listening` tells it now.
  server.on('error', () => {})
  server.listen({ path: `\0samsa-lock-${device}-${inode}`, exclusive: true })
  if (!server.listening) throw held(path, 'another process')
  server.unref()
  return {
    release() {
      server.close()
    },
  }
}

/** The process that holds a POSIX or flock lock on this inode, from lines like `1: POSIX ADVISORY WRITE 4711 fe:00:1234 0 EOF`. */
function holderOfPosixLock(inode: number): string | null {
  let table: string
  try {
    table = readFileSync('/proc/locks', 'latin1')
  } catch {
    return null
  }
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (fields[1] !== '->' && fields[5]?.split(':')[2] === String(inode)) return fields[4] ?? null
  }
  return null
}

function lockByProcessId(path: string): FileLock {
  if (existsSync(path)) {
    const holder = Number(readFileSync(path, 'latin1'))
    if (isAlive(holder)) throw held(path, `process ${holder}`)
    unlinkSync(path)
  }
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' })
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? held(path, 'another process') : error
  }
  return {
    release() {
      unlinkSync(path)
    },
  }
}

/** Device and inode of the lock file, which is created when missing: they name it whatever path leads to it. */
function identityOf(path: string): { device: number; inode: number } {
  const fd = openSync(path, 'a', 0o644)
  try {
    const { dev, ino } = fstatSync(fd)
    return { device: dev, inode: ino }
  } finally {
    closeSync(fd)
  }
}

function isAlive(processId: number): boolean {
  if (!Number.isSafeInteger(processId) || processId <= 0) return false
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function held(path: string, by: string): FileError {
  return new FileError('EWOULDBLOCK', `${path} is locked by ${by}`)
}
