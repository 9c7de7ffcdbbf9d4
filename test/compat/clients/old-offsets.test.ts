/** Offsets the old way, of clients before 0.9: OffsetCommit and OffsetFetch of version 0 keep them in ZooKeeper. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Cluster, Wire, commitOffsetsToZooKeeper, fetchOffsets, runPython } from '../../peers/index.ts'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const OFFSET_METADATA_TOO_LARGE = 12

let cluster: Cluster
let wire: Wire

before(async () => {
  cluster = await Cluster.start({ brokers: 1 })
  await cluster.createTopic({ name: 'old', partitions: 2, replicationFactor: 1 })
  wire = await Wire.connect(cluster.anyone.address)
})

after(async () => {
  wire?.close()
  await cluster?.close()
})

test('what version 0 commits lies in ZooKeeper, and only there', async () => {
  const offsets = [
    { partition: 0, offset: 42, metadata: '' },
    { partition: 1, offset: 7, metadata: 'seven' },
  ]
  assert.deepEqual(await commitOffsetsToZooKeeper(wire, 'elders', 'old', offsets), [
    { partition: 0, error: 0 },
    { partition: 1, error: 0 },
  ])
  assert.deepEqual(await fetchOffsets(wire, 0, 'elders', 'old', [0, 1]), [
    { partition: 0, offset: 42, metadata: '', error: 0 },
    { partition: 1, offset: 7, metadata: '', error: 0 },
  ])
  const { stdout } = await runPython('znode', [cluster.zookeeper!.address, '/consumers/elders/offsets/old/1'])
  assert.equal(stdout, '7\n')
  assert.deepEqual(await cluster.committed('elders', 'old', [0, 1]), [-1, -1], 'the coordinator knows nothing of it')
})

test('a group that committed nothing', async () => {
  assert.deepEqual(await fetchOffsets(wire, 0, 'strangers', 'old', [0]), [
    { partition: 0, offset: -1, metadata: '', error: UNKNOWN_TOPIC_OR_PARTITION },
  ])
})

test('a topic that does not exist, and metadata that is too long', async () => {
  const absent = [{ partition: 0, offset: 1, metadata: '' }]
  assert.deepEqual(await commitOffsetsToZooKeeper(wire, 'elders', 'absent', absent), [
    { partition: 0, error: UNKNOWN_TOPIC_OR_PARTITION },
  ])
  const long = [{ partition: 0, offset: 1, metadata: 'x'.repeat(4097) }]
  assert.deepEqual(await commitOffsetsToZooKeeper(wire, 'elders', 'old', long), [
    { partition: 0, error: OFFSET_METADATA_TOO_LARGE },
  ])
})
