import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Packet, PacketReader } from './wire.ts'

/** `data` null: without any. */
function packet(type: number, zxid: bigint, data: string | null, ids: string[] | null = null): number[] {
  const bytes: number[] = []
  const int = (value: number): void =>
    void bytes.push((value >> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255)
  const text = (value: string): void => {
    int(value.length)
    bytes.push(...new TextEncoder().encode(value))
  }
  int(type)
  int(Number(zxid >> 32n))
  int(Number(zxid & 0xffff_ffffn))
  if (data === null) int(-1)
  else text(data)
  int(ids === null ? -1 : ids.length)
  for (const id of ids ?? []) {
    text('digest')
    text(id)
  }
  return bytes
}

test('packets are found however their bytes are cut, snapshots passed over', () => {
  const stream = Uint8Array.from([
    ...packet(Packet.followerInfo, 0x5_0000_0000n, 'info'),
    ...packet(Packet.snap, 0x4_0000_0007n, null),
    ...new TextEncoder().encode('a snapshot of any bytes\0\0\0\nBenWas, not yet'),
    ...new TextEncoder().encode('\0\0\0\nBenWasHere'),
    ...packet(Packet.request, -1n, 'a write', ['someone', 'else']),
    ...packet(Packet.upToDate, -1n, null),
  ])
  for (const size of [1, 3, 17, stream.length]) {
    const reader = new PacketReader()
    const found: string[] = []
    for (let at = 0; at < stream.length; at += size)
      for (const { type, zxid, data } of reader.add(stream.subarray(at, at + size)))
        found.push(`${type} ${zxid.toString(16)} ${data === null ? null : new TextDecoder().decode(data)}`)
    assert.deepEqual(found, ['11 500000000 info', '15 400000007 null', '1 -1 a write', '12 -1 null'])
  }
})
