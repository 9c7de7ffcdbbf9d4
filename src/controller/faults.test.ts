/** Every write of the controller loses its answer once, carried out or not; and every write is once the last before its session ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ErrorCode } from '#protocol'
import { ZnodePath } from '#metadata/znodes'

import { FakeCluster } from './fake-cluster.ts'

type Fault = (cluster: FakeCluster) => void

/** A day in the life of a controller; `fault` happens at its n-th write. Returns how many writes there were. */
async function live(n: number, fault: Fault): Promise<{ cluster: FakeCluster; writes: number }> {
  const cluster = await FakeCluster.start(4)
  const { zk } = cluster.broker(1)
  let writes = 0
  zk.beforeWrite = () => {
    writes += 1
    if (writes === n) fault(cluster)
  }
  await cluster.createTopic('T', [
    [2, 3, 4],
    [3, 4, 2],
  ])
  await cluster.kill(3)
  await cluster.createTopic('U', [[2, 4]])
  await cluster.join(3)
  const { controller } = cluster
  await controller.alterPartitionReassignments([{ topic: 'U', partition: 0, replicas: [4, 2] }])
  await cluster.settle()
  await cluster.broker(2).retrying.create(ZnodePath.deleteTopic('U'), null)
  await cluster.settle()
  const request = { brokerId: 2, brokerEpoch: cluster.broker(2).epoch }
  const left = await cluster.controller.controlledShutdown(request)
  assert.equal(left.errorCode, ErrorCode.NONE)
  await cluster.settle()
  return { cluster, writes }
}

/** Whatever happened on the way. Epochs may be larger than without faults: a retry may find its own earlier write. */
function check(cluster: FakeCluster, what: string): void {
  assert.equal(cluster.ensemble.text(ZnodePath.topic('U')), null, `${what}: U is deleted`)
  assert.deepEqual(cluster.ensemble.children(ZnodePath.deleteTopics), [], what)
  for (const index of [0, 1]) {
    const state = cluster.state('T', index)!
    assert.equal(state.leader, 4, `${what}: T-${index} is led by the only one in sync`)
    assert.deepEqual(state.isr, [4], what)
    for (const id of [1, 3, 4]) {
      const partition = cluster.broker(id).metadata.partition('T', index)!
      assert.deepEqual(
        [partition.leader, partition.leaderEpoch, partition.isr],
        [state.leader, state.leaderEpoch, state.isr],
        `${what}: broker ${id} knows of T-${index} what ZooKeeper knows`,
      )
    }
  }
}

test('the day goes well without faults', async () => {
  const { cluster, writes } = await live(0, () => {})
  check(cluster, 'no fault')
  assert.ok(writes > 15, `${writes} writes`)
})

for (const executed of [true, false])
  test(`each write loses its answer once, ${executed ? 'after' : 'before'} it was carried out`, async () => {
    const { writes } = await live(0, () => {})
    for (let n = 1; n <= writes; n++) {
      const { cluster } = await live(n, (faulty) => faulty.broker(1).zk.loseNextWrite(executed))
      check(cluster, `write ${n}`)
      assert.equal(cluster.controller.epoch, 1)
    }
  })

test('each write is once the last of its controller: another goes on where it stopped', async () => {
  const { writes } = await live(0, () => {})
  for (let n = 1; n <= writes; n++) {
    const what = `session over at write ${n}`
    const { cluster } = await live(n, (faulty) => {
      const broker = faulty.broker(1)
      faulty.ensemble.expire(broker.zk)
      void broker.controller.onSessionExpired()
      broker.zk.renew()
      void broker.register().then(() => broker.controller.onSessionRenewed())
    }).catch((error: unknown) => assert.fail(`${what}: ${String(error)}`))
    check(cluster, what)
  }
})
