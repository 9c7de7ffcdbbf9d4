/**
 * Which partition of a coordinator's topic an id belongs to: Java's `String.hashCode` without its sign (upstream: `Utils.abs`,
 * which maps the smallest int to 0), modulo the number of partitions.
 */
export function partitionFor(id: string, partitionCount: number): number {
  let hash = 0
  for (let index = 0; index < id.length; index++) hash = (Math.imul(hash, 31) + id.charCodeAt(index)) | 0
  return (hash === -(2 ** 31) ? 0 : Math.abs(hash)) % partitionCount
}
