import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ZkErrorCode } from '#zookeeper/protocol'

import { RetryingZooKeeper, type ReconnectingZooKeeper } from './retrying.ts'
import { ZkError, ZkMultiError } from './zookeeper.ts'

const OWN = 5n
const FORMER = 4n
const STRANGER = 9n

/** What ZooKeeper answers, call by call: the operation and either an error's name or a value. */
type Script = [operation: string, answer: keyof typeof ZkErrorCode | object | null][]

/** Fails when something else is asked than what the script says, or when something is left. */
function scripted(script: Script): { zk: RetryingZooKeeper; done: () => void } {
  const left = [...script]
  const answer = (operation: string) => async (): Promise<unknown> => {
    const [expected, outcome] = left.shift() ?? ['nothing', null]
    assert.equal(operation, expected)
    if (typeof outcome !== 'string') return outcome
    const code = ZkErrorCode[outcome]
    throw operation === 'multi' && code !== ZkErrorCode.CONNECTIONLOSS
      ? new ZkMultiError([code], 0, '/p')
      : new ZkError(code, '/p')
  }
  const client = {
    sessionId: OWN,
    isFormerSession: (id: bigint) => id === FORMER,
    onSession: () => () => {},
    ...Object.fromEntries(
      ['connected', 'create', 'delete', 'exists', 'getData', 'setData', 'getChildren', 'multi'].map((operation) => [
        operation,
        answer(operation),
      ]),
    ),
  } as unknown as ReconnectingZooKeeper
  return { zk: new RetryingZooKeeper(client), done: () => assert.deepEqual(left, []) }
}

test('a lost connection is waited out, other errors are not', async () => {
  const { zk, done } = scripted([
    ['setData', 'CONNECTIONLOSS'],
    ['connected', null],
    ['setData', 'CONNECTIONLOSS'],
    ['connected', null],
    ['setData', { version: 3 }],
    ['setData', 'BADVERSION'],
  ])
  assert.deepEqual(await zk.setData('/p', null), { version: 3 })
  await assert.rejects(zk.setData('/p', null), { message: 'BADVERSION (/p)' })
  done()
})

test('when the session ends while the connection is away, the request ends with it', async () => {
  const { zk, done } = scripted([
    ['create', 'CONNECTIONLOSS'],
    ['connected', 'SESSIONEXPIRED'],
  ])
  await assert.rejects(zk.create('/p', null), { code: ZkErrorCode.SESSIONEXPIRED })
  done()
})

const created = [{ path: '/p' }, { stat: { czxid: 7n } }]

const EPHEMERALS: readonly [string, Script, object][] = [
  ['is created at once', [['multi', created]], { czxid: 7n }],
  [
    'was created by an attempt whose answer was lost',
    [
      ['multi', 'CONNECTIONLOSS'],
      ['connected', null],
      ['multi', 'NODEEXISTS'],
      ['exists', { ephemeralOwner: OWN, czxid: 6n }],
    ],
    { ephemeralOwner: OWN, czxid: 6n },
  ],
  [
    'is left over from a former session of this client',
    [
      ['multi', 'NODEEXISTS'],
      ['exists', { ephemeralOwner: FORMER, version: 1 }],
      ['delete', null],
      ['multi', created],
    ],
    { czxid: 7n },
  ],
  [
    'vanishes while it is looked at',
    [
      ['multi', 'NODEEXISTS'],
      ['exists', null],
      ['multi', created],
    ],
    { czxid: 7n },
  ],
]

for (const [what, script, stat] of EPHEMERALS)
  test(`an ephemeral znode that ${what} is ours`, async () => {
    const { zk, done } = scripted(script)
    assert.deepEqual(await zk.createEphemeral('/p', new Uint8Array(1)), stat)
    done()
  })

test('an ephemeral znode of somebody else is refused', async () => {
  const { zk, done } = scripted([
    ['multi', 'NODEEXISTS'],
    ['exists', { ephemeralOwner: STRANGER }],
  ])
  await assert.rejects(zk.createEphemeral('/p', new Uint8Array(1)), { code: ZkErrorCode.NODEEXISTS })
  done()
})

const data = new Uint8Array([1, 2])

const UPDATES: readonly [string, Script, object][] = [
  ['on the expected version', [['setData', { version: 4 }]], { kind: 'updated', version: 4 }],
  [
    'whose answer was lost',
    [
      ['setData', 'CONNECTIONLOSS'],
      ['connected', null],
      ['setData', 'BADVERSION'],
      ['getData', { data: new Uint8Array([1, 2]), stat: { version: 4 } }],
    ],
    { kind: 'updated', version: 4 },
  ],
  [
    'after somebody else’s',
    [
      ['setData', 'BADVERSION'],
      ['getData', { data: new Uint8Array([9]), stat: { version: 4 } }],
    ],
    { kind: 'conflict' },
  ],
  ['of nothing', [['setData', 'NONODE']], { kind: 'missing' }],
]

for (const [what, script, expected] of UPDATES)
  test(`a conditional update ${what}`, async () => {
    const { zk, done } = scripted(script)
    assert.deepEqual(await zk.updateConditionally('/p', data, 3), expected)
    done()
  })

test('a path is made with all that is above it', async () => {
  const { zk, done } = scripted([
    ['create', 'NONODE'],
    ['create', 'NONODE'],
    ['create', 'NODEEXISTS'],
    ['create', null],
    ['create', null],
  ])
  assert.equal(await zk.ensurePath('/a/b/c'), true)
  done()
})

test('a tree is deleted from below, whatever appears meanwhile', async () => {
  const { zk, done } = scripted([
    ['getChildren', { children: [] }],
    ['delete', 'NOTEMPTY'],
    ['getChildren', { children: ['x'] }],
    ['getChildren', { children: [] }],
    ['delete', null],
    ['delete', 'NONODE'],
  ])
  await zk.deleteRecursively('/p')
  done()
})
