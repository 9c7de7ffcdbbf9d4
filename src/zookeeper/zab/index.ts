export { hierarchyOf, majorityOf, type Quorum } from './quorum.ts'
export { NO_ENSEMBLE_FAULTS, type EnsembleFaults } from './faults.ts'
export { Election, type ElectionEffect, type ElectionOptions, type Office, type Position } from './election.ts'
export { decodeNotification, encodeNotification, type Notification } from './notification.ts'
export { NO_SID, type PeerState, type Vote } from './vote.ts'
export { Leader, type LeaderEffect, type LeaderOptions } from './leader.ts'
export type { LearnerStatus, LinkNumber } from './learner-list.ts'
export { Learner, type LearnerEffect, type LearnerOptions, type LearnerRole, type Proposal } from './learner.ts'
export {
  LearnerInfo,
  NO_ZXID,
  PacketReader,
  PacketType,
  SNAPSHOT_SIGNATURE,
  packet,
  pingAnswerPacket,
  requestPacket,
  revalidatePacket,
  revalidatedPacket,
  writePacket,
  type LearnerRequest,
  type QuorumPacket,
} from './packets.ts'
export { syncPlan, type History, type SyncPlan } from './sync-plan.ts'
export { HELLO_BYTES_MAX, decodeHello, encodeHello } from './hello.ts'
