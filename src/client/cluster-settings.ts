/** The settings that every client has. A file of its own, since the tables of all clients begin with it. */
import { integer, text, textList } from './config-table.ts'

/** What every client has: how it finds and keeps its brokers. */
export const clusterSettings = {
  bootstrapServers: textList({
    doc: 'Brokers to begin with, each as host:port; the others are learned from them.',
  }),
  clientId: text({
    default: 'samsa',
    doc: 'What the client calls itself to the brokers, in their logs, quotas and metrics.',
  }),
  requestTimeoutMs: integer({
    default: 30_000,
    min: 0,
    doc: 'How long the answer to one request may take. After that its connection is dropped and the request tried again.',
  }),
  defaultApiTimeoutMs: integer({
    default: 60_000,
    min: 0,
    doc: 'How long a call may take with all its retries, where it is given no time of its own.',
  }),
  retryBackoffMs: integer({
    default: 100,
    min: 0,
    doc: 'Pause before the first retry. It doubles with each further one, give or take a fifth (KIP-580).',
  }),
  retryBackoffMaxMs: integer({ default: 1000, min: 0, doc: 'The longest pause between two retries.' }),
  reconnectBackoffMs: integer({
    default: 50,
    min: 0,
    doc: 'Pause before a broker is connected to again. It doubles with each failure, give or take a fifth.',
  }),
  reconnectBackoffMaxMs: integer({ default: 1000, min: 0, doc: 'The longest pause between two attempts to connect.' }),
  socketConnectionSetupTimeoutMs: integer({
    default: 10_000,
    min: 1,
    doc: 'How long it may take until a connection stands and the broker has told its versions.',
  }),
  connectionsMaxIdleMs: integer({
    default: 540_000,
    min: -1,
    doc: 'A connection without requests for so long is closed; -1: never.',
  }),
  metadataMaxAgeMs: integer({
    default: 300_000,
    min: 0,
    doc: 'After so long metadata is asked for again even if nothing seems to have changed.',
  }),
} as const
