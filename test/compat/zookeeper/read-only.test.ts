/** A server that is cut off from its ensemble, and the clients of others that can do with reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Ensemble, javaTool, startPython, until, type Implementation } from '../../peers/index.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import { ZooKeeperClient } from '../../../src/zookeeper/client/index.ts'

// Apache's server takes no session in this mode unless sessions may be local.
const PROPERTIES = { 'readonlymode.enabled': true, localSessionsEnabled: true }

for (const side of ['samsa', 'apache'] as const satisfies readonly Implementation[])
  test(`kazoo and Apache’s shell read from one server of three, and write when there are two: ${side}`, async () => {
    const ensemble = await Ensemble.start({
      servers: [side, side, side],
      properties: PROPERTIES,
      jvm: ['-Dreadonlymode.enabled=true'],
    })
    const [lonely, second, third] = ensemble.servers
    try {
      await write(lonely!.address)
      await Promise.all([second!.kill(), third!.kill()])
      await until('it serves reads', async () => (await lonely!.mode()) === 'read-only')
      assert.equal(await lonely!.word('isro'), 'ro')
      const kazoo = startPython('read_only', [ensemble.connect])
      let said = ''
      kazoo.child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()))
      kazoo.child.stderr!.resume()
      try {
        await until('kazoo has read', () => kazoo.ended !== null || /^refused$/m.test(said))
        const { stdout, stderr } = await javaTool('zookeeper-shell', ['-server', lonely!.address, '-r'], {
          input: 'create /c x\nget /a\n',
        })
        assert.match(stdout, /^one$/m)
        assert.match(stderr, /Not a read-only call: \/c/)
        second!.start()
        await lonely!.serving()
        await until('the ensemble is back', async () => ['leader', 'follower'].includes((await lonely!.mode()) ?? ''))
        kazoo.child.stdin!.write('\n')
        const { code } = await kazoo.exited
        assert.deepEqual([code, said], [0, 'read-only one\nrefused\nread-write True\n'])
      } finally {
        await kazoo.stop('SIGKILL')
      }
    } finally {
      await ensemble.close()
    }
  })

async function write(address: string): Promise<void> {
  const client = await ZooKeeperClient.connect(nodePlatform({ logLevel: 'error' }), {
    connect: address,
    sessionTimeoutMs: 10_000,
  })
  await client.create('/a', new TextEncoder().encode('one'))
  await client.close()
}
