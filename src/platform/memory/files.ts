/**
 * A file system in memory. Errors are those of a disk: `ENOENT`, `EISDIR`, `ENOTDIR`, `EEXIST`, `ENOTEMPTY`, `EINVAL`, `EBADF`,
 * `EWOULDBLOCK`.
 */
import { FileError, type Clock, type File, type FileLock, type FileStat, type FileSystem } from '#platform'

import { PagedBytes } from './paged-bytes.ts'

/** An empty file system whose modification times come from this clock. Relative and absolute paths begin at the same root. */
export function memoryFiles(clock: Pick<Clock, 'now'>): FileSystem {
  return new MemoryFileSystem(clock)
}

interface FileNode {
  readonly kind: 'file'
  readonly content: PagedBytes
  modifiedMs: number
}

interface DirectoryNode {
  readonly kind: 'directory'
  readonly entries: Map<string, Node>
  modifiedMs: number
}

type Node = FileNode | DirectoryNode

class MemoryFileSystem implements FileSystem {
  readonly #clock: Pick<Clock, 'now'>
  readonly #root: DirectoryNode
  readonly #locks = new Set<string>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#root = { kind: 'directory', entries: new Map(), modifiedMs: clock.now() }
  }

  open(path: string, mode: 'read' | 'write' | 'truncate'): File {
    let node = this.#find(path)
    if (node === null) {
      if (mode === 'read') throw this.#missing(path)
      node = { kind: 'file', content: new PagedBytes(), modifiedMs: this.#clock.now() }
      const { directory, name } = this.#placeOf(path)
      this.#put(directory, name, node)
    }
    if (node.kind === 'directory') throw new FileError('EISDIR', `${path} is a directory`)
    const file = new MemoryFile(path, node, this.#clock)
    if (mode === 'truncate') file.truncate(0)
    return file
  }

  exists(path: string): boolean {
    return this.#find(path) !== null
  }

  stat(path: string): FileStat {
    const node = this.#find(path)
    if (node === null) throw this.#missing(path)
    return { kind: node.kind, size: node.kind === 'file' ? node.content.size : 0, modifiedMs: node.modifiedMs }
  }

  list(path: string): string[] {
    return [...this.#directoryAt(path).entries.keys()].sort()
  }

  makeDirectory(path: string): void {
    let directory = this.#root
    for (const part of partsOf(path)) {
      let next = directory.entries.get(part)
      if (next === undefined) {
        next = { kind: 'directory', entries: new Map(), modifiedMs: this.#clock.now() }
        this.#put(directory, part, next)
      }
      if (next.kind === 'file') throw new FileError('EEXIST', `${path} or one of its parents is a file`)
      directory = next
    }
  }

  rename(from: string, to: string): void {
    const node = this.#find(from)
    if (node === null) throw this.#missing(from)
    const source = this.#placeOf(from)
    const target = this.#placeOf(to)
    const replaced = target.directory.entries.get(target.name)
    if (replaced === node) return
    const fault = faultOfRename(node, replaced, partsOf(from), partsOf(to))
    if (fault !== null) throw new FileError(fault, `${from} cannot take the place of ${to}`)
    this.#drop(source.directory, source.name)
    this.#put(target.directory, target.name, node)
  }

  remove(path: string): void {
    const node = this.#find(path)
    if (node === null) return this.#expectDirectories(path)
    if (node.kind === 'directory') throw new FileError('EISDIR', `${path} is a directory`)
    const { directory, name } = this.#placeOf(path)
    this.#drop(directory, name)
  }

  async removeTree(path: string): Promise<void> {
    if (!this.exists(path)) return this.#expectDirectories(path)
    const { directory, name } = this.#placeOf(path)
    this.#drop(directory, name)
  }

  readFile(path: string): Uint8Array {
    const file = this.open(path, 'read')
    const content = new Uint8Array(file.size())
    file.read(content, 0)
    file.close()
    return content
  }

  async syncDirectory(path: string): Promise<void> {
    this.#directoryAt(path)
  }

  syncDirectoryNow(path: string): void {
    this.#directoryAt(path)
  }

  lock(path: string): FileLock {
    if (!this.exists(path)) this.open(path, 'write').close()
    const name = partsOf(path).join('/')
    if (this.#locks.has(name)) throw new FileError('EWOULDBLOCK', `${path} is locked`)
    this.#locks.add(name)
    return { release: () => void this.#locks.delete(name) }
  }

  #put(directory: DirectoryNode, name: string, node: Node): void {
    directory.entries.set(name, node)
    directory.modifiedMs = this.#clock.now()
  }

  #drop(directory: DirectoryNode, name: string): void {
    directory.entries.delete(name)
    directory.modifiedMs = this.#clock.now()
  }

  #find(path: string): Node | null {
    let node: Node = this.#root
    for (const part of partsOf(path)) {
      const next: Node | undefined = node.kind === 'directory' ? node.entries.get(part) : undefined
      if (next === undefined) return null
      node = next
    }
    return node
  }

  #missing(path: string): FileError {
    this.#expectDirectories(path)
    return new FileError('ENOENT', `${path} does not exist`)
  }

  /** Whatever lies above the last name of the path, as far as it is there, is a directory. */
  #expectDirectories(path: string): void {
    const parts = partsOf(path)
    for (let depth = 1; depth < parts.length; depth++)
      if (this.#find(parts.slice(0, depth).join('/'))?.kind === 'file')
        throw new FileError('ENOTDIR', `${path} leads through a file`)
  }

  #directoryAt(path: string): DirectoryNode {
    const node = this.#find(path)
    if (node === null) throw this.#missing(path)
    if (node.kind === 'file') throw new FileError('ENOTDIR', `${path} is not a directory`)
    return node
  }

  /** The directory that the last name of a path stands in, or is to stand in. */
  #placeOf(path: string): { directory: DirectoryNode; name: string } {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw new FileError('EISDIR', `${path} is the root`)
    return { directory: this.#directoryAt(parts.join('/')), name }
  }
}

class MemoryFile implements File {
  readonly path: string
  readonly #node: FileNode
  readonly #clock: Pick<Clock, 'now'>
  #closed = false

  constructor(path: string, node: FileNode, clock: Pick<Clock, 'now'>) {
    this.path = path
    this.#node = node
    this.#clock = clock
  }

  size(): number {
    return this.#content().size
  }

  read(into: Uint8Array, position: number): number {
    return this.#content().read(into, position)
  }

  readBehind(into: Uint8Array, position: number): number {
    return this.#content().read(into, position)
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    const content = this.#content()
    let at = position
    for (const chunk of chunks) {
      content.write(chunk, at)
      at += chunk.length
    }
    this.#node.modifiedMs = this.#clock.now()
  }

  async sync(): Promise<void> {
    this.#content()
  }

  syncNow(): void {
    this.#content()
  }

  truncate(size: number): void {
    this.#content().resize(size)
    this.#node.modifiedMs = this.#clock.now()
  }

  close(): void {
    this.#closed = true
  }

  #content(): PagedBytes {
    if (this.#closed) throw new FileError('EBADF', `${this.path} is closed`)
    return this.#node.content
  }
}

function partsOf(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts
}

/** Why a node cannot take the place of another, or of nothing. */
function faultOfRename(
  node: Node,
  replaced: Node | undefined,
  from: readonly string[],
  to: readonly string[],
): string | null {
  if (node.kind === 'directory' && from.every((part, index) => part === to[index])) return 'EINVAL'
  if (replaced === undefined) return null
  if (replaced.kind === 'file') return node.kind === 'file' ? null : 'ENOTDIR'
  if (node.kind === 'file') return 'EISDIR'
  return replaced.entries.size > 0 ? 'ENOTEMPTY' : null
}
