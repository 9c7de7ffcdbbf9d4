/** Servers that authenticate each other: the exchange by itself, and connections that wait for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Network, Platform, Socket } from '#platform'
import { World } from '#simulation'

import { QuorumAuthNetwork } from './quorum-auth-network.ts'
import { QuorumAuthLearner, QuorumAuthServer, type QuorumAuth, type QuorumAuthState } from './quorum-auth.ts'
import type { QuorumSasl } from './security.ts'

const USERS = new Map([['zk', 'secret']])
const ELECTION_PORT = 3888
const QUORUM_PORT = 2888

/** Lets both sides speak until nothing is left to say, each in pieces of so many bytes. */
function converse(server: QuorumAuth, learner: QuorumAuth, pieceBytes: number): [QuorumAuthState, QuorumAuthState] {
  let states: [QuorumAuthState, QuorumAuthState] = [{ kind: 'goingOn' }, { kind: 'goingOn' }]
  let [toServer, toLearner]: [Uint8Array[], Uint8Array[]] = [learner.begin(), server.begin()]
  while (toServer.length + toLearner.length > 0) {
    const [forServer, forLearner] = [toServer, toLearner].map((sent) => pieces(sent, pieceBytes))
    toServer = []
    toLearner = []
    for (const piece of forServer!) {
      const { send, state } = server.receive(piece)
      toLearner.push(...send)
      states = [state, states[1]]
    }
    for (const piece of forLearner!) {
      const { send, state } = learner.receive(piece)
      toServer.push(...send)
      states = [states[0], state]
    }
  }
  return states
}

function pieces(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const whole = Buffer.concat(chunks)
  const found: Uint8Array[] = []
  for (let at = 0; at < whole.length; at += bytes) found.push(new Uint8Array(whole.subarray(at, at + bytes)))
  return found
}

const serverOf = (required: boolean): QuorumAuthServer => new QuorumAuthServer({ users: USERS, required, nonce: 'N' })

test('who knows the password is taken, in whatever pieces it says so', () => {
  for (const bytes of [1, 7, 1000]) {
    const learner = new QuorumAuthLearner({ user: 'zk', password: 'secret', cnonce: 'C' })
    const [server, client] = converse(serverOf(true), learner, bytes)
    assert.deepEqual(server, { kind: 'done', user: 'zk', rest: new Uint8Array(0) })
    assert.equal(client.kind, 'done')
  }
})

test('who does not is refused, and told', () => {
  const learner = new QuorumAuthLearner({ user: 'zk', password: 'wrong', cnonce: 'C' })
  const [server, client] = converse(serverOf(true), learner, 1000)
  assert.ok(server.kind === 'refused' && /password of "zk" is wrong/.test(server.reason))
  assert.ok(client.kind === 'refused' && /does not take us as "zk"/.test(client.reason))
})

test('who does not authenticate is refused where that is required, and comes in with all its bytes where not', () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, at) => at)
  assert.equal(serverOf(true).receive(bytes).state.kind, 'refused')
  assert.deepEqual(serverOf(false).receive(bytes).state, { kind: 'done', user: null, rest: bytes })
})

/** What the world's server was told, byte by byte, by a client with this password; and what the client heard. */
async function meet(
  port: number,
  login: string | null,
  required: boolean,
): Promise<{ heard: string; answered: string; closed: boolean }> {
  const world = new World(1)
  const seen = { heard: '', answered: '', closed: false }
  const listener = (sasl: QuorumSasl) => async (platform: Platform) => {
    await networkOf(platform, sasl).listen({
      host: '0.0.0.0',
      port,
      onConnection: (socket) =>
        socket.start({
          onBytes(bytes) {
            seen.heard += Buffer.from(bytes).toString('latin1')
            socket.write([Buffer.from('welcome')])
          },
          onDrain() {},
          onClose() {},
        }),
    })
  }
  const sasl = (authenticates: boolean, password: string): QuorumSasl => ({
    users: USERS,
    login: { user: 'zk', password },
    required,
    authenticates,
  })
  world.process('server').start(listener(sasl(true, 'secret')))
  await world.run(10)
  world.process('client').start(async (platform) => {
    const network = networkOf(platform, sasl(login !== null, login ?? ''))
    const socket: Socket = await network.connect({ host: 'server', port, timeoutMs: 1000 })
    socket.start({
      onBytes: (bytes) => (seen.answered += Buffer.from(bytes).toString('latin1')),
      onDrain() {},
      onClose: () => (seen.closed = true),
    })
    for (const chunk of pieces([greeting(), Buffer.from('votevote')], 5)) socket.write([chunk])
  })
  await world.run(2000)
  return seen
}

function networkOf(platform: Platform, sasl: QuorumSasl): Network {
  return new QuorumAuthNetwork(platform.network, platform, sasl, (_, port) => port === ELECTION_PORT)
}

/** As the election port is greeted: version, id, address. */
function greeting(): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeBigInt64BE(-65536n, 0)
  bytes.writeBigInt64BE(3n, 8)
  bytes.writeInt32BE(12, 16)
  bytes.write('zoo3:3888xyz', 20)
  return bytes
}

test('a connection is its owner’s when the exchange is done, on either port', async () => {
  const whole = `${greeting().toString('latin1')}votevote`
  for (const port of [QUORUM_PORT, ELECTION_PORT]) {
    const met = await meet(port, 'secret', true)
    assert.deepEqual([met.heard, met.answered.slice(0, 7), met.closed], [whole, 'welcome', false], String(port))
    const refused = await meet(port, 'wrong', true)
    assert.deepEqual([refused.heard, refused.closed], ['', true], String(port))
    const silent = await meet(port, null, true)
    assert.deepEqual([silent.heard, silent.closed], ['', true], String(port))
    const lenient = await meet(port, null, false)
    assert.equal(lenient.heard, whole, String(port))
  }
})
