import { FileError, type Clock, type File, type FileLock, type FileStat, type FileSystem } from '#platform'

import { partsOf, type DiskDirectory, type DiskFile, type SimulatedDisk } from './disk.ts'
import type { Incarnation } from './incarnation.ts'

export type DiskOperation = 'open' | 'read' | 'write' | 'sync' | 'rename' | 'remove' | 'truncate' | 'syncDirectory'

/** A failure that waits for its operation. */
export interface DiskFault {
  operation: DiskOperation
  code: 'EIO' | 'ENOSPC' | 'EMFILE'
  /** Only for paths that contain this. */
  path?: string
  /** So many such operations succeed first. Default 0. */
  after?: number
  /** So many fail then. Default 1; Infinity: all. */
  times?: number
}

/** How a machine's disk behaves at present. Survives the processes on it. */
export class DiskConditions {
  /** Usual time of a sync, ms. */
  syncMs = 0.5
  /** Usual time of a read in the pool, ms. */
  readMs = 0.2
  /** Everything takes so many times as long; from 10 on, writes too go to the pool. */
  slowness = 1
  /** A sync that hiccups takes so many times as long. */
  hiccupFactor = 50
  /** Hears of each operation that failed, before the process does. */
  onFailure: ((operation: DiskOperation, path: string, code: DiskFault['code']) => void) | null = null
  readonly #faults: Required<DiskFault>[] = []

  inject(fault: DiskFault): void {
    this.#faults.push({ path: '', after: 0, times: 1, ...fault })
  }

  clearFaults(): void {
    this.#faults.length = 0
  }

  /** The code with which this operation is to fail, or null. */
  faultOf(operation: DiskOperation, path: string): DiskFault['code'] | null {
    for (const fault of this.#faults) {
      if (fault.operation !== operation || !path.includes(fault.path)) continue
      if (fault.after-- > 0) continue
      if (fault.times-- > 0) return fault.code
    }
    return null
  }
}

/** From this slowness on, a write returns a promise. */
const SLOW_WRITES_FROM = 10
/** One sync in so many takes `hiccupFactor` times as long. */
const SYNC_HICCUP_PROBABILITY = 0.005

/** A machine's disk as one life of a process sees it. */
export class SimulatedFileSystem implements FileSystem {
  readonly #incarnation: Incarnation
  readonly #clock: Clock
  readonly #disk: SimulatedDisk
  readonly #conditions: DiskConditions
  readonly #locks: Set<string>

  /** `locks`: names of locks that are held on this machine. */
  constructor(
    incarnation: Incarnation,
    clock: Clock,
    disk: SimulatedDisk,
    conditions: DiskConditions,
    locks: Set<string>,
  ) {
    this.#incarnation = incarnation
    this.#clock = clock
    this.#disk = disk
    this.#conditions = conditions
    this.#locks = locks
  }

  open(path: string, mode: 'read' | 'write' | 'truncate'): File {
    this.#begin('open', path)
    let node = this.#disk.find(path)
    if (node === null) {
      if (mode === 'read') throw missing(path)
      const { directory, name } = this.#placeOf(path)
      node = this.#disk.createFile(directory, name, this.#clock.now())
    }
    if (node.kind === 'directory') throw new FileError('EISDIR', `${path} is a directory`)
    const file = new SimulatedFile(path, node, this.#incarnation, this.#clock, this.#disk, this.#conditions)
    if (mode === 'truncate') file.truncate(0)
    return file
  }

  exists(path: string): boolean {
    this.#incarnation.expectAlive()
    return this.#disk.find(path) !== null
  }

  stat(path: string): FileStat {
    this.#incarnation.expectAlive()
    const node = this.#disk.find(path)
    if (node === null) throw missing(path)
    return { kind: node.kind, size: node.kind === 'file' ? node.size : 0, modifiedMs: node.modifiedMs }
  }

  list(path: string): string[] {
    this.#incarnation.expectAlive()
    return [...this.#directoryAt(path).entries.keys()].sort()
  }

  makeDirectory(path: string): void {
    this.#incarnation.expectAlive()
    if (this.#disk.makeDirectory(path, this.#clock.now()) === null)
      throw new FileError('EEXIST', `${path} or one of its parents is a file`)
  }

  rename(from: string, to: string): void {
    this.#begin('rename', from)
    if (this.#disk.find(from) === null) throw missing(from)
    const source = this.#placeOf(from)
    const target = this.#placeOf(to)
    const replaced = target.directory.entries.get(target.name)
    if (replaced?.kind === 'directory' && replaced.entries.size > 0)
      throw new FileError('ENOTEMPTY', `${to} is a directory and not empty`)
    this.#disk.rename(source.directory, source.name, target.directory, target.name, this.#clock.now())
  }

  remove(path: string): void {
    this.#begin('remove', path)
    const node = this.#disk.find(path)
    if (node === null) return
    if (node.kind === 'directory') throw new FileError('EISDIR', `${path} is a directory`)
    const { directory, name } = this.#placeOf(path)
    this.#disk.removeName(directory, name, this.#clock.now())
  }

  removeTree(path: string): Promise<void> {
    this.#begin('remove', path)
    return this.#later('remove', this.#conditions.readMs, () => {
      if (this.#disk.find(path) === null) return
      const { directory, name } = this.#placeOf(path)
      const node = directory.entries.get(name)!
      if (node.kind === 'directory') this.#emptyDirectory(node)
      this.#disk.removeName(directory, name, this.#clock.now())
    })
  }

  #emptyDirectory(directory: DiskDirectory): void {
    for (const [name, node] of directory.entries) {
      if (node.kind === 'directory') this.#emptyDirectory(node)
      this.#disk.removeName(directory, name, this.#clock.now())
    }
  }

  readFile(path: string): Uint8Array {
    const file = this.open(path, 'read')
    const content = new Uint8Array(file.size())
    file.read(content, 0)
    file.close()
    return content
  }

  syncDirectory(path: string): Promise<void> {
    this.#begin('syncDirectory', path)
    const directory = this.#directoryAt(path)
    const capture = this.#disk.captureNames(directory)
    return this.#later('sync', this.#conditions.syncMs, () => this.#disk.makeNamesDurable(directory, capture))
  }

  syncDirectoryNow(path: string): void {
    this.#begin('syncDirectory', path)
    const directory = this.#directoryAt(path)
    this.#disk.makeNamesDurable(directory, this.#disk.captureNames(directory))
  }

  lock(path: string): FileLock {
    if (!this.exists(path)) this.open(path, 'write').close()
    const name = partsOf(path).join('/')
    if (this.#locks.has(name)) throw new FileError('EWOULDBLOCK', `${path} is locked by another process`)
    this.#locks.add(name)
    const release = (): void => void this.#locks.delete(name)
    this.#incarnation.onDeath(release)
    return { release }
  }

  #later(kind: string, usualMs: number, run: () => void): Promise<void> {
    return later(this.#incarnation, this.#conditions, kind, usualMs, run)
  }

  #begin(operation: DiskOperation, path: string): void {
    this.#incarnation.expectAlive()
    failIfInjected(this.#conditions, operation, path)
  }

  #directoryAt(path: string): DiskDirectory {
    const node = this.#disk.find(path)
    if (node === null) throw missing(path)
    if (node.kind === 'file') throw new FileError('ENOTDIR', `${path} is not a directory`)
    return node
  }

  /** The directory that the last name of a path stands in, or is to stand in. */
  #placeOf(path: string): { directory: DiskDirectory; name: string } {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw new FileError('EISDIR', `${path} is the root`)
    return { directory: this.#directoryAt(parts.join('/')), name }
  }
}

class SimulatedFile implements File {
  readonly path: string
  readonly #file: DiskFile
  readonly #incarnation: Incarnation
  readonly #clock: Clock
  readonly #disk: SimulatedDisk
  readonly #conditions: DiskConditions
  #closed = false
  /** The last write that went to the pool; the next waits for it. */
  #writing: Promise<void> | null = null
  #syncing: Promise<void> | null = null

  constructor(
    path: string,
    file: DiskFile,
    incarnation: Incarnation,
    clock: Clock,
    disk: SimulatedDisk,
    conditions: DiskConditions,
  ) {
    this.path = path
    this.#file = file
    this.#incarnation = incarnation
    this.#clock = clock
    this.#disk = disk
    this.#conditions = conditions
  }

  size(): number {
    this.#expectOpen()
    return this.#file.size
  }

  read(into: Uint8Array, position: number): number {
    this.#begin('read')
    return this.#disk.read(this.#file, into, position)
  }

  async readBehind(into: Uint8Array, position: number): Promise<number> {
    this.#begin('read')
    let count = 0
    await later(this.#incarnation, this.#conditions, 'read', this.#conditions.readMs, () => {
      count = this.#disk.read(this.#file, into, position)
    })
    return count
  }

  write(chunks: readonly Uint8Array[], position: number): void | Promise<void> {
    this.#expectOpen()
    if (this.#writing === null && this.#conditions.slowness < SLOW_WRITES_FROM) return this.#writeNow(chunks, position)
    const writing = this.#writeLater(this.#writing, chunks, position)
    this.#writing = writing
    const settled = (): void => {
      if (this.#writing === writing) this.#writing = null
    }
    writing.then(settled, settled)
    return writing
  }

  async #writeLater(before: Promise<void> | null, chunks: readonly Uint8Array[], position: number): Promise<void> {
    await before?.catch(() => {})
    await later(this.#incarnation, this.#conditions, 'write', this.#conditions.readMs, () =>
      this.#writeNow(chunks, position),
    )
  }

  #writeNow(chunks: readonly Uint8Array[], position: number): void {
    failIfInjected(this.#conditions, 'write', this.path)
    const written = this.#disk.write(this.#file, chunks, position, this.#clock.now())
    const wanted = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (written === wanted) return
    this.#conditions.onFailure?.('write', this.path, 'ENOSPC')
    throw new FileError('ENOSPC', `${this.path} took only ${written} of ${wanted} bytes: the disk is full`)
  }

  async sync(): Promise<void> {
    this.#begin('sync')
    await this.#writing?.catch(() => {})
    const before = this.#syncing
    const syncing = this.#syncAfter(before)
    this.#syncing = syncing
    await syncing
  }

  /** Syncs of a file end in the order in which they began. */
  async #syncAfter(before: Promise<void> | null): Promise<void> {
    const capture = this.#disk.captureFile(this.#file)
    await before?.catch(() => {})
    await later(this.#incarnation, this.#conditions, 'sync', this.#conditions.syncMs, () =>
      this.#disk.makeFileDurable(this.#file, capture),
    )
  }

  syncNow(): void {
    this.#begin('sync')
    this.#disk.makeFileDurable(this.#file, this.#disk.captureFile(this.#file))
  }

  truncate(size: number): void {
    this.#begin('truncate')
    this.#disk.truncate(this.#file, size, this.#clock.now())
  }

  close(): void {
    this.#closed = true
  }

  #begin(operation: DiskOperation): void {
    this.#expectOpen()
    failIfInjected(this.#conditions, operation, this.path)
  }

  #expectOpen(): void {
    this.#incarnation.expectAlive()
    if (this.#closed) throw new FileError('EBADF', `${this.path} is closed`)
  }
}

/** Does `run` when the pool would have done it. Its failure rejects; a dead process's promise never settles. */
function later(
  incarnation: Incarnation,
  conditions: DiskConditions,
  kind: string,
  usualMs: number,
  run: () => void,
): Promise<void> {
  const { random } = incarnation
  const hiccup = kind === 'sync' && random.chance(SYNC_HICCUP_PROBABILITY) ? conditions.hiccupFactor : 1
  const delayMs = (usualMs / 2 + random.exponential(usualMs / 2)) * conditions.slowness * hiccup
  return new Promise((resolve, reject) => {
    incarnation.after(delayMs, kind, () => {
      try {
        run()
        resolve()
      } catch (error) {
        reject(error)
      }
    })
  })
}

function failIfInjected(conditions: DiskConditions, operation: DiskOperation, path: string): void {
  const code = conditions.faultOf(operation, path)
  if (code === null) return
  conditions.onFailure?.(operation, path, code)
  throw new FileError(code, `${path}: the simulated disk fails to ${operation}`)
}

function missing(path: string): FileError {
  return new FileError('ENOENT', `${path} does not exist`)
}
