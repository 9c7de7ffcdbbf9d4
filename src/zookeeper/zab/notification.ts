/**
 * What servers tell each other on the election port, behind its length:
 *
 *     state int32 | leader int64 | zxid int64 | electionEpoch int64
 *       [peerEpoch int64 [version int32 [configLength int32 | config]]]
 *
 * 28 bytes without a peerEpoch and 40 without a version are from old servers; version 1 has no config.
 * Source: FastLeaderElection.buildMsg and its WorkerReceiver.
 */
import { ByteReader, ByteWriter, MalformedBytesError } from '#base'

import type { CastVote, PeerState } from './vote.ts'
import { NO_SID } from './vote.ts'

export interface Notification extends CastVote {
  /** The servers as the sender knows them; null in messages before version 2. */
  readonly config: string | null
}

export const NOTIFICATION_VERSION = 2

/** Index: the number on the wire. */
const STATES: readonly PeerState[] = ['looking', 'following', 'leading', 'observing']

const BYTES_WITHOUT_PEER_EPOCH = 28
/** Its last four bytes mean nothing. */
const BYTES_WITHOUT_VERSION = 40

export function encodeNotification(notification: Notification): Uint8Array {
  const writer = new ByteWriter(512)
  writer.int32(STATES.indexOf(notification.state))
  writer.int64(notification.leader)
  writer.bigint64(notification.zxid)
  writer.int64(notification.electionEpoch)
  writer.int64(notification.peerEpoch)
  writer.int32(notification.version)
  const config = new TextEncoder().encode(notification.config ?? '')
  writer.int32(config.length)
  writer.bytes(config)
  return writer.toBytes()
}

/** Throws `MalformedBytesError`. */
export function decodeNotification(bytes: Uint8Array): Notification {
  const reader = new ByteReader(bytes)
  const number = reader.int32()
  const state = STATES[number]
  if (state === undefined) throw new MalformedBytesError(`a server in state ${number}`)
  const leader = countOrNone(reader)
  const zxid = reader.bigint64()
  const electionEpoch = countOrNone(reader)
  const vote = { state, leader, zxid, electionEpoch }
  if (bytes.length === BYTES_WITHOUT_PEER_EPOCH)
    return { ...vote, peerEpoch: Number(BigInt.asUintN(64, zxid) >> 32n), version: 0, config: null }
  const peerEpoch = countOrNone(reader)
  if (bytes.length === BYTES_WITHOUT_VERSION) return { ...vote, peerEpoch, version: 0, config: null }
  const version = reader.int32()
  if (version < NOTIFICATION_VERSION) return { ...vote, peerEpoch, version, config: null }
  return { ...vote, peerEpoch, version, config: reader.utf8(reader.int32()) }
}

/** Beyond what a double counts exactly there are only lies, and one of them would hold up every election to come. */
function countOrNone(reader: ByteReader): number {
  const value = reader.int64()
  if (value !== NO_SID && (value < -1 || value > Number.MAX_SAFE_INTEGER))
    throw new MalformedBytesError(`${value} as the number of a server, a round or an epoch`)
  return value
}
