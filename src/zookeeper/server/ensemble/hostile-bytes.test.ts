/**
 * Bytes from whoever can reach a port: flipped, cut, with lengths that lie. Readers give what they read or say
 * `MalformedBytesError`, and come to an end; the machines behind them take whatever packets there are.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter, MalformedBytesError } from '#base'
import { SimulatedRandom } from '#simulation'
import { receiveSnapshot, sendSnapshot } from '#zookeeper/persistence'
import { ConnectRequest, CreateMode, LoggedTxn, OpCode, operations, zxidOf } from '#zookeeper/protocol'
import { ZnodeTree } from '#zookeeper/tree'
import {
  Leader,
  Learner,
  LearnerInfo,
  PacketReader,
  PacketType,
  decodeHello,
  decodeNotification,
  encodeHello,
  encodeNotification,
  majorityOf,
  packet,
  pingAnswerPacket,
  requestPacket,
  revalidatePacket,
  writePacket,
  type QuorumPacket,
} from '#zookeeper/zab'

import { prepareRead } from '../reads.ts'
import { decodeWrite } from '../writes.ts'

const ROUNDS = 3000
const OPEN = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const LIES = [-0x8000_0000, -2, -1, 0, 1, 0xffff, 0x10_0000, 0x7fff_ffff]

const random = new SimulatedRandom('hostile bytes')

/** As somebody would send it who knows the format, or nearly so. */
function mutated(samples: readonly Uint8Array[]): Uint8Array {
  const bytes = samples[random.below(samples.length)]!.slice()
  for (let count = random.below(4); count > 0 && bytes.length > 0; count--)
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
  if (random.below(2) === 0 && bytes.length >= 4)
    new DataView(bytes.buffer).setInt32(random.below(bytes.length - 3), LIES[random.below(LIES.length)]!)
  if (random.below(3) === 0) return bytes.subarray(0, random.below(bytes.length + 1))
  return random.below(4) === 0 ? random.bytes(random.below(200)) : bytes
}

/** Whether they could be read. */
function isRead(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    if (error instanceof MalformedBytesError) return false
    throw error
  }
}

function created(path: string): LoggedTxn {
  const txn = { type: OpCode.create, path, data: Uint8Array.of(1), acl: OPEN, ephemeral: false, parentCVersion: 1 }
  return { header: { clientId: 1n, cxid: 1, zxid: zxidOf(1) + 1n, time: 1, type: OpCode.create }, txn, digest: null }
}

function packetBytes(...packets: QuorumPacket[]): Uint8Array {
  const writer = new ByteWriter()
  for (const each of packets) writePacket(writer, each)
  return writer.toBytes()
}

const ids = [{ scheme: 'digest', id: 'somebody:secret' }]
const request = { sessionId: 5n, cxid: 3, type: OpCode.create as number, body: Uint8Array.of(1, 2, 3), ids }
const logged = LoggedTxn.encode(created('/a'))
const EPOCH_1 = Uint8Array.of(0, 0, 0, 1)
const learnerInfo = (sid: number): QuorumPacket =>
  packet(
    PacketType.followerInfo,
    zxidOf(1),
    LearnerInfo.encode({ serverId: BigInt(sid), protocolVersion: 0x10000, configVersion: 0n }),
  )
const PACKETS: readonly QuorumPacket[] = [
  learnerInfo(2),
  packet(PacketType.ackEpoch, zxidOf(1), EPOCH_1),
  packet(PacketType.proposal, zxidOf(1) + 1n, logged),
  packet(PacketType.snap, zxidOf(1)),
  pingAnswerPacket(0n, [[5n, 4000]]),
  revalidatePacket(5n, 4000),
  requestPacket(request),
]
const node = { path: '/a', data: Uint8Array.of(1), acl: OPEN, flags: CreateMode.persistent }
/** Behind their type. */
const REQUESTS: readonly Uint8Array[] = [
  [OpCode.create, operations.create.request.encode(node)] as const,
  [OpCode.createTTL, operations.createTTL.request.encode({ ...node, flags: 5, ttl: 1000 })] as const,
  [OpCode.setACL, operations.setACL.request.encode({ path: '/a', acl: OPEN, version: -1 })] as const,
  [
    OpCode.multi,
    operations.multi.request.encode([
      { type: OpCode.create, ...node },
      { type: OpCode.check, path: '/a', version: 0 },
    ]),
  ] as const,
  [
    OpCode.setWatches2,
    operations.setWatches2.request.encode({
      relativeZxid: 0n,
      dataWatches: ['/a'],
      existWatches: [],
      childWatches: ['/'],
      persistentWatches: [],
      persistentRecursiveWatches: ['/b'],
    }),
  ] as const,
].map(([type, body]) => Uint8Array.of(0, 0, 0, type, ...body))

const READERS: readonly (readonly [string, readonly Uint8Array[], (bytes: Uint8Array) => unknown])[] = [
  ['packets', [packetBytes(...PACKETS), ...PACKETS.map((each) => packetBytes(each))], readPackets],
  ['hellos', [encodeHello(2, 'localhost', 3888)], decodeHello],
  [
    'notifications',
    [
      encodeNotification({
        state: 'looking',
        leader: 2,
        zxid: 5n,
        electionEpoch: 1,
        peerEpoch: 1,
        version: 2,
        config: 'server.1=a:1:2',
      }),
    ],
    decodeNotification,
  ],
  [
    'handshakes',
    [
      ConnectRequest.encode({
        protocolVersion: 0,
        lastZxidSeen: 0n,
        timeOut: 4000,
        sessionId: 0n,
        passwd: new Uint8Array(16),
        readOnly: false,
      }),
    ],
    (bytes) => ConnectRequest.decode(bytes),
  ],
  ['transactions', [logged], (bytes) => LoggedTxn.decode(bytes)],
  ['requests', REQUESTS, readRequest],
]

for (const [name, samples, read] of READERS)
  test(`${name}: what cannot be read is malformed, and nothing else`, () => {
    for (const sample of samples) assert.ok(isRead(() => read(sample)))
    let readable = 0
    for (let round = 0; round < ROUNDS; round++) if (isRead(() => read(mutated(samples)))) readable++
    assert.ok(readable > 0 && readable < ROUNDS, `${readable} of ${ROUNDS}`)
  })

/** In pieces, as a socket hands them over. */
function readPackets(bytes: Uint8Array): void {
  const reader = new PacketReader()
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + 1 + random.below(100))
    reader.push(bytes.subarray(start, end))
    start = end
    while (reader.next() !== null) {
      assert.ok(reader.bufferedBytes <= bytes.length)
      if (reader.isInSnapshot) return
    }
  }
}

function readRequest(bytes: Uint8Array): void {
  const reader = new ByteReader(bytes)
  const type = reader.int32()
  if (decodeWrite(type, reader) === null) prepareRead(type, reader)
}

test('snapshots: what cannot be read is malformed, and nothing else', async () => {
  const tree = ZnodeTree.fresh({ extendedTypes: true })
  for (let count = 0; count < 20; count++) {
    const next = created(count % 2 === 0 ? `/n${count}` : `/n${count - 1}/child`)
    tree.apply({ ...next, header: { ...next.header, zxid: zxidOf(1) + BigInt(count) } })
  }
  const frozen = tree.freeze()
  const pieces: Uint8Array[] = []
  const soon = (run: () => void): void => queueMicrotask(run)
  await sendSnapshot(frozen, (bytes) => void pieces.push(bytes.slice()), soon)
  tree.thaw(frozen)
  const whole = new Uint8Array(Buffer.concat(pieces))
  const receive = async (bytes: Uint8Array): Promise<boolean> => {
    let at = 0
    const take = (length: number): Uint8Array => {
      if (at + length > bytes.length) throw new MalformedBytesError('the stream has ended')
      at += length
      return bytes.subarray(at - length, at)
    }
    try {
      await receiveSnapshot({ take }, zxidOf(1) + 20n, { extendedTypes: true }, soon)
      return true
    } catch (error) {
      if (error instanceof MalformedBytesError) return false
      throw error
    }
  }
  assert.ok(await receive(whole))
  let readable = 0
  for (let round = 0; round < ROUNDS; round++) if (await receive(mutated([whole]))) readable++
  assert.ok(readable > 0 && readable < ROUNDS, `${readable} of ${ROUNDS}`)
})

const TERM = { sid: 1, acceptedEpoch: 1, currentEpoch: 1, lastZxid: zxidOf(1) + 3n, configVersion: 0n }
const LIMITS = { tickMs: 1000, initLimitMs: 10_000, syncLimitMs: 5000 }

/** A packet that was cut out of the stream: its head means something, what it holds need not. */
function anyPacket(): QuorumPacket {
  const known = PACKETS[random.below(PACKETS.length)]!
  const type = random.below(3) > 0 ? known.type : random.below(22)
  const zxid = random.below(2) === 0 ? known.zxid : zxidOf(random.below(3)) + BigInt(random.below(4))
  const data = random.below(4) === 0 ? mutated([known.data ?? logged]) : known.data
  return {
    type,
    zxid: random.below(20) === 0 ? BigInt.asIntN(64, (1n << 63n) - zxid) : zxid,
    data,
    authinfo: known.authinfo,
  }
}

/** What a follower would say next, as far as its leader has come. */
function likelyPacket(leader: Leader, sid: number): QuorumPacket {
  const said = leader.learners(0).find((learner) => learner.sid === sid)
  if (said === undefined) return learnerInfo(sid)
  const isJudged = leader.zabState !== 'discovery'
  return isJudged ? packet(PacketType.ack, zxidOf(leader.epoch)) : packet(PacketType.ackEpoch, zxidOf(1), EPOCH_1)
}

test('a leader takes whatever packets its connections send', () => {
  let served = 0
  for (let round = 0; round < ROUNDS / 10; round++) {
    const options = { ...TERM, ...LIMITS, quorum: majorityOf([1, 2, 3]), configText: new Uint8Array(0) }
    const leader = new Leader(options, 0)
    for (let nowMs = 0; nowMs < 20_000; nowMs += 200) {
      const link = 2 + random.below(3)
      if (random.below(6) === 0) leader.onConnected(link, nowMs)
      else if (random.below(20) === 0) leader.onDisconnected(link)
      else leader.onPacket(link, link === 2 && random.below(20) > 0 ? likelyPacket(leader, link) : anyPacket(), nowMs)
      leader.onTick(nowMs)
      for (const effect of leader.takeEffects()) {
        if (effect.type === 'writeAcceptedEpoch') {
          assert.ok(effect.epoch > 1 && effect.epoch <= 0x7fff_ffff, 'an epoch that nobody can follow')
          leader.onAcceptedEpochWritten(nowMs)
        } else if (effect.type === 'writeCurrentEpoch') leader.onCurrentEpochWritten(nowMs)
        else if (effect.type === 'serve') served++
      }
    }
  }
  assert.ok(served > 0)
})

test('a learner takes whatever packets its leader sends', () => {
  const ends = new Set<string>()
  for (let round = 0; round < ROUNDS / 3; round++) {
    const role = random.below(2) === 0 ? 'follower' : 'observer'
    const learner = new Learner({ ...TERM, ...LIMITS, role, snapshotWantedIn: null }, 0)
    const likely: QuorumPacket[] = [
      packet(PacketType.leaderInfo, zxidOf(2), Uint8Array.of(0, 1, 0, 0)),
      packet([PacketType.diff, PacketType.trunc, PacketType.snap][random.below(3)]!, TERM.lastZxid),
      packet(PacketType.newLeader, zxidOf(2)),
      packet(PacketType.upToDate, -1n),
    ]
    for (let nowMs = 0; nowMs < 3000; nowMs += 100) {
      const next = random.below(6) === 0 ? undefined : likely.shift()
      learner.onPacket(next ?? anyPacket(), nowMs)
      learner.onTick(nowMs)
      for (const effect of learner.takeEffects()) {
        if (effect.type === 'writeAcceptedEpoch') learner.onAcceptedEpochWritten(nowMs)
        else if (effect.type === 'writeCurrentEpoch') learner.onCurrentEpochWritten(nowMs)
        else if (effect.type === 'truncate' || effect.type === 'loadSnapshot')
          learner.onSynchronised(effect.zxid, effect.zxid, nowMs)
        else if (effect.type === 'append') learner.onLogged(effect.proposal.zxid, nowMs)
        else if (effect.type === 'serve') ends.add('serves')
        else if (effect.type === 'over') ends.add(effect.fatal ? 'stops' : 'leaves')
      }
    }
  }
  assert.deepEqual([...ends].sort(), ['leaves', 'serves', 'stops'])
})
