/**
 * Packets of the quorum port out of the bytes that travel there, by a reader of its own:
 *
 *     type int32 | zxid int64 | data: length int32, bytes | authinfo: count int32, (scheme, id: length int32, bytes)*
 *
 * Behind a SNAP comes a snapshot without a length; it ends with the ustring "BenWasHere".
 */
export const Packet = {
  request: 1,
  proposal: 2,
  ack: 3,
  commit: 4,
  ping: 5,
  revalidate: 6,
  sync: 7,
  inform: 8,
  newLeader: 10,
  followerInfo: 11,
  upToDate: 12,
  diff: 13,
  trunc: 14,
  snap: 15,
  observerInfo: 16,
  leaderInfo: 17,
  ackEpoch: 18,
} as const

export interface WirePacket {
  readonly type: number
  readonly zxid: bigint
  readonly data: Uint8Array | null
}

const SNAPSHOT_END = new TextEncoder().encode('\0\0\0\nBenWasHere')

export class PacketReader {
  #held = new Uint8Array(0)
  #isInSnapshot = false

  /** The packets that end within these bytes. What they carry is theirs. */
  add(bytes: Uint8Array): WirePacket[] {
    const together = new Uint8Array(this.#held.length + bytes.length)
    together.set(this.#held)
    together.set(bytes, this.#held.length)
    const packets: WirePacket[] = []
    let at = 0
    for (;;) {
      if (this.#isInSnapshot) {
        const end = indexOf(together, SNAPSHOT_END, at)
        if (end < 0) {
          at = Math.max(at, together.length - SNAPSHOT_END.length + 1)
          break
        }
        at = end + SNAPSHOT_END.length
        this.#isInSnapshot = false
      }
      const end = packetEnd(together, at)
      if (end === null) break
      const packet = packetAt(together, at)
      packets.push(packet)
      at = end
      this.#isInSnapshot = packet.type === Packet.snap
    }
    this.#held = together.slice(at)
    return packets
  }
}

const HEAD_BYTES = 12

function packetAt(bytes: Uint8Array, at: number): WirePacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const length = view.getInt32(at + HEAD_BYTES)
  const dataAt = at + HEAD_BYTES + 4
  return {
    type: view.getInt32(at),
    zxid: view.getBigInt64(at + 4),
    data: length < 0 ? null : bytes.slice(dataAt, dataAt + length),
  }
}

/** Where the packet ends that begins here; null while it is not whole. */
function packetEnd(bytes: Uint8Array, at: number): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let end: number | null = at + HEAD_BYTES
  const skipText = (): void => {
    if (end === null || end + 4 > bytes.length) end = null
    else {
      end += 4 + Math.max(0, view.getInt32(end))
      if (end > bytes.length) end = null
    }
  }
  skipText()
  if (end === null || end + 4 > bytes.length) return null
  const ids = view.getInt32(end)
  end += 4
  for (let texts = 0; texts < ids * 2; texts++) skipText()
  return end
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  for (let at = from; at + wanted.length <= bytes.length; at++) {
    let count = 0
    while (count < wanted.length && bytes[at + count] === wanted[count]) count++
    if (count === wanted.length) return at
  }
  return -1
}
