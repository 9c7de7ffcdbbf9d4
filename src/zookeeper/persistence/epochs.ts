/**
 * What a server of an ensemble promised about epochs, in two files beside its snapshots, and its own number.
 *
 *     acceptedEpoch   the newest epoch that it let a leader begin: it follows no older one
 *     currentEpoch    the newest epoch whose leader's history it took over: with the last zxid, its vote
 *
 * Each holds a decimal number and nothing else, and is on the disk when `accept` and `enter` resolve. Invariant:
 * epoch of the last zxid ≤ currentEpoch ≤ acceptedEpoch; a folder where that cannot be had is refused, since a server that
 * forgot a promise would let two leaders begin one epoch (ZOOKEEPER-2307, 4269).
 * Source: QuorumPeer.loadDataBase, AtomicFileOutputStream.
 */
import { assert, decodeUtf8, encodeUtf8 } from '#base'
import { FileError, joinPath, replaceFile, type FileSystem } from '#platform'

import { RecoveryError } from './recovery.ts'

const ACCEPTED = 'acceptedEpoch'
const CURRENT = 'currentEpoch'
/** A zxid has 32 bits for it. */
const EPOCH_MAX = 0xffff_ffff

/** Only the simulation has it false, to see that it finds what comes of it. */
export interface EpochOptions {
  readonly isSynced: boolean
}

export class EpochFiles {
  readonly #files: FileSystem
  readonly #folder: string
  readonly #options: EpochOptions
  #accepted: number
  #current: number

  private constructor(files: FileSystem, folder: string, epochs: Epochs, options: EpochOptions) {
    this.#files = files
    this.#folder = folder
    this.#options = options
    this.#accepted = epochs.accepted
    this.#current = epochs.current
  }

  /**
   * `folder`: `dataDir/version-2`, there already. `lastZxid`: the newest transaction of the log. Throws `RecoveryError` when the files
   * cannot be believed.
   */
  static async open(
    files: FileSystem,
    folder: string,
    lastZxid: bigint,
    options: EpochOptions = { isSynced: true },
  ): Promise<EpochFiles> {
    const dataEpoch = Number(BigInt.asUintN(64, lastZxid) >> 32n)
    const found = { accepted: readEpoch(files, folder, ACCEPTED), current: readEpoch(files, folder, CURRENT) }
    const accepted = found.accepted ?? dataEpoch
    const current = currentOf(files, folder, found.current ?? dataEpoch, accepted, dataEpoch)
    if (accepted < current)
      throw new RecoveryError(
        `${folder}: acceptedEpoch (${accepted}) is less than currentEpoch (${current}), so a promise was lost: ` +
          'move the folder away and start the server empty, as long as the others are a quorum',
      )
    // `accepted` first: at no moment may the disk have it behind `current`.
    if (found.accepted !== accepted) await writeEpoch(files, folder, ACCEPTED, accepted)
    if (found.current !== current) await writeEpoch(files, folder, CURRENT, current)
    return new EpochFiles(files, folder, { accepted, current }, options)
  }

  get accepted(): number {
    return this.#accepted
  }

  get current(): number {
    return this.#current
  }

  /** Lets a leader begin `epoch`. After a rejection nothing is known: the server stops. */
  async accept(epoch: number): Promise<void> {
    assert(epoch >= this.#accepted && epoch <= EPOCH_MAX, 'an older epoch is not accepted')
    if (epoch === this.#accepted) return
    await this.#write(ACCEPTED, epoch)
    this.#accepted = epoch
  }

  /** Everything that the leader of `epoch` sent before NEWLEADER is on the disk. After a rejection the server stops. */
  async enter(epoch: number): Promise<void> {
    assert(epoch >= this.#current && epoch <= this.#accepted, 'an epoch is accepted before it is entered')
    if (epoch === this.#current) return
    await this.#write(CURRENT, epoch)
    this.#current = epoch
  }

  async #write(name: string, epoch: number): Promise<void> {
    if (this.#options.isSynced) return writeEpoch(this.#files, this.#folder, name, epoch)
    const file = this.#files.open(joinPath(this.#folder, name), 'truncate')
    await file.write([encodeUtf8(String(epoch))], 0)
    file.close()
  }
}

interface Epochs {
  readonly accepted: number
  readonly current: number
}

/**
 * A crash between the data of a new epoch and `currentEpoch` leaves transactions of the epoch behind a file that does not
 * know it. They came from that epoch's leader, in order and after all that it began with, so the server is where `enter`
 * would have brought it. Apache's server sees that by the file aside; where the crash was before that one, by the promise.
 */
function currentOf(files: FileSystem, folder: string, current: number, accepted: number, dataEpoch: number): number {
  if (dataEpoch <= current) return current
  const aside = readAside(files, folder)
  if (aside !== null && aside >= dataEpoch && aside <= accepted) return aside
  if (dataEpoch <= accepted) return dataEpoch
  throw new RecoveryError(
    `${folder}: the log is of epoch ${dataEpoch}, and currentEpoch says ${current}: the files do not belong together`,
  )
}

/** What a crash left of `currentEpoch` before its renaming; null when it is not there or not whole. */
function readAside(files: FileSystem, folder: string): number | null {
  try {
    return readEpoch(files, folder, `${CURRENT}.tmp`)
  } catch (error) {
    if (error instanceof RecoveryError) return null
    throw error
  }
}

function readEpoch(files: FileSystem, folder: string, name: string): number | null {
  const text = readLine(files, joinPath(folder, name))
  if (text === null) return null
  const epoch = Number(text)
  if (!/^\d+$/.test(text) || epoch > EPOCH_MAX)
    throw new RecoveryError(
      `${joinPath(folder, name)} has "${text.slice(0, 40)}" and should have the number of an epoch`,
    )
  return epoch
}

function writeEpoch(files: FileSystem, folder: string, name: string, epoch: number): Promise<void> {
  return replaceFile(files, joinPath(folder, name), encodeUtf8(String(epoch)))
}

/**
 * The id of this server, from `dataDir/myid`; null when there is no such file. Throws `RecoveryError` when it holds no number.
 */
export function readMyId(files: FileSystem, dataDir: string): number | null {
  const path = joinPath(dataDir, 'myid')
  const text = readLine(files, path)
  if (text === null) return null
  if (!/^\d{1,9}$/.test(text))
    throw new RecoveryError(`${path} has "${text.slice(0, 40)}" and should have the N of this server's server.N`)
  return Number(text)
}

function readLine(files: FileSystem, path: string): string | null {
  try {
    const bytes = files.readFile(path)
    const [line = ''] = decodeUtf8(bytes, 0, bytes.length).split(/\r\n|\n|\r/)
    return line.trim()
  } catch (error) {
    if (error instanceof FileError && error.code === 'ENOENT') return null
    throw error
  }
}
