/** The bounds on connections that an operator sets: per address, in all, and idle ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Cluster, Wire, metadata, sleep, until } from '../../peers/index.ts'

const LIMIT = 20

test('max.connections.per.ip: one too many is closed at once, and served when another has gone', async () => {
  await withBroker({ 'max.connections.per.ip': LIMIT }, async (port) => {
    const { served, surplus } = await fill(port)
    await Promise.race([surplus.closed, sleep(5000).then(() => assert.fail('it is still open'))])
    await andThen(port, served)
  })
})

test('max.connections: one too many waits until another has gone', async () => {
  await withBroker({ 'max.connections': LIMIT }, async (port) => {
    const { served, surplus } = await fill(port)
    await andThen(port, served)
    surplus.close()
  })
})

test('connections.max.idle.ms: a connection that says nothing is closed, one that works is not', async () => {
  await withBroker({ 'connections.max.idle.ms': 1500 }, async (port) => {
    const [idle, busy] = [await Wire.connect(port), await Wire.connect(port)]
    await metadata(idle)
    let closed = false
    void idle.closed.then(() => (closed = true))
    await until(
      'the idle one is closed',
      async () => {
        await metadata(busy)
        return closed
      },
      15_000,
      200,
    )
    await metadata(busy)
    busy.close()
  })
})

/** Opens connections until one is not answered. The broker and its controller may hold some of their own. */
async function fill(port: number): Promise<{ served: Wire[]; surplus: Wire }> {
  const served: Wire[] = []
  for (;;) {
    const wire = await Wire.connect(port)
    const answered = await Promise.race([
      metadata(wire).then(
        () => true,
        () => false,
      ),
      sleep(1000).then(() => false),
    ])
    if (!answered) {
      assert.ok(served.length > LIMIT - 5 && served.length <= LIMIT, `${served.length} of ${LIMIT} are served`)
      return { served, surplus: wire }
    }
    served.push(wire)
  }
}

/** Those within the limit are served, and a new one is when one of them has gone. */
async function andThen(port: number, served: Wire[]): Promise<void> {
  for (const wire of served) assert.equal((await metadata(wire)).brokers.length, 1)
  for (const wire of served.splice(0, 2)) wire.close()
  await until('a new one is served', () => Wire.ask(port, async (wire) => (await metadata(wire)).brokers.length === 1))
  for (const wire of served) wire.close()
}

async function withBroker(properties: Record<string, number>, body: (port: number) => Promise<void>): Promise<void> {
  const cluster = await Cluster.start({ brokers: 1, properties })
  try {
    await body(cluster.anyone.port)
  } finally {
    await cluster.close()
  }
}
