/**
 * Every setting of the clients, under Kafka's names and with the defaults of its 3.9 release. The documentation's reference is
 * generated from these tables (`docs/`), and the code reads nothing else.
 */
import { clusterSettings } from './cluster-settings.ts'
import {
  boolean,
  choice,
  custom,
  integer,
  optionalText,
  text,
  textList,
  type ConfigInput,
  type ConfigOf,
} from './config-table.ts'
import type { Assignor } from './consumer/assignors/index.ts'
import type { ConsumerListener } from './consumer/events.ts'
import type { DeliveryListener } from './producer/delivery.ts'
import type { Partitioner } from './producer/partitioner.ts'

const INT32_MAX = 2 ** 31 - 1

export { clusterSettings }

export const adminSettings = clusterSettings

export const producerSettings = {
  ...clusterSettings,
  acks: choice({
    words: ['all', 0, 1],
    aliases: { '-1': 'all' },
    default: 'all',
    doc: 'When a record counts as sent: 0 once it is written to the socket, 1 once the leader has it, all once every replica in sync has it.',
  }),
  enableIdempotence: boolean({
    default: true,
    doc: 'Retries leave no second copy and change no order. Needs acks=all, retries, and at most 5 requests in flight.',
  }),
  bufferMemory: integer({
    default: 33_554_432,
    min: 0,
    doc: 'Bytes that wait to be sent or acknowledged, at most. What comes beyond that waits up to max.block.ms.',
  }),
  maxBlockMs: integer({
    default: 60_000,
    min: 0,
    doc: 'How long a send waits for memory and for metadata, together, before it fails.',
  }),
  batchSize: integer({
    default: 16_384,
    min: 0,
    doc: 'Bytes of a batch, before compression, at which it is full. A larger record is a batch of its own; 0: every record is.',
  }),
  lingerMs: integer({
    default: 0,
    min: 0,
    doc: 'How long a batch that is not full waits for more records. With 0, what one turn of the event loop sends goes together.',
  }),
  maxRequestSize: integer({
    default: 1_048_576,
    min: 0,
    doc: 'Bytes of one Produce request, and so the largest record, before compression.',
  }),
  maxInFlightRequestsPerConnection: integer({
    default: 5,
    min: 1,
    doc: 'Requests to one broker that wait for their answer. Above 1 order survives retries only with idempotence.',
  }),
  retries: integer({
    default: INT32_MAX,
    min: 0,
    max: INT32_MAX,
    doc: 'How often a batch is sent again after an error that may pass. delivery.timeout.ms bounds it in time.',
  }),
  deliveryTimeoutMs: integer({
    default: 120_000,
    min: 0,
    doc: 'A record that is not acknowledged after so long fails, whatever retries says. At least linger.ms + request.timeout.ms.',
  }),
  compressionType: choice({
    words: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    default: 'none',
    doc: 'The codec of the batches.',
  }),
  compressionGzipLevel: integer({ default: -1, min: -1, max: 9, doc: 'Level of gzip, 1 to 9; -1: its default.' }),
  compressionZstdLevel: integer({ default: 3, min: -131_072, max: 22, doc: 'Level of zstd.' }),
  partitioner: custom<'default' | 'roundRobin' | Partitioner>({
    type: 'default, roundRobin, or a function',
    default: 'default',
    valid: '"default", "roundRobin" or a function that returns a partition',
    is: (given) => given === 'default' || given === 'roundRobin' || typeof given === 'function',
    doc: "Who chooses a record's partition. default: by the key's murmur2 hash, as in Java; without a key one partition per batch, those with shorter queues more often (KIP-794).",
  }),
  partitionerIgnoreKeys: boolean({
    default: false,
    doc: 'The default partitioner treats records with a key like those without.',
  }),
  partitionerAdaptivePartitioningEnable: boolean({
    default: true,
    doc: 'The default partitioner prefers partitions whose brokers take batches faster; otherwise all alike.',
  }),
  partitionerAvailabilityTimeoutMs: integer({
    default: 0,
    min: 0,
    doc: 'The default partitioner passes over partitions whose broker has taken nothing for so long; 0: it does not.',
  }),
  metadataMaxIdleMs: integer({
    default: 300_000,
    min: 5000,
    doc: 'Metadata of a topic that nothing was sent to for so long is forgotten.',
  }),
  onDelivery: custom<DeliveryListener | null>({
    type: 'function',
    default: null,
    valid: 'a function',
    is: (given) => given === null || typeof given === 'function',
    doc: 'Called once for each batch, with what became of it: for records that were pushed without a promise.',
  }),
} as const

export const consumerSettings = {
  ...clusterSettings,
  groupId: optionalText({ doc: 'The group that the consumer joins, and whose offsets it commits.' }),
  groupInstanceId: optionalText({
    doc: 'A name that survives restarts (static membership, KIP-345): a member that returns in time gets its partitions without a rebalance.',
  }),
  autoOffsetReset: choice({
    words: ['latest', 'earliest', 'none'],
    default: 'latest',
    doc: 'Where to begin without a committed offset, or when it is out of range; none: an error.',
  }),
  enableAutoCommit: boolean({
    default: true,
    doc: 'Commits in the background what the user was given and has finished.',
  }),
  autoCommitIntervalMs: integer({ default: 5000, min: 0, doc: 'Time between two automatic commits.' }),
  sessionTimeoutMs: integer({
    default: 45_000,
    min: 1,
    doc: 'After so long without a heartbeat the coordinator takes the member for dead.',
  }),
  heartbeatIntervalMs: integer({
    default: 3000,
    min: 1,
    doc: 'Time between two heartbeats: a third of the session timeout at most.',
  }),
  maxPollIntervalMs: integer({
    default: 300_000,
    min: 1,
    doc: 'A user who takes longer than this over what they were given has the member leave its group.',
  }),
  maxPollRecords: integer({ default: 500, min: 1, doc: 'Records that one poll gives, at most.' }),
  partitionAssignmentStrategy: textList({
    default: ['range', 'cooperative-sticky'],
    doc: 'How the group may share its partitions, the preferred first; the group takes one that every member has.',
  }),
  fetchMinBytes: integer({ default: 1, min: 0, doc: 'The broker answers a fetch when it has so many bytes.' }),
  fetchMaxBytes: integer({
    default: 52_428_800,
    min: 0,
    doc: 'Bytes of the answer to one fetch; a larger first batch comes all the same.',
  }),
  fetchMaxWaitMs: integer({ default: 500, min: 0, doc: 'The broker answers a fetch after so long, whatever it has.' }),
  maxPartitionFetchBytes: integer({
    default: 1_048_576,
    min: 0,
    doc: 'Bytes of one partition in the answer to one fetch.',
  }),
  isolationLevel: choice({
    words: ['read_uncommitted', 'read_committed'],
    default: 'read_uncommitted',
    doc: 'read_committed: of transactions only those that were committed.',
  }),
  checkCrcs: boolean({ default: true, doc: 'Checks the checksum of every batch.' }),
  allowAutoCreateTopics: boolean({
    default: true,
    doc: 'The broker may create a topic that is subscribed to, if it is configured so.',
  }),
  excludeInternalTopics: boolean({ default: true, doc: 'A subscription by pattern leaves internal topics out.' }),
  clientRack: text({ default: '', doc: 'The rack of this client: it may read from a follower there (KIP-392).' }),
  assignors: custom<readonly Assignor[]>({
    type: 'list of assignors',
    default: [],
    valid: 'a list of assignors',
    is: (given) => Array.isArray(given),
    doc: "Assignors of one's own, to be named in partition.assignment.strategy.",
  }),
  listener: custom<ConsumerListener>({
    type: 'object of functions',
    default: {},
    valid: 'an object of functions',
    is: (given) => typeof given === 'object' && given !== null,
    doc: 'Told about partitions that come and go, and about what is going wrong.',
  }),
} as const

export type ClusterConfig = ConfigOf<typeof clusterSettings>
export type AdminOptions = ConfigInput<typeof adminSettings>
/** What the user gives. */
export type ProducerOptions = ConfigInput<typeof producerSettings>
/** Every setting with its value. */
export type ProducerConfig = ConfigOf<typeof producerSettings>
/** What the user gives. */
export type ConsumerOptions = ConfigInput<typeof consumerSettings>
/** Every setting with its value. */
export type ConsumerConfig = ConfigOf<typeof consumerSettings>
