import type { SimulatedRandom } from './random.ts'

export const PAGE_BYTES = 4096
/** What a disk writes as a whole or not at all. */
const SECTOR_BYTES = 512

/**
 * A page of a file. Once captured for a sync (or shared with what is durable) it is frozen: the next write makes a
 * new one.
 */
interface Page {
  readonly bytes: Uint8Array
  frozen: boolean
}

export interface DiskFile {
  readonly kind: 'file'
  /** As the process wrote it. */
  size: number
  readonly pages: Map<number, Page>
  /** As it is on stable storage. */
  durableSize: number
  readonly durablePages: Map<number, Page>
  /** Pages that differ, or may differ, from the durable ones. */
  readonly dirty: Set<number>
  modifiedMs: number
}

export interface DiskDirectory {
  readonly kind: 'directory'
  /** As the process sees it. */
  readonly entries: Map<string, DiskNode>
  /** As it is on stable storage. */
  durableEntries: Map<string, DiskNode>
  /** The capture that made them so. Of two syncs under way the later one may end first, and the earlier must not undo it. */
  durableCapture: number
  modifiedMs: number
}

export type DiskNode = DiskFile | DiskDirectory

/** A change of names that is not yet durable. */
interface NameChange {
  readonly directory: DiskDirectory
  /** Names and what they stand for afterwards; null: nothing. */
  readonly names: readonly (readonly [string, DiskNode | null])[]
}

/** The names that a sync of a directory which was begun will make durable. */
export interface NamesCapture {
  readonly number: number
  readonly entries: Map<string, DiskNode>
  readonly changes: ReadonlySet<NameChange>
}

/** What a sync that was begun will make durable. */
export interface FileCapture {
  readonly size: number
  readonly pages: ReadonlyMap<number, Page | null>
}

/**
 * What outlives a process: files and names, each as written and as durable. A crash of the process keeps
 * what was written. A power failure keeps what was synced, and of the rest whatever chance lets survive: single pages, torn
 * pages, sizes without their content, some of the names.
 */
export class SimulatedDisk {
  readonly #root: DiskDirectory = newDirectory(0)
  /** Changes of names since their directory was last synced, in order. */
  #unsyncedNames: NameChange[] = []
  /** Bytes that fit; a write beyond them fails with ENOSPC. */
  capacityBytes = Infinity
  #usedBytes = 0
  #captures = 1

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** The node at that path, or null. */
  find(path: string): DiskNode | null {
    let node: DiskNode = this.#root
    for (const part of partsOf(path)) {
      const next: DiskNode | undefined = node.kind === 'directory' ? node.entries.get(part) : undefined
      if (next === undefined) return null
      node = next
    }
    return node
  }

  createFile(directory: DiskDirectory, name: string, nowMs: number): DiskFile {
    const file: DiskFile = {
      kind: 'file',
      size: 0,
      pages: new Map(),
      durableSize: 0,
      durablePages: new Map(),
      dirty: new Set(),
      modifiedMs: nowMs,
    }
    this.#changeNames(directory, [[name, file]], nowMs)
    return file
  }

  makeDirectory(path: string, nowMs: number): DiskDirectory | null {
    let directory = this.#root
    for (const part of partsOf(path)) {
      let next = directory.entries.get(part)
      if (next === undefined) {
        next = newDirectory(nowMs)
        this.#changeNames(directory, [[part, next]], nowMs)
      }
      if (next.kind === 'file') return null
      directory = next
    }
    return directory
  }

  /** Both names change together, also on stable storage, when they lie in one directory. */
  rename(from: DiskDirectory, fromName: string, to: DiskDirectory, toName: string, nowMs: number): void {
    const node = from.entries.get(fromName)!
    const arrival: [string, DiskNode] = [toName, node]
    const departure: [string, null] = [fromName, null]
    if (from === to) return this.#changeNames(from, fromName === toName ? [] : [departure, arrival], nowMs)
    this.#changeNames(to, [arrival], nowMs)
    this.#changeNames(from, [departure], nowMs)
  }

  removeName(directory: DiskDirectory, name: string, nowMs: number): void {
    this.#changeNames(directory, [[name, null]], nowMs)
  }

  #changeNames(directory: DiskDirectory, names: NameChange['names'], nowMs: number): void {
    for (const [name, node] of names) {
      const before = directory.entries.get(name)
      if (before?.kind === 'file') this.#usedBytes -= before.size
      if (node === null) directory.entries.delete(name)
      else directory.entries.set(name, node)
      if (node?.kind === 'file') this.#usedBytes += node.size
    }
    directory.modifiedMs = nowMs
    this.#unsyncedNames.push({ directory, names })
  }

  /** The names of the directory as they are now; `makeNamesDurable` takes them. */
  captureNames(directory: DiskDirectory): NamesCapture {
    const changes = new Set(this.#unsyncedNames.filter((change) => change.directory === directory))
    return { number: this.#captures++, entries: new Map(directory.entries), changes }
  }

  makeNamesDurable(directory: DiskDirectory, capture: NamesCapture): void {
    if (capture.number > directory.durableCapture) {
      directory.durableEntries = capture.entries
      directory.durableCapture = capture.number
    }
    this.#unsyncedNames = this.#unsyncedNames.filter((change) => !capture.changes.has(change))
  }

  read(file: DiskFile, into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, file.size - position))
    for (let done = 0; done < count;) {
      const at = position + done
      const offset = at % PAGE_BYTES
      const length = Math.min(PAGE_BYTES - offset, count - done)
      const page = file.pages.get(Math.floor(at / PAGE_BYTES))
      if (page === undefined) into.fill(0, done, done + length)
      else into.set(page.bytes.subarray(offset, offset + length), done)
      done += length
    }
    return count
  }

  /** Writes what fits on the disk; returns how many bytes that were. */
  write(file: DiskFile, chunks: readonly Uint8Array[], position: number, nowMs: number): number {
    const endMax = file.size + Math.max(0, this.capacityBytes - this.#usedBytes)
    let at = position
    for (const chunk of chunks) {
      const length = Math.max(0, Math.min(chunk.length, endMax - at))
      this.#writeChunk(file, chunk.subarray(0, length), at)
      at += length
      if (length < chunk.length) break
    }
    this.#usedBytes += Math.max(0, at - file.size)
    file.size = Math.max(file.size, at)
    file.modifiedMs = nowMs
    return at - position
  }

  #writeChunk(file: DiskFile, chunk: Uint8Array, position: number): void {
    for (let done = 0; done < chunk.length;) {
      const at = position + done
      const offset = at % PAGE_BYTES
      const length = Math.min(PAGE_BYTES - offset, chunk.length - done)
      writablePage(file, Math.floor(at / PAGE_BYTES)).set(chunk.subarray(done, done + length), offset)
      done += length
    }
  }

  truncate(file: DiskFile, size: number, nowMs: number): void {
    this.#usedBytes += size - file.size
    if (size < file.size) {
      for (const index of file.pages.keys()) {
        if (index * PAGE_BYTES >= size) {
          file.pages.delete(index)
          file.dirty.add(index)
        }
      }
      if (size % PAGE_BYTES > 0 && file.pages.has(Math.floor(size / PAGE_BYTES)))
        writablePage(file, Math.floor(size / PAGE_BYTES)).fill(0, size % PAGE_BYTES)
    }
    file.size = size
    file.modifiedMs = nowMs
  }

  /** The file as it is now: what a sync that begins now makes durable when it ends. */
  captureFile(file: DiskFile): FileCapture {
    const pages = new Map<number, Page | null>()
    for (const index of file.dirty) {
      const page = file.pages.get(index) ?? null
      if (page !== null) page.frozen = true
      pages.set(index, page)
    }
    return { size: file.size, pages }
  }

  makeFileDurable(file: DiskFile, capture: FileCapture): void {
    for (const [index, page] of capture.pages) {
      if (page === null) file.durablePages.delete(index)
      else file.durablePages.set(index, page)
      if ((file.pages.get(index) ?? null) === page) file.dirty.delete(index)
    }
    file.durableSize = capture.size
  }

  /** The power goes: what is left is what is durable, and by chance some of what was not. */
  powerFail(random: SimulatedRandom): void {
    const survival = random.pick([0, 0, 1, random.next()])
    // Metadata goes to disk in order: the first so many changes of names survive.
    const survivingChanges = random.chance(0.5) ? 0 : random.below(this.#unsyncedNames.length + 1)
    const surviving = this.#unsyncedNames.slice(0, survivingChanges)
    this.#unsyncedNames = []
    for (const { directory, names } of surviving) {
      for (const [name, node] of names) {
        if (node === null) directory.durableEntries.delete(name)
        else directory.durableEntries.set(name, node)
      }
    }
    this.#usedBytes = this.#settle(this.#root, random, survival)
  }

  /** Makes what survived the only truth below this directory; returns how many bytes its files have. */
  #settle(directory: DiskDirectory, random: SimulatedRandom, survival: number): number {
    let usedBytes = 0
    directory.entries.clear()
    for (const [name, node] of [...directory.durableEntries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      directory.entries.set(name, node)
      if (node.kind === 'directory') usedBytes += this.#settle(node, random, survival)
      else {
        settleFile(node, random, survival)
        usedBytes += node.size
      }
    }
    return usedBytes
  }
}

function settleFile(file: DiskFile, random: SimulatedRandom, survival: number): void {
  const size = random.chance(survival) ? file.size : file.durableSize
  for (const index of [...file.dirty].sort((a, b) => a - b)) {
    const durable = file.durablePages.get(index)
    const written = file.pages.get(index)
    const survives = random.chance(survival)
    const torn = random.chance(survival)
    if (survives && written !== undefined) file.durablePages.set(index, written)
    else if (survives) file.durablePages.delete(index)
    else if (torn && written !== undefined) file.durablePages.set(index, tornPage(durable, written, random))
  }
  file.dirty.clear()
  file.pages.clear()
  for (const [index, page] of file.durablePages) {
    if (index * PAGE_BYTES >= size) {
      file.durablePages.delete(index)
      continue
    }
    const bytes = page.bytes.slice()
    // A file that ends within a page has zeros behind its end, or they would show when it grows again.
    if ((index + 1) * PAGE_BYTES > size) bytes.fill(0, size % PAGE_BYTES)
    const settled = { bytes, frozen: true }
    file.durablePages.set(index, settled)
    file.pages.set(index, settled)
  }
  file.size = size
  file.durableSize = size
}

/** Some sectors are new, some old. */
function tornPage(durable: Page | undefined, written: Page, random: SimulatedRandom): Page {
  const bytes = durable === undefined ? new Uint8Array(PAGE_BYTES) : durable.bytes.slice()
  for (let at = 0; at < PAGE_BYTES; at += SECTOR_BYTES)
    if (random.chance(0.5)) bytes.set(written.bytes.subarray(at, at + SECTOR_BYTES), at)
  return { bytes, frozen: true }
}

function writablePage(file: DiskFile, index: number): Uint8Array {
  let page = file.pages.get(index)
  if (page === undefined || page.frozen) {
    page = { bytes: page === undefined ? new Uint8Array(PAGE_BYTES) : page.bytes.slice(), frozen: false }
    file.pages.set(index, page)
  }
  file.dirty.add(index)
  return page.bytes
}

function newDirectory(nowMs: number): DiskDirectory {
  return { kind: 'directory', entries: new Map(), durableEntries: new Map(), durableCapture: 0, modifiedMs: nowMs }
}

export function partsOf(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts
}
