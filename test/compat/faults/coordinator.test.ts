/** The coordinator of a group is killed: what the group committed is still there, and the group goes on. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Cluster, ToolServer, Wire, coordinatorOf, until } from '../../peers/index.ts'

let cluster: Cluster
let tools: ToolServer

before(async () => {
  tools = new ToolServer()
  cluster = await Cluster.start({ brokers: 3 })
})

after(async () => {
  await tools?.close()
  await cluster?.close()
})

test('commits survive the death of the coordinator', async () => {
  await cluster.createTopic({ name: 'topic', partitions: 1, replicationFactor: 3 })
  const bootstrap = ['--bootstrap-server', cluster.bootstrap, '--topic', 'topic']
  const values = Array.from({ length: 10 }, (_, index) => `${index}\n`)
  await tools.run('kafka-console-producer', bootstrap, { input: values.join('') })
  const consume = [...bootstrap, '--group', 'survivors', '--from-beginning', '--max-messages']
  assert.equal((await tools.run('kafka-console-consumer', [...consume, '4'])).stdout, '0\n1\n2\n3\n')
  assert.deepEqual(await cluster.committed('survivors', 'topic', [0]), [4])

  const coordinator = await Wire.ask(cluster.anyone.address, (wire) => coordinatorOf(wire, 'survivors'))
  const victim = cluster.byId(coordinator.id)
  await victim.kill()
  await until(
    'another broker coordinates the group',
    async () => {
      const { error, id } = await Wire.ask(cluster.anyone.address, (wire) => coordinatorOf(wire, 'survivors'))
      return error === 0 && id !== coordinator.id
    },
    30_000,
  )
  await until(
    'the new coordinator has loaded the group',
    async () => (await cluster.committed('survivors', 'topic', [0]))[0] === 4,
    20_000,
  )
  const rest = await tools.run('kafka-console-consumer', [...consume, '6'])
  assert.equal(rest.stdout, '4\n5\n6\n7\n8\n9\n')
})
