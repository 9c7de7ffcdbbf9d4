/** What the sender keeps per broker: requests in flight, whose turn it is, and since when the broker takes nothing. */
import type { Clock } from '#platform'

interface NodeState {
  inFlight: number
  isConnecting: boolean
  /** Which of the broker's partitions is drained first. */
  turn: number
  /** Since when something was due and could not be sent; null: it can. */
  stalledSinceMs: number | null
}

export class NodeStates {
  readonly #clock: Clock
  readonly #states = new Map<number, NodeState>()
  #inFlight = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get inFlightCount(): number {
    return this.#inFlight
  }

  inFlightOf(nodeId: number): number {
    return this.#state(nodeId).inFlight
  }

  begin(nodeId: number): void {
    const state = this.#state(nodeId)
    state.inFlight += 1
    state.stalledSinceMs = null
    this.#inFlight += 1
  }

  end(nodeId: number): void {
    this.#state(nodeId).inFlight -= 1
    this.#inFlight -= 1
  }

  /** False when somebody is at it already. */
  beginConnecting(nodeId: number): boolean {
    const state = this.#state(nodeId)
    if (state.isConnecting) return false
    state.isConnecting = true
    return true
  }

  endConnecting(nodeId: number): void {
    this.#state(nodeId).isConnecting = false
  }

  nextTurn(nodeId: number): number {
    return this.#state(nodeId).turn++
  }

  setTurn(nodeId: number, turn: number): void {
    this.#state(nodeId).turn = turn
  }

  stalls(nodeId: number): void {
    this.#state(nodeId).stalledSinceMs ??= this.#clock.monotonic()
  }

  stalledForMs(nodeId: number): number {
    const since = this.#states.get(nodeId)?.stalledSinceMs ?? null
    return since === null ? 0 : this.#clock.monotonic() - since
  }

  #state(nodeId: number): NodeState {
    let state = this.#states.get(nodeId)
    if (state === undefined) {
      state = { inFlight: 0, isConnecting: false, turn: 0, stalledSinceMs: null }
      this.#states.set(nodeId, state)
    }
    return state
  }
}
