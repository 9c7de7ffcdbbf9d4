/** What the group coordinator obeys; names as in `server.properties`, defaults of Kafka 3.9. */
export interface GroupConfig {
  /** `group.min.session.timeout.ms`, `group.max.session.timeout.ms`. */
  minSessionTimeoutMs: number
  maxSessionTimeoutMs: number
  /** `group.max.size`: members of one group. */
  groupMaxSize: number
  /** `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after the first one. */
  initialRebalanceDelayMs: number
  /** `offset.metadata.max.bytes`; counted in UTF-16 units, as upstream. */
  offsetMetadataMaxBytes: number
  /** `offsets.retention.minutes`, in ms. */
  offsetsRetentionMs: number
  /** `offsets.retention.check.interval.ms`. */
  offsetsRetentionCheckIntervalMs: number
}

export const groupConfigDefaults: GroupConfig = {
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  groupMaxSize: 2 ** 31 - 1,
  initialRebalanceDelayMs: 3000,
  offsetMetadataMaxBytes: 4096,
  offsetsRetentionMs: 10_080 * 60_000,
  offsetsRetentionCheckIntervalMs: 600_000,
}
