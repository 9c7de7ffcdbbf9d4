/** What a test has of a cluster in a simulated world, beyond what every test cluster has. */
import type { TestBroker, TestCluster } from './cluster.ts'

export interface SimulatedCluster extends TestCluster {
  readonly seed: number
  /** Virtual time since the world began, in ms. It stands still except within `advance`, `until`, `run`, and what a broker or the cluster is asked to do. */
  readonly nowMs: number
  readonly brokers: readonly SimulatedBroker[]
  broker(id: number): SimulatedBroker
  readonly controller: SimulatedBroker | null
  /** Lets so many ms pass. */
  advance(durationMs: number): Promise<void>
  /**
   * Lets time pass until the promise is settled, and returns or throws what it brought; or until the condition holds, which is looked at
   * every ms. Rejects with `SimulationError` when that takes more than `withinMs`, ten minutes if left out.
   */
  until<T>(awaited: PromiseLike<T>, options?: WithinOptions): Promise<T>
  until(condition: () => boolean, options?: WithinOptions): Promise<void>
  /** Lets time pass while the program runs, so that it may await what happens in the world as it does outside. */
  run<T>(program: () => Promise<T>, options?: WithinOptions): Promise<T>
  /** Mends every `isolate`. */
  heal(): void
}

export interface WithinOptions {
  /** Virtual ms. */
  readonly withinMs?: number
}

export interface SimulatedBroker extends TestBroker {
  /** As a SIGSTOP: it does nothing, and its connections stay. */
  pause(): void
  /** As a SIGCONT. */
  resume(): void
  /** The machine goes dark: what was not synced may be lost, and nobody is told. `start` brings it back. */
  powerFail(): Promise<void>
  /** Nothing gets through between this broker and everybody else, clients included, until `heal`. */
  isolate(): void
}

/** The simulated world did not do what was awaited, or something went wrong in it that nobody caught. The message names the seed. */
export class SimulationError extends Error {
  override name = 'SimulationError'
}
