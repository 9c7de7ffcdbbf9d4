export interface PartitionReplicas {
  /** -1: none. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}

/** What people should know of a partition first. */
export function healthOf({ leader, replicas, isr }: PartitionReplicas): 'offline' | 'under-replicated' | 'ok' {
  if (leader < 0) return 'offline'
  return isr.length < replicas.length ? 'under-replicated' : 'ok'
}
