import type * as Crypto from 'node:crypto'

import type { Random } from '#platform'

/** Loaded when it is first needed: it takes 15 ms, which a short command notices. */
const crypto = (): typeof Crypto => process.getBuiltinModule('node:crypto')

/** Numbers, which spread load and pauses, come from V8's generator; bytes, which become names that nobody shall guess, from the system. */
export class NodeRandom implements Random {
  next(): number {
    return Math.random()
  }

  below(bound: number): number {
    return Math.floor(Math.random() * bound)
  }

  bytes(length: number): Uint8Array {
    return crypto().randomFillSync(new Uint8Array(length))
  }
}
