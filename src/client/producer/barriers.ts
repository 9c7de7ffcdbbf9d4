/** Waiting until all of some things are over, where one may be replaced by several meanwhile. */
export class Barriers<Item> {
  readonly #barriers = new Set<{ remaining: Set<Item>; resolve: () => void }>()

  /** Resolves when everything in `items` as it is now is over. */
  wait(items: Iterable<Item>): Promise<void> {
    const remaining = new Set(items)
    if (remaining.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#barriers.add({ remaining, resolve }))
  }

  done(item: Item): void {
    this.replace(item, [])
  }

  replace(item: Item, others: Iterable<Item>): void {
    for (const barrier of this.#barriers) {
      if (!barrier.remaining.delete(item)) continue
      for (const other of others) barrier.remaining.add(other)
      if (barrier.remaining.size > 0) continue
      this.#barriers.delete(barrier)
      barrier.resolve()
    }
  }
}
