/**
 * Memory for frames that did not arrive whole, in powers of two, used again by whichever connection needs
 * it next: a connection owns some only while it holds part of a frame, and no large fresh buffer is made per frame.
 */
/** Ten thousand half-open connections hold a few bytes each. */
const SMALLEST_BYTES = 64
/** Larger ones are left to the garbage collector: frames that need them are rare. */
const LARGEST_KEPT_BYTES = 1024 * 1024
/** Per size. All sizes together keep at most 16 MiB. */
const SPARES_MAX = 8

const spares = new Map<number, Uint8Array[]>()

/** At least `bytes` long; what it holds is arbitrary. */
export function takeBuffer(bytes: number): Uint8Array {
  let size = SMALLEST_BYTES
  while (size < bytes) size *= 2
  return spares.get(size)?.pop() ?? new Uint8Array(size)
}

export function giveBuffer(buffer: Uint8Array): void {
  const size = buffer.length
  if (size > LARGEST_KEPT_BYTES) return
  const kept = spares.get(size)
  if (kept === undefined) spares.set(size, [buffer])
  else if (kept.length < SPARES_MAX) kept.push(buffer)
}
