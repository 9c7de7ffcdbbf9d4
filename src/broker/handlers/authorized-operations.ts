/**
 * What a client may do, as bits by the ids of Kafka's AclOperation (KIP-430). Without an authorizer everybody may do everything.
 */
const Operation = {
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
} as const

function bits(...operations: (keyof typeof Operation)[]): number {
  return operations.reduce((field, name) => field | (1 << Operation[name]), 0)
}

/** The client did not ask. */
export const OPERATIONS_NOT_ASKED = -(2 ** 31)

export const ALL_TOPIC_OPERATIONS = bits(
  'READ',
  'WRITE',
  'CREATE',
  'DELETE',
  'ALTER',
  'DESCRIBE',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
)

export const ALL_CLUSTER_OPERATIONS = bits(
  'CREATE',
  'ALTER',
  'DESCRIBE',
  'CLUSTER_ACTION',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
  'IDEMPOTENT_WRITE',
)

export const ALL_GROUP_OPERATIONS = bits('READ', 'DELETE', 'DESCRIBE')
