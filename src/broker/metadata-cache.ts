/** The broker's view of the cluster, which the controller keeps up to date, and those who wait for it to change. */
import { MetadataImage, applyUpdateMetadata, type MetadataDelta } from '#metadata'
import type { Clock } from '#platform'
import type { UpdateMetadataRequest } from '#protocol/messages/update-metadata'

export type MetadataListener = (image: MetadataImage, delta: MetadataDelta) => void

export class MetadataCache {
  readonly #clock: Clock
  #image = MetadataImage.empty
  readonly #listeners = new Set<MetadataListener>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get image(): MetadataImage {
    return this.#image
  }

  update(request: UpdateMetadataRequest): MetadataDelta {
    const { image, delta } = applyUpdateMetadata(this.#image, request)
    this.#image = image
    for (const listener of this.#listeners) listener(image, delta)
    return delta
  }

  /** Returns the function that ends it. */
  onChange(listener: MetadataListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves with true when `holds` does, or with false after `timeoutMs`. */
  until(holds: (image: MetadataImage) => boolean, timeoutMs: number): Promise<boolean> {
    if (holds(this.#image)) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (held: boolean): void => {
        stop()
        timer.cancel()
        resolve(held)
      }
      const stop = this.onChange((image) => {
        if (holds(image)) finish(true)
      })
      const timer = this.#clock.setTimer(timeoutMs, () => finish(false))
    })
  }
}
