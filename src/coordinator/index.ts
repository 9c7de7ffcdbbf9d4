export type { AppendOutcome, CoordinatorLog } from './log.ts'
export { Effects, type CoordinatorMachine, type Effect, type EventCodec, type Moment, type ReplyTo } from './machine.ts'
export { partitionFor } from './partition-hash.ts'
export { CoordinatorRuntime, type RuntimeOptions } from './runtime.ts'
