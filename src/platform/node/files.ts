import * as fs from 'node:fs'

import { FileError, parentOf, type File, type FileLock, type FileStat, type FileSystem } from '#platform'

import { takeLock } from './lock.ts'

/** A write that took longer makes its device slow: further writes to it go to the pool, and the loop goes on. */
const SLOW_WRITE_MS = 20
/** So many pooled writes in a row must be faster than `SLOW_WRITE_MS` before the device counts as recovered. */
const FAST_WRITES_TO_RECOVER = 8
/** libuv's own default. The entries set 16, before the pool is first used. */
const POOL_THREADS_DEFAULT = 4

/** A MiB out of the page cache takes 0.15 ms, a millisecond or two by way of the pool; a disk takes longer. */
const SLOW_READ_MS = 4
const FAST_READS_TO_TRUST = 4
const READ_AT_ONCE_BYTES_MAX = 1024 * 1024

/** Device of a disk: what is slow is the disk, whichever directory on it is being written. */
class Device {
  slow = false
  fastWrites = 0
  /** Reads behind the tail, in a row, that took no longer than memory does. */
  #fastReads = 0

  note(tookMs: number): void {
    if (tookMs > SLOW_WRITE_MS) {
      this.slow = true
      this.fastWrites = 0
    } else if (this.slow && ++this.fastWrites >= FAST_WRITES_TO_RECOVER) this.slow = false
  }

  /** Reads behind the tail come from the page cache: the pool would cost more than they do. */
  get readsFromMemory(): boolean {
    return this.#fastReads >= FAST_READS_TO_TRUST
  }

  noteRead(tookMs: number): void {
    this.#fastReads = tookMs > SLOW_READ_MS ? 0 : this.#fastReads + 1
  }
}

export class NodeFileSystem implements FileSystem {
  readonly #share: PoolShare
  readonly #devices = new Map<number, Device>()

  constructor(share: PoolShare) {
    this.#share = share
  }

  open(path: string, mode: 'read' | 'write' | 'truncate'): File {
    return translated(path, () => {
      const fd = fs.openSync(path, FLAGS[mode], 0o644)
      return new NodeFile(path, fd, this.#deviceOf(fs.fstatSync(fd).dev), this.#share)
    })
  }

  exists(path: string): boolean {
    return fs.existsSync(path)
  }

  stat(path: string): FileStat {
    return translated(path, () => {
      const stat = fs.statSync(path)
      const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other'
      return { kind, size: stat.size, modifiedMs: stat.mtimeMs }
    })
  }

  list(path: string): string[] {
    return translated(path, () => fs.readdirSync(path).sort())
  }

  makeDirectory(path: string): void {
    // Not `recursive`: where a file system refuses a name with ENOENT although the parent is there (/proc), Node tries for ever.
    const parent = parentOf(path)
    if (parent !== path && !this.exists(parent)) this.makeDirectory(parent)
    translated(path, () => {
      try {
        fs.mkdirSync(path)
      } catch (error) {
        if (!isDirectory(path)) throw error
      }
    })
  }

  rename(from: string, to: string): void {
    translated(from, () => fs.renameSync(from, to))
  }

  remove(path: string): void {
    translated(path, () => fs.rmSync(path, { force: true }))
  }

  async removeTree(path: string): Promise<void> {
    await this.#share.run((done) => fs.rm(path, { recursive: true, force: true }, done), path)
  }

  readFile(path: string): Uint8Array {
    return translated(path, () => fs.readFileSync(path))
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = translated(path, () => fs.openSync(path, 'r'))
    try {
      await this.#share.run((done) => fs.fsync(fd, done), path)
    } finally {
      fs.closeSync(fd)
    }
  }

  syncDirectoryNow(path: string): void {
    translated(path, () => {
      const fd = fs.openSync(path, 'r')
      try {
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
    })
  }

  lock(path: string): FileLock {
    return translated(path, () => takeLock(path))
  }

  #deviceOf(id: number): Device {
    let device = this.#devices.get(id)
    if (device === undefined) this.#devices.set(id, (device = new Device()))
    return device
  }
}

const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC } = fs.constants
const FLAGS = { read: O_RDONLY, write: O_RDWR | O_CREAT, truncate: O_RDWR | O_CREAT | O_TRUNC }

class NodeFile implements File {
  readonly path: string
  readonly #fd: number
  readonly #device: Device
  readonly #share: PoolShare
  /** Calls that the pool still carries out; the descriptor is closed after the last, or it might serve another file by then. */
  #inPool = 0
  #closed = false
  /** The last pooled write: the next one waits for it, so that order is kept. Null when none is under way. */
  #writing: Promise<void> | null = null
  /** The sync under way. It does not cover what is written after it began. */
  #syncing: Promise<void> | null = null
  /** The sync that starts when the present one ends, shared by all who ask meanwhile. */
  #nextSync: Promise<void> | null = null

  constructor(path: string, fd: number, device: Device, share: PoolShare) {
    this.path = path
    this.#fd = fd
    this.#device = device
    this.#share = share
  }

  size(): number {
    return translated(this.path, () => fs.fstatSync(this.#openFd()).size)
  }

  read(into: Uint8Array, position: number): number {
    const fd = this.#openFd()
    let count = 0
    try {
      while (count < into.length) {
        const read = fs.readSync(fd, into, count, into.length - count, position + count)
        if (read === 0) break
        count += read
      }
    } catch (error) {
      throw fileError(this.path, error)
    }
    return count
  }

  readBehind(into: Uint8Array, position: number): number | Promise<number> {
    if (into.length > READ_AT_ONCE_BYTES_MAX || !this.#device.readsFromMemory) return this.#readInPool(into, position)
    const startedMs = performance.now()
    const count = this.read(into, position)
    this.#device.noteRead(performance.now() - startedMs)
    return count
  }

  /** Whoever closes the file meanwhile does not take the descriptor away between two parts of the read. */
  #readInPool(into: Uint8Array, position: number): Promise<number> {
    return this.#holding(async (fd) => {
      const startedMs = performance.now()
      let count = 0
      while (count < into.length) {
        const at = count
        const read = await this.#share.run<number>(
          (done) => fs.read(fd, into, at, into.length - at, position + at, done),
          this.path,
        )
        if (read === 0) break
        count += read
      }
      if (into.length <= READ_AT_ONCE_BYTES_MAX) this.#device.noteRead(performance.now() - startedMs)
      return count
    })
  }

  write(chunks: readonly Uint8Array[], position: number): void | Promise<void> {
    if (this.#device.slow || this.#writing !== null) return this.#writeInPool(chunks, position)
    const fd = this.#openFd()
    const startedMs = performance.now()
    let written: number
    try {
      written =
        chunks.length === 1
          ? fs.writeSync(fd, chunks[0]!, 0, chunks[0]!.length, position)
          : chunks.length === 0
            ? 0
            : fs.writevSync(fd, chunks, position)
    } catch (error) {
      throw fileError(this.path, error)
    }
    this.#device.note(performance.now() - startedMs)
    this.#expectAll(chunks, written)
  }

  #writeInPool(chunks: readonly Uint8Array[], position: number): Promise<void> {
    const before = this.#writing
    const writing = (async () => {
      // A failed write is its caller's to handle; what was asked for after it is still tried, at its own position.
      await before?.catch(() => {})
      const startedMs = performance.now()
      const written = await this.#pooled<number>((fd, done) => fs.writev(fd, chunks, position, done))
      this.#device.note(performance.now() - startedMs)
      this.#expectAll(chunks, written)
    })()
    this.#writing = writing
    const settled = (): void => {
      if (this.#writing === writing) this.#writing = null
    }
    writing.then(settled, settled)
    return writing
  }

  #expectAll(chunks: readonly Uint8Array[], written: number): void {
    let expected = 0
    for (const chunk of chunks) expected += chunk.length
    if (written !== expected)
      throw new FileError('ENOSPC', `${this.path} took only ${written} of ${expected} bytes: the disk is full`)
  }

  sync(): Promise<void> {
    if (this.#syncing === null) return this.#startSync()
    const next = (): Promise<void> => this.#startSync()
    return (this.#nextSync ??= this.#syncing.then(next, next))
  }

  #startSync(): Promise<void> {
    this.#nextSync = null
    const syncing = this.#flush()
    this.#syncing = syncing
    const settled = (): void => {
      if (this.#syncing === syncing) this.#syncing = null
    }
    syncing.then(settled, settled)
    return syncing
  }

  async #flush(): Promise<void> {
    await this.#writing?.catch(() => {})
    await this.#pooled<void>((fd, done) => fs.fdatasync(fd, done))
  }

  syncNow(): void {
    translated(this.path, () => fs.fdatasyncSync(this.#openFd()))
  }

  truncate(size: number): void {
    translated(this.path, () => fs.ftruncateSync(this.#openFd(), size))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#inPool === 0) fs.closeSync(this.#fd)
  }

  #pooled<T>(start: (fd: number, done: PoolCallback<T>) => void): Promise<T> {
    return this.#holding((fd) => this.#share.run<T>((done) => start(fd, done), this.path))
  }

  async #holding<T>(use: (fd: number) => Promise<T>): Promise<T> {
    const fd = this.#openFd()
    this.#inPool += 1
    try {
      return await use(fd)
    } finally {
      this.#inPool -= 1
      if (this.#closed && this.#inPool === 0) fs.closeSync(fd)
    }
  }

  #openFd(): number {
    if (this.#closed) throw new FileError('EBADF', `${this.path} is closed`)
    return this.#fd
  }
}

type PoolCallback<T> = (error: NodeJS.ErrnoException | null, result?: T) => void

/** A bounded share of libuv's pool; who comes when it is used up waits in line. */
export class PoolShare {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(threadsMax?: number) {
    const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? POOL_THREADS_DEFAULT)
    this.#free = Math.max(1, threadsMax ?? Math.floor((threads * 3) / 4))
  }

  run<T>(start: (done: PoolCallback<T>) => void, path: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const go = (): void => {
        start((error, result) => {
          this.#leave()
          if (error) reject(fileError(path, error))
          else resolve(result as T)
        })
      }
      if (this.#free > 0) {
        this.#free -= 1
        go()
      } else this.#waiting.push(go)
    })
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}

function isDirectory(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function translated<T>(path: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw fileError(path, error)
  }
}

function fileError(path: string, error: unknown): FileError {
  if (error instanceof FileError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return new FileError(code, `${path} does not exist`, { cause: error })
  return new FileError(code ?? 'EIO', `${path}: ${message}`, { cause: error })
}
