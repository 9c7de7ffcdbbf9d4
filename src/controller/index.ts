export { assignReplicas, type AssignableBroker, type AssignmentResult } from './assignment.ts'
export { Controller, type ControllerMetrics, type ListedReassignment } from './controller.ts'
export { ElectionType, type ElectionOutcome } from './leader-elections.ts'
export type {
  ControlChannel,
  ControlTarget,
  ControllerConfig,
  ControllerPorts,
  Outcome,
  TopicPartition,
} from './ports.ts'
export { claimProducerIds } from './producer-ids.ts'
export type { ReassignmentRequest } from './reassignments.ts'
export {
  TopicAdmin,
  type CreatedTopic,
  type NewTopic,
  type TopicAdminPorts,
  type TopicGrowth,
  type TopicOutcome,
} from './topic-admin.ts'
export { collides, topicNameFault } from './topic-names.ts'
