/**
 * Follows `/config/changes`: whoever changes a configuration leaves a numbered note there, and every broker then reads what the
 * note names. Source: `kafka.common.ZkNodeChangeNotificationListener`.
 */
import { ZnodeFormatError, ZnodePath, decodeConfigChange, sequenceNumberOf } from '#metadata/znodes'
import type { Clock, Logger } from '#platform'
import { isZkError, type RetryingZooKeeper } from '#zookeeper/client'

/** Every broker has read a note by then. */
const NOTE_LIFE_MS = 15 * 60_000

type Notes = Pick<RetryingZooKeeper, 'childrenOf' | 'find' | 'deleteIfPresent'>

export class ConfigChanges {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #zk: Notes
  readonly #apply: (entityPath: string) => Promise<void>
  #lastSeen = -1
  #running: Promise<void> = Promise.resolve()
  #closed = false

  /** `apply` reads an entity's configuration (`topics/T`, `brokers/<default>`) and puts it into force. */
  constructor(platform: { clock: Clock; logger: Logger }, zk: Notes, apply: (entityPath: string) => Promise<void>) {
    this.#clock = platform.clock
    this.#logger = platform.logger
    this.#zk = zk
    this.#apply = apply
  }

  /** Reads the notes that are there and watches for more. Called again after each new session. */
  async follow(): Promise<void> {
    // The one before may have failed with its session.
    this.#running = this.#running.catch(() => {}).then(() => this.#read())
    await this.#running
  }

  close(): void {
    this.#closed = true
  }

  readonly #onChange = (): void => {
    if (this.#closed) return
    this.follow().catch((error: unknown) => {
      // The next session begins anew.
      if (!isZkError(error, 'SESSIONEXPIRED'))
        this.#logger.error('notes of configuration changes cannot be read', error)
    })
  }

  async #read(): Promise<void> {
    const notes = await this.#zk.childrenOf(ZnodePath.configChanges, this.#onChange)
    const ordered = [...notes].sort((a, b) => sequenceNumberOf(a) - sequenceNumberOf(b))
    const expired: string[] = []
    for (const note of ordered) {
      const path = `${ZnodePath.configChanges}/${note}`
      const znode = await this.#zk.find(path)
      if (znode === null) continue
      const number = sequenceNumberOf(note)
      if (number > this.#lastSeen) {
        await this.#obey(path, znode.data)
        this.#lastSeen = number
      }
      if (this.#clock.now() - znode.stat.ctime > NOTE_LIFE_MS) expired.push(path)
    }
    for (const path of expired) await this.#zk.deleteIfPresent(path)
  }

  async #obey(path: string, data: Uint8Array | null): Promise<void> {
    try {
      await this.#apply(decodeConfigChange(data))
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#logger.warn(`${path} is passed over: ${error.message}`)
    }
  }
}
