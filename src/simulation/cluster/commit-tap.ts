import { ByteReader } from '#base'
import { ApiKey, decodeRequestHeader } from '#protocol'
import { OffsetCommit } from '#protocol/messages/offset-commit'

import type { SimulatedProcess } from '../process.ts'
import { Frames } from '../frames.ts'
import type { Stream } from '../socket.ts'
import { keyOf } from '../workload/plain-cluster.ts'
import type { SimulatedCluster } from './cluster.ts'

/** Listens to what these machines commit, when it arrives at a broker: beside those who listen already. */
export class CommitTap {
  readonly #addresses: ReadonlySet<string>
  readonly #connections = new Map<object, Frames>()
  readonly #onCommit: (key: string, offset: number) => void

  static listen(
    { world }: SimulatedCluster,
    machines: readonly SimulatedProcess[],
    onCommit: (key: string, offset: number) => void,
  ): void {
    const tap = new CommitTap(machines, onCommit)
    const next = world.onBytes
    world.onBytes = (stream, bytes) => {
      next?.(stream, bytes)
      if (stream.isOfRequests && tap.#addresses.has(stream.from)) tap.#onBytes(stream, bytes)
    }
  }

  private constructor(machines: readonly SimulatedProcess[], onCommit: (key: string, offset: number) => void) {
    this.#addresses = new Set(machines.map(({ address }) => address))
    this.#onCommit = onCommit
  }

  #onBytes(stream: Stream, bytes: Uint8Array): void {
    let frames = this.#connections.get(stream.names)
    if (frames === undefined) this.#connections.set(stream.names, (frames = new Frames()))
    for (const frame of frames.add(bytes)) {
      if (new DataView(frame.buffer, frame.byteOffset).getInt16(0) !== ApiKey.OffsetCommit) continue
      const reader = new ByteReader(frame)
      const { apiVersion } = decodeRequestHeader(reader)
      for (const { name, partitions } of OffsetCommit.request.decode(reader, apiVersion).topics)
        for (const { partitionIndex, committedOffset } of partitions)
          this.#onCommit(keyOf({ topic: name, partition: partitionIndex }), committedOffset)
    }
  }
}
