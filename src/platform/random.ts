/** Randomness, as a port: from the machine in `platform/node`, from the seed in `simulation`. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound). */
  below(bound: number): number
  bytes(length: number): Uint8Array
}
