import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteWriter, MalformedBytesError, concatBytes } from '#base'

import {
  PacketReader,
  PacketType,
  SNAPSHOT_SIGNATURE,
  ackEpochOf,
  ackEpochPacket,
  informedBytes,
  leaderInfoPacket,
  learnerInfoPacket,
  packet,
  pingAnswerPacket,
  requestOf,
  requestPacket,
  revalidateOf,
  revalidatePacket,
  revalidatedOf,
  revalidatedPacket,
  touchedOf,
  writePacket,
  type QuorumPacket,
} from './packets.ts'

function bytesOf(...packets: QuorumPacket[]): Uint8Array {
  const writer = new ByteWriter()
  for (const each of packets) writePacket(writer, each)
  return writer.toBytes()
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Field by field, by zookeeper.jute. */
const ON_THE_WIRE: readonly [string, QuorumPacket, string][] = [
  [
    'FOLLOWERINFO of server 2, accepted epoch 1',
    learnerInfoPacket('follower', { sid: 2, acceptedEpoch: 1, configVersion: 0n }),
    '0000000b 0000000100000000 00000014 0000000000000002 00010000 0000000000000000 ffffffff',
  ],
  ['LEADERINFO, epoch 2', leaderInfoPacket(2), '00000011 0000000200000000 00000004 00010000 ffffffff'],
  [
    'ACKEPOCH, current epoch 1',
    ackEpochPacket(0x1_0000_0007n, 1),
    '00000012 0000000100000007 00000004 00000001 ffffffff',
  ],
  ['UPTODATE', packet(PacketType.upToDate, -1n), '0000000c ffffffffffffffff ffffffff ffffffff'],
  ['COMMIT', packet(PacketType.commit, 0x2_0000_0001n), '00000004 0000000200000001 ffffffff ffffffff'],
]

for (const [name, sent, bytes] of ON_THE_WIRE)
  test(`${name} is as on the wire`, () => assert.equal(hex(bytesOf(sent)), bytes.replaceAll(' ', '')))

test('what packets carry comes back', () => {
  assert.equal(ackEpochOf(ackEpochPacket(1n, -1)), -1)
  assert.deepEqual(touchedOf(pingAnswerPacket(1n, [[-5n, 4000]])), [[-5n, 4000]])
  assert.deepEqual(revalidateOf(revalidatePacket(7n, 6000)), { sessionId: 7n, timeoutMs: 6000 })
  assert.deepEqual(revalidatedOf(revalidatedPacket(7n, true)), { sessionId: 7n, valid: true })
  const request = { sessionId: 9n, cxid: 3, type: 1, body: Uint8Array.of(1, 2), ids: [{ scheme: 'ip', id: '::1' }] }
  assert.deepEqual(requestOf(requestPacket(request)), request)
  const informed = packet(PacketType.informAndActivate, 1n, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2, 42))
  assert.deepEqual(informedBytes(informed), Uint8Array.of(42))
  assert.throws(() => informedBytes(packet(PacketType.informAndActivate, 1n, Uint8Array.of(1))), MalformedBytesError)
})

test('the reader puts packets together however they are cut', () => {
  const sent: QuorumPacket[] = [
    packet(PacketType.ping, 1n),
    packet(PacketType.proposal, 2n, new Uint8Array(3000).fill(7)),
    { type: PacketType.request, zxid: -1n, data: Uint8Array.of(1), authinfo: [{ scheme: 'digest', id: 'ä:b' }] },
    packet(PacketType.proposal, 3n, new Uint8Array(200_000).fill(8)),
    packet(PacketType.ack, 3n, new Uint8Array(0)),
  ]
  const bytes = bytesOf(...sent)
  for (const step of [1, 7, 1000, 70_000, bytes.length]) {
    const reader = new PacketReader()
    const received: QuorumPacket[] = []
    for (let start = 0; start < bytes.length; start += step) {
      const part = bytes.slice(start, start + step)
      reader.push(part)
      part.fill(0xdd)
      for (let next = reader.next(); next !== null; next = reader.next()) received.push(next)
    }
    assert.deepEqual(received, sent)
    assert.equal(reader.bufferedBytes, 0)
  }
})

test('a snapshot is taken out from between packets', () => {
  const snapshot = Uint8Array.from({ length: 100_000 }, (_, index) => index)
  const bytes = concatBytes([
    bytesOf(packet(PacketType.snap, 5n)),
    snapshot,
    SNAPSHOT_SIGNATURE,
    bytesOf(packet(PacketType.newLeader, 6n)),
  ])
  const reader = new PacketReader()
  const taken: number[] = []
  for (let start = 0; start < bytes.length; start += 999) {
    reader.push(bytes.subarray(start, start + 999))
    if (start === 0) assert.equal(reader.next()!.type, PacketType.snap)
    assert.equal(reader.next(), null)
    while (taken.length < snapshot.length) {
      const part = reader.takeRaw(Math.min(777, snapshot.length - taken.length))
      if (part === null) break
      taken.push(...part)
    }
  }
  assert.deepEqual(Uint8Array.from(taken), snapshot)
  assert.ok(reader.isInSnapshot)
  reader.endSnapshot(reader.takeRaw(SNAPSHOT_SIGNATURE.length)!)
  assert.equal(reader.next()!.type, PacketType.newLeader)
})

test('what does not end as a snapshot is refused', () => {
  const reader = new PacketReader()
  reader.push(bytesOf(packet(PacketType.snap, 5n)))
  reader.next()
  assert.throws(() => reader.endSnapshot(new Uint8Array(SNAPSHOT_SIGNATURE.length)), MalformedBytesError)
})

const LYING: readonly [string, (writer: ByteWriter) => void][] = [
  ['data', (writer) => writer.int32(0x7fff_ffff)],
  ['negative data', (writer) => writer.int32(-2)],
  ['ids', (writer) => (writer.int32(-1), writer.int32(0x7fff_ffff))],
  ['a text', (writer) => (writer.int32(-1), writer.int32(1), writer.int32(0x7fff_ffff))],
]

for (const [what, write] of LYING)
  test(`a length that lies is refused before memory is taken: ${what}`, () => {
    const writer = new ByteWriter()
    writer.int32(PacketType.proposal)
    writer.bigint64(1n)
    write(writer)
    writer.bytes(new Uint8Array(16))
    const reader = new PacketReader(1 << 20)
    reader.push(writer.toBytes())
    assert.throws(() => reader.next(), MalformedBytesError)
  })
