/** A leader's books where the controller's words and its answers cross (KAFKA-9672, KAFKA-12686, KAFKA-13091). */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { World } from '#simulation'
import { LogManager, logConfig } from '#storage'

import { NO_FAULTS } from './faults.ts'
import { IsrChanges, type IsrChange, type IsrChangeOutcome } from './isr-changes.ts'
import { Partition } from './partition.ts'
import { DEFAULT_REPLICATION_CONFIG } from './replication-config.ts'
import { ReplicationQuota } from './replication-quota.ts'

interface Bench {
  readonly partition: Partition
  /** What the leader asked the controller for, and waits for. */
  readonly asked: IsrChange[]
  /** LeaderAndIsr for this broker as the leader. */
  readonly lead: (leaderEpoch: number, partitionEpoch: number, isr: readonly number[]) => boolean
  readonly isr: () => string
}

/** Keeps what is submitted instead of sending it. */
class HeldChanges extends IsrChanges {
  readonly asked: IsrChange[] = []
  override submit(change: IsrChange): boolean {
    this.asked.push(change)
    return true
  }
}

async function onBench(program: (bench: Bench) => void): Promise<void> {
  const world = new World(95)
  let outcome: { error: unknown } | null = null
  world.process('broker').start(
    async (platform) => {
      const { clock, logger } = platform
      const logs = await LogManager.open({ platform, directories: ['/a'], topicConfig: () => logConfig() })
      const changes = new HeldChanges({
        brokerId: 1,
        clock,
        logger,
        brokerEpoch: () => 1,
        sender: { send: () => assert.fail('nothing is sent') },
      })
      const quota = new ReplicationQuota(clock, { samples: 11, sampleMs: 1000 })
      const partition = new Partition('t', 0, {
        brokerId: 1,
        clock,
        logger,
        config: DEFAULT_REPLICATION_CONFIG,
        faults: NO_FAULTS,
        isrChanges: changes,
        metadata: {
          aliveBroker: (id) => ({ id, host: `b${id}`, port: 1 }),
          rackOf: () => null,
          hasPartition: () => true,
        },
        quotas: { leader: quota, follower: quota },
        highWatermarkMoved() {},
      })
      partition.useLog(logs.getOrCreate(partition))
      program({
        partition,
        asked: changes.asked,
        lead: (leaderEpoch, partitionEpoch, isr) =>
          partition.makeLeader({
            leader: 1,
            leaderEpoch,
            partitionEpoch,
            isr,
            replicas: [1, 2, 3],
            addingReplicas: [],
            removingReplicas: [],
          }),
        isr: () => [...partition.isr].sort((a, b) => a - b).join(),
      })
      outcome = { error: null }
    },
    (error) => (outcome = { error }),
  )
  await world.runUntil(() => outcome !== null, 10_000)
  const { error } = outcome as unknown as { error: unknown }
  if (error !== null) throw error
}

/** Leads with ISR 1, 2 in leader epoch 4 and partition epoch 7, and has asked for 3, which has caught up. */
function askFor3({ partition, asked, lead, isr }: Bench): IsrChange {
  assert.equal(lead(4, 7, [1, 2]), true)
  partition.followerFetched(3, 0, 0)
  const [change] = asked
  assert.deepEqual([change!.isr, change!.leaderEpoch, change!.partitionEpoch], [[1, 2, 3], 4, 7])
  assert.equal(isr(), '1,2', 'nobody is in before the controller says so')
  return change!
}

const GRANTED: IsrChangeOutcome = { kind: 'decided', leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2, 3] }
const refused = (errorCode: number): IsrChangeOutcome => ({ kind: 'refused', errorCode })

test('what the controller grants counts, and what it refuses does not', async () => {
  await onBench((bench) => {
    askFor3(bench).done(GRANTED)
    assert.deepEqual([bench.isr(), bench.partition.partitionEpoch], ['1,2,3', 8])
  })
  await onBench((bench) => {
    askFor3(bench).done(refused(ErrorCode.INELIGIBLE_REPLICA))
    assert.deepEqual([bench.isr(), bench.partition.partitionEpoch], ['1,2', 7])
  })
})

const ANSWERS: readonly [what: string, outcome: IsrChangeOutcome][] = [
  ['granted', GRANTED],
  ['refused for good', refused(ErrorCode.INELIGIBLE_REPLICA)],
  ['not attempted', refused(ErrorCode.OPERATION_NOT_ATTEMPTED)],
  ['fenced', refused(ErrorCode.FENCED_LEADER_EPOCH)],
]

for (const [what, outcome] of ANSWERS)
  test(`a change that is ${what} after a newer LeaderAndIsr has no effect any more`, async () => {
    for (const leaderEpoch of [4, 5])
      await onBench((bench) => {
        const change = askFor3(bench)
        assert.equal(bench.lead(leaderEpoch, 9, [1]), true)
        change.done(outcome)
        assert.deepEqual([bench.isr(), bench.partition.partitionEpoch], ['1', 9])
        const { role } = bench.partition
        assert.equal(role.kind === 'leader' && role.isr.kind, 'committed')
      })
  })

test('an answer of another leader epoch, or of a partition epoch before ours, decides nothing', async () => {
  for (const stale of [
    { ...GRANTED, leaderEpoch: 5 },
    { ...GRANTED, partitionEpoch: 6 },
  ])
    await onBench((bench) => {
      askFor3(bench).done(stale)
      assert.deepEqual([bench.isr(), bench.partition.partitionEpoch], ['1,2', 7])
    })
})

test('a LeaderAndIsr of an older partition epoch takes nothing back (KAFKA-13254)', async () => {
  await onBench((bench) => {
    askFor3(bench).done(GRANTED)
    assert.equal(bench.lead(4, 7, [1, 2]), false)
    assert.deepEqual([bench.isr(), bench.partition.partitionEpoch], ['1,2,3', 8])
  })
})
