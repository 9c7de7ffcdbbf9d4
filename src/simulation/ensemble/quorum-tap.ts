import type { Incarnation } from '../incarnation.ts'
import type { Stream } from '../socket.ts'
import type { World } from '../world.ts'
import { QUORUM_PORT } from './ensemble.ts'
import { Packet, PacketReader, type WirePacket } from './wire.ts'

/** How learners were brought to their leader's history. */
export interface SynchronisationCounts {
  /** With transactions. An empty one is none. */
  diff: number
  trunc: number
  snap: number
}

/** Listens to leaders and learners. */
export class QuorumTap {
  readonly counts: SynchronisationCounts = { diff: 0, trunc: 0, snap: 0 }
  /** Hears of each DIFF, TRUNC and SNAP. */
  onSynchronisation: (learner: string, leader: string) => void = () => {}
  readonly #readers = new WeakMap<Stream, PacketReader>()
  /** Connections on which a DIFF was announced and nothing has followed yet. */
  readonly #announced = new WeakSet<Stream>()
  readonly #onPacket: (learner: Incarnation, toLearner: boolean, leader: Incarnation, packet: WirePacket) => void

  constructor(
    world: World,
    onPacket: (learner: Incarnation, toLearner: boolean, leader: Incarnation, packet: WirePacket) => void,
  ) {
    this.#onPacket = onPacket
    world.onBytes = (stream, bytes) => {
      if (stream.serverPort === QUORUM_PORT) this.#onBytes(stream, bytes)
    }
  }

  #onBytes(stream: Stream, bytes: Uint8Array): void {
    let reader = this.#readers.get(stream)
    if (reader === undefined) this.#readers.set(stream, (reader = new PacketReader()))
    const from = stream.sender.owner
    const to = stream.receiver.owner
    const toLearner = !stream.isOfRequests
    for (const packet of reader.add(bytes)) {
      if (toLearner) this.#count(stream, packet.type)
      if (packet.type === Packet.diff || packet.type === Packet.trunc || packet.type === Packet.snap)
        this.onSynchronisation(to.name, from.name)
      this.#onPacket(toLearner ? to : from, toLearner, toLearner ? from : to, packet)
    }
  }

  #count(stream: Stream, type: number): void {
    const isProposal = type === Packet.proposal || type === Packet.inform
    if (this.#announced.has(stream) && isProposal) this.counts.diff += 1
    this.#announced.delete(stream)
    if (type === Packet.diff) this.#announced.add(stream)
    else if (type === Packet.trunc) this.counts.trunc += 1
    else if (type === Packet.snap) this.counts.snap += 1
  }
}
