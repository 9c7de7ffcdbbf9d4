import { apiByKey } from '#protocol'

/**
 * Tells from the bytes of a connection which requests and answers they are, for the trace. Frames begin
 * with their length in both protocols:
 *
 *     Kafka      int32 length, int16 apiKey, int16 apiVersion, int32 correlationId, …   answered by  int32 length, int32 correlationId, …
 *     ZooKeeper  int32 length, int32 xid, int32 opcode, …                               answered by  int32 length, int32 xid, …
 *
 * A ZooKeeper connection is known by its first frame: 44 or 45 bytes, of which the first four are zero.
 */
export class FrameNames {
  #protocol: 'unknown' | 'kafka' | 'zookeeper' = 'unknown'
  /** Names of requests that wait for their answer, by correlation id or xid. */
  readonly #asked = new Map<number, string>()

  ofRequests(): FrameNamer {
    return new FrameNamer((header, length) => this.#nameRequest(header, length))
  }

  ofResponses(): FrameNamer {
    return new FrameNamer((header) => this.#nameResponse(header))
  }

  #nameRequest(header: DataView, length: number): string {
    if (this.#protocol === 'unknown') {
      const isConnect = (length === 44 || length === 45) && header.getInt32(0) === 0
      this.#protocol = isConnect ? 'zookeeper' : 'kafka'
      if (isConnect) return 'connect'
    }
    const isKafka = this.#protocol === 'kafka'
    const name = isKafka
      ? `${apiByKey(header.getInt16(0))?.name ?? `api${header.getInt16(0)}`}.${header.getInt16(2)}`
      : (ZOOKEEPER_OPERATIONS[header.getInt32(4)] ?? `op${header.getInt32(4)}`)
    this.#asked.set(header.getInt32(isKafka ? 4 : 0), name)
    return name
  }

  #nameResponse(header: DataView): string {
    const id = header.getInt32(0)
    if (this.#protocol === 'zookeeper' && id === NOTIFICATION_XID) return 'notification'
    const name = this.#asked.get(id)
    if (name === undefined) return this.#protocol === 'zookeeper' ? 'connected' : '?'
    this.#asked.delete(id)
    return `${name}=`
  }
}

const NOTIFICATION_XID = -1
/** Of each frame so many bytes behind its length are looked at. */
const HEADER_BYTES = 8
const LENGTH_BYTES = 4

/** One direction. Keeps no more of a frame than its first bytes. */
export class FrameNamer {
  readonly #nameOf: (header: DataView, length: number) => string
  readonly #head = new DataView(new ArrayBuffer(LENGTH_BYTES + HEADER_BYTES))
  #headLength = 0
  #skip = 0

  constructor(nameOf: (header: DataView, length: number) => string) {
    this.#nameOf = nameOf
  }

  /** Names of the frames that begin in these bytes; `…` where none does. */
  namesIn(bytes: Uint8Array): string {
    const names: string[] = []
    for (let at = 0; at < bytes.length;) {
      if (this.#skip > 0) {
        const count = Math.min(this.#skip, bytes.length - at)
        this.#skip -= count
        at += count
        continue
      }
      this.#head.setUint8(this.#headLength++, bytes[at++]!)
      const length = this.#headLength >= LENGTH_BYTES ? this.#head.getInt32(0) : Infinity
      if (this.#headLength < Math.min(LENGTH_BYTES + length, this.#head.byteLength)) continue
      const header = new DataView(this.#head.buffer, LENGTH_BYTES)
      names.push(length < HEADER_BYTES ? 'short' : this.#nameOf(header, length))
      this.#skip = Math.max(0, length - (this.#headLength - LENGTH_BYTES))
      this.#headLength = 0
    }
    return names.length === 0 ? '…' : names.join(',')
  }
}

/** Opcodes of `ZooDefs.OpCode`. */
const ZOOKEEPER_OPERATIONS: Record<number, string> = {
  1: 'create',
  2: 'delete',
  3: 'exists',
  4: 'getData',
  5: 'setData',
  6: 'getAcl',
  7: 'setAcl',
  8: 'getChildren',
  9: 'sync',
  11: 'ping',
  12: 'getChildren2',
  13: 'check',
  14: 'multi',
  15: 'create2',
  16: 'reconfig',
  19: 'createContainer',
  21: 'createTtl',
  22: 'multiRead',
  100: 'auth',
  101: 'setWatches',
  103: 'getEphemerals',
  104: 'getAllChildrenNumber',
  105: 'setWatches2',
  106: 'addWatch',
  [-11]: 'closeSession',
}
