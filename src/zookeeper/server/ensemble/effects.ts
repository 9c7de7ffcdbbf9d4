/** Carries out what a machine of `zab` says, in order. Effects may cause further ones, which come after all that were there before. */
export class Effects<Effect> {
  readonly #take: () => Effect[]
  readonly #carryOut: (effect: Effect) => void
  #isDraining = false

  constructor(machine: { takeEffects(): Effect[] }, carryOut: (effect: Effect) => void) {
    this.#take = () => machine.takeEffects()
    this.#carryOut = carryOut
  }

  /** To be called after everything that the machine was told. */
  drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    try {
      for (let effects = this.#take(); effects.length > 0; effects = this.#take())
        for (const effect of effects) this.#carryOut(effect)
    } finally {
      this.#isDraining = false
    }
  }
}
