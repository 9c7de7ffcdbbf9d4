/** What the system says of this process. Where it has no `/proc`, what stands there is 0. */
import { decodeUtf8 } from '#base'
import { FileError, type Platform } from '#platform'

import { VERSION_TEXT } from './view.ts'

export interface ProcessFigures {
  readonly openFiles: number
  readonly maxFiles: number
  readonly cpuSeconds: number
  /** Since the epoch. */
  readonly startedSeconds: number
  readonly residentBytes: number
  readonly virtualBytes: number
}

export function processFigures({ files, clock }: Pick<Platform, 'files' | 'clock'>): ProcessFigures {
  const { user, system } = process.cpuUsage()
  const { rss } = process.memoryUsage()
  const limit = /^Max open files +(?<soft>\d+)/m.exec(textOf(files, '/proc/self/limits'))?.groups?.['soft']
  const pages = Number(/^\d+/.exec(textOf(files, '/proc/self/statm'))?.[0] ?? 0)
  return {
    openFiles: countOf(files, '/proc/self/fd'),
    maxFiles: Number(limit ?? 0),
    cpuSeconds: (user + system) / 1e6,
    startedSeconds: clock.now() / 1000 - process.uptime(),
    residentBytes: rss,
    virtualBytes: pages * PAGE_BYTES,
  }
}

const PAGE_BYTES = 4096

/** Under whom this process runs, as far as its environment says. */
export function userOf(): string {
  const { env } = process
  return env['USER'] ?? env['LOGNAME'] ?? (process.getuid?.() === 0 ? 'root' : `uid ${process.getuid?.()}`)
}

/** Apache's list, with what stands for Java here. */
export function environmentOf({ files, network }: Pick<Platform, 'files' | 'network'>): [string, string][] {
  const { env } = process
  const { heapTotal, heapUsed, rss } = process.memoryUsage()
  return Object.entries({
    'zookeeper.version': VERSION_TEXT,
    'host.name': network.hostName ?? 'localhost',
    'java.version': `none: Node.js ${process.versions.node}`,
    'java.vendor': 'Node.js',
    'java.home': process.execPath,
    'java.class.path': process.argv[1] ?? '',
    'java.library.path': '',
    'java.io.tmpdir': env['TMPDIR'] ?? '/tmp',
    'java.compiler': '<NA>',
    'os.name': process.platform === 'linux' ? 'Linux' : process.platform,
    'os.arch': process.arch === 'x64' ? 'amd64' : process.arch,
    'os.version': textOf(files, '/proc/sys/kernel/osrelease').trim(),
    'user.name': userOf(),
    'user.home': env['HOME'] ?? '',
    'user.dir': process.cwd(),
    'os.memory.free': mebibytes(heapTotal - heapUsed),
    'os.memory.max': mebibytes(rss),
    'os.memory.total': mebibytes(heapTotal),
  })
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)}MB`
}

function textOf(files: Platform['files'], path: string): string {
  try {
    const bytes = files.readFile(path)
    return decodeUtf8(bytes, 0, bytes.length)
  } catch (error) {
    if (error instanceof FileError) return ''
    throw error
  }
}

function countOf(files: Platform['files'], folder: string): number {
  try {
    return files.list(folder).length
  } catch (error) {
    if (error instanceof FileError) return 0
    throw error
  }
}
