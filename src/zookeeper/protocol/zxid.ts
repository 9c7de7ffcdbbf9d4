/**
 * The number of a transaction: the epoch of the leader that proposed it, and its place among those of that epoch.
 *
 *     epoch 32 | counter 32
 *
 * Counter 0 is no transaction: it stands for the epoch's beginning. Every other number of an epoch is given out, refusals among
 * them, so that one that is missing says that something was lost.
 */

export function epochOf(zxid: bigint): number {
  return Number(zxid >> 32n)
}

export function counterOf(zxid: bigint): number {
  return Number(zxid & 0xffff_ffffn)
}

/** An epoch's beginning. */
export function zxidOf(epoch: number): bigint {
  return BigInt(epoch) << 32n
}

/** Whether nothing lies between the two: the next transaction of an epoch, or the first of a later one. */
export function follows(next: bigint, last: bigint): boolean {
  return next === last + 1n || (epochOf(next) > epochOf(last) && counterOf(next) === 1)
}

/** A zxid or the id of a session, for people: unsigned, as Java's `Long.toHexString`. */
export function hexLong(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}
