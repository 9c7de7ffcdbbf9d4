/**
 * The first bytes on a connection to an election port, from whoever opened it:
 *
 *     -65536 int64 | own id int64 | length int32 | own address "host:port"       what everyone sends
 *     -65535 int64 | own id int64 | length int32 | "host:port|host:port"         with multiAddress.enabled
 *     own id int64                                                               before ZooKeeper 3.5
 *
 * The address is of no use here: the list of servers says where they are. Apache's servers connect to it, so it is sent.
 * Source: QuorumCnxManager.InitialMessage.
 */
import { ByteReader, ByteWriter, MalformedBytesError, encodeUtf8 } from '#base'

const ONE_ADDRESS = -65536
const MANY_ADDRESSES = -65535
const ADDRESS_BYTES_MAX = 2048

/** No hello is longer. */
export const HELLO_BYTES_MAX = 20 + ADDRESS_BYTES_MAX

export function encodeHello(sid: number, host: string, port: number): Uint8Array {
  const address = encodeUtf8(`${host.includes(':') ? `[${host}]` : host}:${port}`)
  const writer = new ByteWriter(20 + address.length)
  writer.int64(ONE_ADDRESS)
  writer.int64(sid)
  writer.int32(address.length)
  writer.bytes(address)
  return writer.toBytes()
}

/** Who it is, and how many bytes the hello took; null while it is not whole. Throws `MalformedBytesError`. */
export function decodeHello(bytes: Uint8Array): { sid: number; bytes: number } | null {
  const reader = new ByteReader(bytes)
  if (reader.remaining < 8) return null
  const first = reader.int64()
  if (first >= 0) return { sid: first, bytes: 8 }
  if (first !== ONE_ADDRESS && first !== MANY_ADDRESSES) throw new MalformedBytesError(`a hello of version ${first}`)
  if (reader.remaining < 12) return null
  const sid = reader.int64()
  const length = reader.int32()
  if (length <= 0 || length > ADDRESS_BYTES_MAX)
    throw new MalformedBytesError(`a hello with an address of ${length} bytes`)
  return reader.remaining < length ? null : { sid, bytes: 20 + length }
}
