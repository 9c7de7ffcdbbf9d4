/** The znode `/feature`, of which clients are told the version. A broker of 3.9 on ZooKeeper supports no features. */
import { ZnodeFormatError, ZnodePath, decodeFeatures } from '#metadata/znodes'
import type { Logger } from '#platform'
import { isZkError, type RetryingZooKeeper } from '#zookeeper/client'

export class FinalizedFeatures {
  readonly #zk: RetryingZooKeeper
  readonly #logger: Logger
  #epoch = -1

  constructor(zk: RetryingZooKeeper, logger: Logger) {
    this.#zk = zk
    this.#logger = logger
  }

  /** −1: the node is absent, disabled or unreadable. */
  get epoch(): number {
    return this.#epoch
  }

  /** Reads, and watches for changes. Called again after each new session. */
  async follow(): Promise<void> {
    const stat = await this.#zk.exists(ZnodePath.features, this.#onChange)
    if (stat === null) {
      this.#epoch = -1
      return
    }
    const znode = await this.#zk.find(ZnodePath.features)
    try {
      this.#epoch = znode !== null && decodeFeatures(znode.data).enabled ? znode.stat.version : -1
    } catch (error) {
      if (!(error instanceof ZnodeFormatError)) throw error
      this.#logger.warn(error.message)
      this.#epoch = -1
    }
  }

  readonly #onChange = (): void => {
    this.follow().catch((error: unknown) => {
      if (!isZkError(error, 'SESSIONEXPIRED')) this.#logger.error('the features cannot be read', error)
    })
  }
}
