/** When a cluster is what its test believes it to be. */
import type { Broker } from '#broker'
import { sleep, type Clock } from '#platform'

import type { TestClients } from './cluster.ts'
import type { Layout } from './options.ts'

/** On a busy machine; usually milliseconds. */
const TIMEOUT_MS = 60_000
/** Between two looks. */
const LOOK_EVERY_MS = 2

type Image = Broker['services']['metadata']['image']

/** The brokers that can know of each other, as it is at each look: some may come and go meanwhile. */
export type Running = () => readonly Broker[]

/**
 * Resolves when each broker knows all of them and who of them is the controller, and none knows the broker that has left. Without brokers, at
 * once.
 */
export function untilKnown(clock: Clock, running: Running, leftId: number | null = null): Promise<void> {
  return untilAll(clock, running, 'the brokers do not know each other', (image, ids) => {
    const isComplete = ids.every((id) => image.brokers.has(id)) && ids.includes(image.liveControllerId)
    return isComplete && (leftId === null || !image.brokers.has(leftId))
  })
}

/** Resolves when the topics are made and each broker knows a leader for each of their partitions. Rejects with `KafkaError`. */
export async function createTopics(
  clock: Clock,
  running: Running,
  clients: TestClients,
  topics: Layout['topics'],
): Promise<void> {
  if (topics.length === 0) return
  const admin = clients.admin()
  try {
    for (const failure of (await admin.createTopics(topics)).values()) if (failure !== null) throw failure
  } finally {
    await admin.close()
  }
  await untilAll(clock, running, 'the new topics have no leaders', (image) =>
    topics.every(({ name, partitions }) => {
      const states = [...(image.topic(name)?.partitions.values() ?? [])]
      return states.length > 0 && states.length >= partitions && states.every(({ leader }) => leader >= 0)
    }),
  )
}

async function untilAll(
  clock: Clock,
  running: Running,
  fault: string,
  holds: (image: Image, ids: readonly number[]) => boolean,
): Promise<void> {
  const deadlineMs = clock.monotonic() + TIMEOUT_MS
  for (;;) {
    const brokers = running()
    const ids = brokers.map(({ brokerId }) => brokerId)
    if (brokers.every(({ services }) => holds(services.metadata.image, ids))) return
    if (clock.monotonic() > deadlineMs) throw new Error(`${fault} after ${TIMEOUT_MS} ms`)
    await sleep(clock, LOOK_EVERY_MS)
  }
}
