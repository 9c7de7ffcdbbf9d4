import assert from 'node:assert/strict'

import { type Cluster, Wire, batchOf, fetch, produce, sleep, until, valuesOf } from '../../peers/index.ts'

/** A client that produces and fetches all the time, on one connection, and fails if anything goes wrong. */
export class Bystander {
  rounds = 0
  #stopping = false
  #wire: Wire
  #done: Promise<void>

  private constructor(wire: Wire) {
    this.#wire = wire
    this.#done = this.#work()
    this.#done.catch(() => {})
  }

  static async start(cluster: Cluster): Promise<Bystander> {
    await cluster.createTopic({ name: 'bystander', partitions: 1, replicationFactor: 1 })
    return new Bystander(await Wire.connect(cluster.anyone.address))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#done
    this.#wire.close()
  }

  /** Fails with what went wrong, or if nothing goes on. */
  async assertUndisturbed(): Promise<void> {
    const before_ = this.rounds
    await Promise.race([this.#done, until('the bystander goes on', () => this.rounds > before_ + 3, 5000, 5)])
  }

  async #work(): Promise<void> {
    while (!this.#stopping) {
      const value = `round ${this.rounds}`
      const { error, baseOffset } = await produce(this.#wire, 'bystander', batchOf([value]))
      assert.equal(error, 0)
      const { records } = await fetch(this.#wire, 'bystander', baseOffset)
      assert.equal(valuesOf(records)[0]?.value, value)
      this.rounds++
      await sleep(1)
    }
  }
}
