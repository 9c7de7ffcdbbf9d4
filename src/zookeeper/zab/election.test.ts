import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Election, type ElectionEffect, type ElectionOptions } from './election.ts'
import { decodeNotification, encodeNotification, type Notification } from './notification.ts'
import { hierarchyOf, majorityOf } from './quorum.ts'
import { NO_SID, type PeerState } from './vote.ts'

const THREE: Omit<ElectionOptions, 'sid'> = {
  role: 'participant',
  quorum: majorityOf([1, 2, 3]),
  configText: 'server.1=a:1:2:participant\nversion=0',
  finalizeWaitMs: 50,
  notificationIntervalMinMs: 200,
  notificationIntervalMaxMs: 60_000,
}

/** Server 2 of three, at time 0, with epoch 1 and zxid 0x100000005 unless the row says otherwise. */
function second(more: Partial<ElectionOptions> = {}, zxid = 0x1_0000_0005n, peerEpoch = 1): Election {
  const election = new Election({ ...THREE, sid: 2, ...more })
  election.start({ zxid, peerEpoch }, 0)
  return election
}

/** `leading 3 epoch 1 zxid 5 round 1`, as a message. The upper half of the zxid is the epoch 1. */
function notice(text: string): Notification {
  const [state, leader, , peerEpoch, , zxid, , round, version = '2'] = text.split(' ')
  return {
    state: state as PeerState,
    leader: Number(leader),
    peerEpoch: Number(peerEpoch),
    zxid: zxid === '-1' ? -1n : 0x1_0000_0000n + BigInt(zxid!),
    electionEpoch: Number(round),
    version: Number(version),
    config: null,
  }
}

/** What it did since the last call, shortly. */
function did(election: Election): string[] {
  return election.takeEffects().flatMap((effect: ElectionEffect) => {
    if (effect.type === 'connectAll') return []
    if (effect.type === 'decided') return `${effect.role} ${effect.vote.leader}`
    const { state, leader, zxid, electionEpoch } = effect.notification
    return `to ${effect.to}: ${state} ${leader} zxid ${zxid & 0xffn} round ${electionEpoch}`
  })
}

test('it begins with its own vote', () => {
  assert.deepEqual(did(second()), ['to 1: looking 2 zxid 5 round 1', 'to 3: looking 2 zxid 5 round 1'])
})

test('votes of the same round', () => {
  const rows: [string, string, string[]][] = [
    [
      'newer epoch',
      'looking 1 epoch 2 zxid 1 round 1',
      ['to 1: looking 1 zxid 1 round 1', 'to 3: looking 1 zxid 1 round 1'],
    ],
    [
      'longer log',
      'looking 1 epoch 1 zxid 6 round 1',
      ['to 1: looking 1 zxid 6 round 1', 'to 3: looking 1 zxid 6 round 1'],
    ],
    [
      'larger id',
      'looking 3 epoch 1 zxid 5 round 1',
      ['to 1: looking 3 zxid 5 round 1', 'to 3: looking 3 zxid 5 round 1'],
    ],
    ['smaller id', 'looking 1 epoch 1 zxid 5 round 1', ['to 1: looking 2 zxid 5 round 1']],
    ['shorter log', 'looking 3 epoch 1 zxid 4 round 1', ['to 1: looking 2 zxid 5 round 1']],
    ['older epoch, longer log', 'looking 3 epoch 0 zxid 9 round 1', ['to 1: looking 2 zxid 5 round 1']],
    ['nobody known', 'looking 9 epoch 7 zxid 9 round 1', []],
    ['a server without data', 'looking 3 epoch 1 zxid -1 round 1', []],
    ['an observer in office', 'observing 3 epoch 1 zxid 9 round 1', []],
  ]
  for (const [what, vote, expected] of rows) {
    const election = second()
    did(election)
    election.onNotification(1, notice(vote), 10)
    assert.deepEqual(did(election), expected, what)
    assert.equal(election.state, 'looking', what)
  }
})

test('who is new in the round, or votes for a worse server, is told; who agrees is not', () => {
  const election = second({ quorum: majorityOf([1, 2, 3, 4, 5]) })
  const rows: [string, string[]][] = [
    ['looking 2 epoch 1 zxid 5 round 1', ['to 1: looking 2 zxid 5 round 1']],
    ['looking 2 epoch 1 zxid 5 round 1', []],
    ['looking 1 epoch 1 zxid 5 round 1', ['to 1: looking 2 zxid 5 round 1']],
    ['looking 1 epoch 1 zxid 5 round 1', ['to 1: looking 2 zxid 5 round 1']],
  ]
  did(election)
  for (const [vote, expected] of rows) {
    election.onNotification(1, notice(vote), 10)
    assert.deepEqual(did(election), expected, vote)
  }
})

test('rounds: a later one is joined with the better of both votes, an earlier one is told', () => {
  const election = second()
  did(election)
  election.onNotification(1, notice('looking 1 epoch 1 zxid 4 round 7'), 10)
  assert.deepEqual(did(election), ['to 1: looking 2 zxid 5 round 7', 'to 3: looking 2 zxid 5 round 7'])
  election.onNotification(3, notice('looking 3 epoch 1 zxid 9 round 6'), 20)
  assert.deepEqual(did(election), ['to 3: looking 2 zxid 5 round 7'])
  election.onNotification(3, notice('looking 3 epoch 1 zxid 9 round 8'), 30)
  assert.deepEqual(did(election), ['to 1: looking 3 zxid 9 round 8', 'to 3: looking 3 zxid 9 round 8'])
})

test('with a quorum it waits for a better vote, with everyone heard it does not', () => {
  const election = second()
  did(election)
  election.onNotification(1, notice('looking 2 epoch 1 zxid 5 round 1'), 10)
  assert.deepEqual([did(election), election.nextTickMs], [['to 1: looking 2 zxid 5 round 1'], 60])
  election.onTick(59)
  assert.deepEqual(did(election), [])
  election.onTick(60)
  assert.deepEqual([did(election), election.nextTickMs], [['leading 2'], null])

  const another = second()
  did(another)
  another.onNotification(1, notice('looking 2 epoch 1 zxid 5 round 1'), 10)
  did(another)
  another.onNotification(3, notice('looking 3 epoch 1 zxid 4 round 1'), 20)
  assert.deepEqual(did(another), ['to 3: looking 2 zxid 5 round 1', 'leading 2'])
})

test('a better vote in the last moment', () => {
  const election = second({ quorum: majorityOf([1, 2, 3, 4, 5]) })
  election.onNotification(1, notice('looking 2 epoch 1 zxid 5 round 1'), 10)
  election.onNotification(3, notice('looking 2 epoch 1 zxid 5 round 1'), 20)
  assert.equal(election.nextTickMs, 70)
  did(election)
  election.onNotification(4, notice('looking 4 epoch 1 zxid 5 round 1'), 60)
  assert.equal(did(election)[0], 'to 1: looking 4 zxid 5 round 1')
  election.onTick(70)
  assert.equal(election.state, 'looking')
  election.onNotification(1, notice('looking 4 epoch 1 zxid 5 round 1'), 80)
  election.onTick(130)
  assert.deepEqual(did(election), ['following 4'])
})

test('a vote of a later round that is no better does not undo what is all but decided: it is answered from office', () => {
  const election = second()
  election.onNotification(1, notice('looking 2 epoch 1 zxid 5 round 1'), 10)
  did(election)
  election.onNotification(3, notice('looking 3 epoch 1 zxid 4 round 5'), 20)
  election.onTick(60)
  assert.deepEqual(did(election), ['leading 2', 'to 3: leading 2 zxid 5 round 1'])
})

test('it asks again after 200 ms, 400 ms, … and at most every minute, and looks for connections every second', () => {
  const election = second()
  const asked: number[] = []
  const looked: number[] = []
  for (let nowMs = 0; nowMs < 240_000; nowMs = election.nextTickMs!) {
    election.onTick(nowMs)
    const effects = election.takeEffects().map(({ type }) => type)
    if (effects.includes('send')) asked.push(nowMs)
    if (effects.includes('connectAll')) looked.push(nowMs)
  }
  const pauses = asked.map((atMs, index) => atMs - (asked[index - 1] ?? 0))
  assert.deepEqual(pauses, [0, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
  assert.equal(looked.length, 240)
})

test('servers in office are joined when a quorum and the leader itself say so', () => {
  const rows: [string, string[], string[]][] = [
    ['same round', ['following 3 epoch 1 zxid 5 round 1', 'leading 3 epoch 1 zxid 5 round 1'], ['following 3']],
    [
      'the leader first',
      ['', 'leading 3 epoch 1 zxid 5 round 1', 'following 3 epoch 1 zxid 5 round 1'],
      ['following 3'],
    ],
    ['another round', ['following 3 epoch 2 zxid 5 round 9', 'leading 3 epoch 2 zxid 7 round 8'], ['following 3']],
    ['epochs differ', ['following 3 epoch 1 zxid 5 round 9', 'leading 3 epoch 2 zxid 5 round 9'], []],
    [
      'an old server knows no epoch',
      ['following 3 epoch 1 zxid 5 round 9 0', 'leading 3 epoch 2 zxid 5 round 9'],
      ['following 3'],
    ],
    ['the leader is silent', ['following 3 epoch 1 zxid 5 round 9'], []],
    ['the leader is looking', ['following 3 epoch 1 zxid 5 round 9', 'following 3 epoch 1 zxid 5 round 9'], []],
    ['one who leads alone', ['', 'leading 3 epoch 1 zxid 5 round 9'], []],
  ]
  for (const [what, votes, expected] of rows) {
    const election = second()
    did(election)
    const senders = what === 'the leader first' ? [1, 3, 1] : [1, 3]
    votes.forEach((vote, index) => vote !== '' && election.onNotification(senders[index]!, notice(vote), 10))
    assert.deepEqual(did(election), expected, what)
  }
})

test('a server that the others follow leads in the round in which it is looking, and in no other', () => {
  for (const round of [1, 2]) {
    const election = second()
    did(election)
    election.onNotification(1, notice(`following 2 epoch 1 zxid 5 round ${round}`), 10)
    election.onNotification(3, notice(`following 2 epoch 1 zxid 5 round ${round}`), 10)
    assert.deepEqual(did(election), round === 1 ? ['leading 2'] : [])
  }
})

test('in office it answers whoever is looking, with the epoch of its leader', () => {
  const election = second()
  election.onNotification(1, notice('looking 2 epoch 1 zxid 5 round 1'), 10)
  election.onTick(60)
  election.epochEstablished(4)
  election.takeEffects()
  election.onNotification(1, notice('following 2 epoch 1 zxid 5 round 1'), 70)
  assert.deepEqual(did(election), [])
  election.onNotification(3, notice('looking 3 epoch 1 zxid 9 round 5'), 80)
  const [effect] = election.takeEffects()
  assert.ok(effect?.type === 'send')
  assert.deepEqual(
    [effect.to, effect.notification.state, effect.notification.leader, effect.notification.peerEpoch],
    [3, 'leading', 2, 4],
  )
})

test('a new election is a new round', () => {
  const election = second()
  election.onNotification(1, notice('looking 2 epoch 1 zxid 5 round 1'), 10)
  election.onTick(60)
  did(election)
  election.start({ zxid: 0x1_0000_0008n, peerEpoch: 1 }, 1000)
  assert.deepEqual(did(election), ['to 1: looking 2 zxid 8 round 2', 'to 3: looking 2 zxid 8 round 2'])
})

test('observers take the side of the voters, and their own word does not count', () => {
  const observer = second({ sid: 7, role: 'observer' })
  const [first] = observer.takeEffects()
  assert.ok(first?.type === 'send' && first.notification.leader === NO_SID && first.notification.zxid < 0n)
  observer.onNotification(1, notice('looking 3 epoch 1 zxid 5 round 4'), 10)
  observer.onNotification(3, notice('looking 3 epoch 1 zxid 5 round 4'), 20)
  assert.equal(observer.state, 'looking')
  observer.onTick(70)
  assert.ok(did(observer).includes('observing 3'))

  const voter = second()
  did(voter)
  voter.onNotification(7, { ...notice('looking 3 epoch 9 zxid 9 round 9'), leader: NO_SID }, 10)
  assert.deepEqual(did(voter), ['to 7: looking 2 zxid 5 round 1'])
  voter.onNotification(7, notice('observing 3 epoch 9 zxid 9 round 9'), 10)
  assert.deepEqual(did(voter), [])
})

test('without a vote of its own: no data, no weight, no others', () => {
  const empty = second({}, -1n)
  did(empty)
  empty.onNotification(1, notice('looking 1 epoch 1 zxid 5 round 1'), 10)
  assert.deepEqual(did(empty), [])

  const light = second({ quorum: hierarchyOf([[1, 2, 3]], new Map([[3, 0]])) })
  did(light)
  for (const expected of [['to 3: looking 2 zxid 5 round 1'], []]) {
    light.onNotification(3, notice('looking 3 epoch 9 zxid 9 round 1'), 10)
    assert.deepEqual(did(light), expected, 'they would never end')
  }

  const alone = second({ quorum: majorityOf([2]) })
  assert.deepEqual(did(alone), ['leading 2'])
})

test('what arrives before the first start is not believed', () => {
  const election = new Election({ ...THREE, sid: 2 })
  election.onNotification(1, notice('looking 1 epoch 1 zxid 5 round 1'), 0)
  assert.deepEqual([did(election), election.nextTickMs], [[], null])
})

test('the message, byte for byte, and its older forms', () => {
  const said = { ...notice('leading 3 epoch 1 zxid 5 round 9'), config: 'version=0' }
  const bytes = encodeNotification(said)
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '00000002' +
      '0000000000000003' +
      '0000000100000005' +
      '0000000000000009' +
      '0000000000000001' +
      '00000002' +
      '00000009' +
      Buffer.from('version=0').toString('hex'),
  )
  assert.deepEqual(decodeNotification(bytes), said)
  assert.deepEqual(decodeNotification(bytes.subarray(0, 28)), { ...said, peerEpoch: 1, version: 0, config: null })
  assert.deepEqual(decodeNotification(bytes.subarray(0, 40)), { ...said, version: 0, config: null })
  const first = bytes.slice(0, 44)
  first[39] = 1
  assert.deepEqual(decodeNotification(first), { ...said, version: 1, config: null })
  for (const end of [0, 27, 30, 36, 43, bytes.length - 1])
    assert.throws(() => decodeNotification(bytes.subarray(0, end)), { name: 'MalformedBytesError' })
  const lies = bytes.slice()
  lies.fill(0x7f, 20, 28)
  assert.throws(() => decodeNotification(lies), /as the number of/)
  const unknown = bytes.slice()
  unknown[3] = 9
  assert.throws(() => decodeNotification(unknown), /a server in state 9/)
})
