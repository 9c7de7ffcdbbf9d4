/** Changes of ISRs on their way to a controller that does not answer as one would like. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Platform } from '#platform'
import { ErrorCode } from '#protocol'
import type { AlterPartitionRequestInput, AlterPartitionResponse } from '#protocol/messages/alter-partition'
import { World } from '#simulation'

import { IsrChanges, type IsrChangeOutcome } from './isr-changes.ts'

const TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw'

/** What the controller answers to one request: an error for each partition that it does not leave out. */
type Answers = ReadonlyMap<number, number>

class Setting {
  readonly world = new World(1)
  readonly requests: number[][] = []
  readonly outcomes: string[] = []
  answer: (partitions: readonly number[]) => Answers | Promise<Answers> = () => new Map()
  changes!: IsrChanges

  constructor() {
    this.world.process('leader').start(async ({ clock, logger }: Platform) => {
      const sender = { send: (request: AlterPartitionRequestInput) => this.#send(request) }
      this.changes = new IsrChanges({ brokerId: 1, clock, logger, sender, brokerEpoch: () => 1 })
    })
  }

  async #send({ topics }: AlterPartitionRequestInput): Promise<AlterPartitionResponse> {
    const asked = topics[0]!.partitions.map(({ partitionIndex }) => partitionIndex)
    this.requests.push(asked)
    const answers = await this.answer(asked)
    const partitions = [...answers].map(([partitionIndex, errorCode]) => ({
      partitionIndex,
      errorCode,
      leaderId: 1,
      leaderEpoch: 0,
      isr: [1],
      leaderRecoveryState: 0,
      partitionEpoch: 1,
    }))
    return { throttleTimeMs: 0, errorCode: 0, topics: [{ topicName: '', topicId: TOPIC_ID, partitions }] }
  }

  submit(partition: number, leaderEpoch = 0): boolean {
    const done = (outcome: IsrChangeOutcome): void => {
      const what = outcome.kind === 'refused' ? outcome.errorCode : outcome.kind
      this.outcomes.push(`${partition}/${leaderEpoch}: ${what}`)
    }
    const change = { topic: 't', topicId: TOPIC_ID, partition, leaderEpoch, partitionEpoch: 0, isr: [1], done }
    return this.changes.submit(change)
  }
}

async function started(): Promise<Setting> {
  const setting = new Setting()
  await setting.world.run(1)
  return setting
}

test('what an answer does not decide is sent again after a pause, and only that', async () => {
  const setting = await started()
  const { NONE, UNKNOWN_SERVER_ERROR, FENCED_LEADER_EPOCH } = ErrorCode
  setting.answer = () =>
    new Map([
      [0, UNKNOWN_SERVER_ERROR],
      [1, NONE],
      [3, FENCED_LEADER_EPOCH],
    ])
  for (const partition of [0, 1, 2, 3]) assert.equal(setting.submit(partition), true)
  await setting.world.run(1000)
  assert.deepEqual(setting.outcomes, ['1/0: decided', `3/0: ${FENCED_LEADER_EPOCH}`])
  assert.deepEqual(setting.requests.slice(0, 2), [
    [0, 1, 2, 3],
    [0, 2],
  ])
  assert.ok(setting.requests.length > 10 && setting.requests.length <= 21, `${setting.requests.length} requests`)
  setting.answer = (asked) => new Map(asked.map((partition) => [partition, NONE]))
  await setting.world.run(100)
  assert.deepEqual(setting.outcomes.slice(2), ['0/0: decided', '2/0: decided'])
})

test('a change of an earlier leader epoch, of which nothing is heard, holds up none of the next', async () => {
  const setting = await started()
  const first = Promise.withResolvers<Answers>()
  setting.answer = () => first.promise
  assert.equal(setting.submit(0, 0), true)
  await setting.world.run(10)
  assert.equal(setting.submit(0, 0), false)
  assert.equal(setting.submit(0, 1), true)
  setting.answer = () => new Map([[0, ErrorCode.NONE]])
  first.resolve(new Map([[0, ErrorCode.FENCED_LEADER_EPOCH]]))
  await setting.world.run(10)
  assert.deepEqual(setting.outcomes, ['0/1: decided'])
})
