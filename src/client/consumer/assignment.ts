import { PartitionState } from './partition-state.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

/** The partitions that a consumer has at present, each with its state, in the order in which they came. */
export class Assignment implements Iterable<PartitionState> {
  readonly #states = new Map<string, PartitionState>()
  /** Where the next round over the partitions begins. */
  #turn = 0
  #list: readonly PartitionState[] = []

  get size(): number {
    return this.#states.size
  }

  [Symbol.iterator](): Iterator<PartitionState> {
    return this.#list[Symbol.iterator]()
  }

  get(partition: TopicPartition): PartitionState | undefined {
    return this.#states.get(keyOf(partition))
  }

  get partitions(): TopicPartition[] {
    return this.#list.map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Returns those that are new. */
  add(partitions: Iterable<TopicPartition>): PartitionState[] {
    const added: PartitionState[] = []
    for (const partition of partitions) {
      if (this.#states.has(keyOf(partition))) continue
      const state = new PartitionState(partition)
      this.#states.set(state.key, state)
      added.push(state)
    }
    this.#list = [...this.#states.values()]
    return added
  }

  remove(partitions: Iterable<TopicPartition>): void {
    for (const partition of partitions) {
      const state = this.get(partition)
      if (state === undefined) continue
      state.isGone = true
      this.#states.delete(state.key)
    }
    this.#list = [...this.#states.values()]
  }

  /** The next partition that has something for the user, each in its turn; null when none has. */
  nextReady(): PartitionState | null {
    const list = this.#list
    for (let step = 0; step < list.length; step++) {
      const index = (this.#turn + step) % list.length
      const state = list[index]!
      if (!state.isReady) continue
      this.#turn = index + 1
      return state
    }
    return null
  }
}
