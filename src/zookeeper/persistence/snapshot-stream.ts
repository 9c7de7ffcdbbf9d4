/**
 * A snapshot on its way to a learner: the body alone, without header, seals and digest; the quorum port's own signature ends it.
 * Source: LearnerHandler and Learner, where SerializeUtils is called.
 */
import { ByteReader, MalformedBytesError } from '#base'
import { ZnodeTree, type FrozenTree, type TreeOptions } from '#zookeeper/tree'

import { bodySlices, readBody } from './snapshot-body.ts'

/** Where the leader's bytes come from. */
export interface ByteSource {
  /** Exactly so many bytes, which live until the next call. Rejects (or throws) when the stream ends before. */
  take(length: number): Uint8Array | Promise<Uint8Array>
  /** The body has been taken as a whole. Rejects when the stream does not end there as it must. */
  end?(): Promise<void>
}

/** Far beyond what a znode or a path may be: a length from the wire is believed up to here. */
const PIECE_BYTES_MAX = 1 << 28
/** After so many pieces the loop gets a turn: a snapshot that lies in memory must not hold up everything else. */
const PIECES_PER_TURN = 3000

/** Each slice is written before the next one is made, and in between the loop gets a turn. */
export async function sendSnapshot(
  frozen: FrozenTree,
  sink: (bytes: Uint8Array) => void | Promise<void>,
  nextTurn: (run: () => void) => void,
): Promise<void> {
  for (const slice of bodySlices(frozen)) {
    for (const chunk of slice.chunks()) await sink(chunk)
    await new Promise<void>(nextTurn)
  }
}

/** The tree as the leader has it after `zxid`. Throws `MalformedBytesError` where the bytes are none. */
export async function receiveSnapshot(
  source: ByteSource,
  zxid: bigint,
  options: TreeOptions,
  nextTurn: (run: () => void) => void,
): Promise<ZnodeTree> {
  const tree = new ZnodeTree(options)
  const body = readBody(tree)
  let pieces = 0
  for (let step = body.next(); step.done !== true;) {
    const length = step.value
    if (length < 0 || length > PIECE_BYTES_MAX) throw new MalformedBytesError(`the snapshot claims ${length} bytes`)
    const bytes = source.take(length)
    step = body.next(new ByteReader(bytes instanceof Promise ? await bytes : bytes))
    if (++pieces % PIECES_PER_TURN === 0) await new Promise<void>(nextTurn)
  }
  tree.loaded(zxid)
  return tree
}
