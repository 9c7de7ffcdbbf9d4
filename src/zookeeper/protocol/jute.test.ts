import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter, MalformedBytesError } from '#base'

import { OpCode } from './constants.ts'
import { int, interpretedCodec, ustring, vector, type RecordCodec } from './jute.ts'
import { operations, type RequestOf } from './operations.ts'
import { pathFault } from './paths.ts'
import { ConnectRequest, ConnectResponse, Stat, WatcherEvent } from './records.ts'
import { LoggedTxn } from './transactions.ts'

/** In groups of a primitive each, as one reads them. */
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const joined = (groups: string): string => groups.replaceAll(' ', '')

function roundTrip<T>(codec: RecordCodec<T>, value: T): void {
  assert.deepEqual(codec.decode(codec.encode(value)), value, codec.name)
}

const stat: Stat = {
  czxid: 0x100000001n,
  mzxid: 2n,
  ctime: 1_700_000_000_000,
  mtime: 1,
  version: 3,
  cversion: -1,
  aversion: 0,
  ephemeralOwner: -2n,
  dataLength: 5,
  numChildren: 6,
  pzxid: 7n,
}

test('primitives lie on the wire as jute says', () => {
  const bytes = operations.create.request.encode({
    path: '/ä',
    data: Uint8Array.of(1, 2),
    acl: [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }],
    flags: 1,
  })
  const expected = '00000003 2fc3a4 00000002 0102 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000001'
  assert.equal(hex(bytes), joined(expected))
  assert.equal(hex(WatcherEvent.encode({ type: -1, state: 3, path: '' })), joined('ffffffff 00000003 00000000'))
  assert.equal(Stat.encode(stat).length, 68)
})

test('every record comes back as it went', () => {
  roundTrip(Stat, stat)
  roundTrip(operations.getData.response, { data: null, stat })
  roundTrip(operations.setWatches2.request, {
    relativeZxid: 9n,
    dataWatches: ['/a'],
    existWatches: [],
    childWatches: ['/b', '/c'],
    persistentWatches: [],
    persistentRecursiveWatches: ['/'],
  })
  roundTrip(operations.multi.request, [
    { type: OpCode.create, path: '/a', data: null, acl: [], flags: 0 },
    { type: OpCode.delete, path: '/b', version: -1 },
    { type: OpCode.check, path: '/c', version: 4 },
  ] satisfies RequestOf<'multi'>)
  roundTrip(operations.multi.response, [
    { type: OpCode.create2, path: '/a', stat },
    { type: OpCode.delete },
    { type: OpCode.error, err: -101 },
  ])
  roundTrip(ConnectRequest, {
    protocolVersion: 0,
    lastZxidSeen: 1n,
    timeOut: 4000,
    sessionId: 0n,
    passwd: new Uint8Array(16),
    readOnly: null,
  })
  roundTrip(ConnectResponse, {
    protocolVersion: 0,
    timeOut: 4000,
    sessionId: 1n,
    passwd: new Uint8Array(16),
    readOnly: false,
  })
  roundTrip(LoggedTxn, {
    header: { clientId: 1n, cxid: 2, zxid: 3n, time: 4, type: OpCode.multi },
    txn: {
      type: OpCode.multi,
      txns: [
        { type: OpCode.setData, path: '/a', data: Uint8Array.of(1), version: 2 },
        { type: OpCode.error, err: -2 },
      ],
    },
    digest: { version: 2, treeDigest: -5n },
  })
  roundTrip(LoggedTxn, {
    header: { clientId: 1n, cxid: 2, zxid: 3n, time: 4, type: OpCode.closeSession },
    txn: { type: OpCode.closeSession, paths2Delete: null },
    digest: null,
  })
})

test('the handshake has its trailing flag only where it was given', () => {
  const answer = { protocolVersion: 0, timeOut: 1, sessionId: 1n, passwd: new Uint8Array(16) }
  assert.equal(ConnectResponse.encode({ ...answer, readOnly: null }).length, 36)
  assert.equal(ConnectResponse.encode({ ...answer, readOnly: false }).length, 37)
})

test('a length or a count that lies is refused', () => {
  const text = (length: number): Uint8Array => Uint8Array.of(length >> 24, length >> 16, length >> 8, length, 65)
  assert.throws(() => ustring.read(new ByteReader(text(2))), MalformedBytesError)
  assert.throws(() => ustring.read(new ByteReader(text(-2))), MalformedBytesError)
  assert.throws(() => vector(ustring).read(new ByteReader(text(0x7fffffff))), MalformedBytesError)
  assert.throws(() => vector(int).read(new ByteReader(text(-7))), MalformedBytesError)
  assert.throws(() => operations.multi.request.decode(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0)), MalformedBytesError)
})

test('the interpreter writes what the generated codec writes', () => {
  const interpreted = interpretedCodec<{ type: number; path: string }>(['type', 'path'], [int, ustring] as never)
  const writer = new ByteWriter()
  interpreted.write(writer, { type: 4, path: '/x' })
  const bytes = writer.toBytes()
  assert.equal(hex(bytes), joined('00000004 00000002 2f78'))
  assert.deepEqual(interpreted.read(new ByteReader(bytes)), { type: 4, path: '/x' })
})

test('paths', () => {
  for (const path of ['/', '/a', '/a/b.c', '/a/..b', '/a/...', '/ä/ö', '/.a']) assert.equal(pathFault(path), null, path)
  for (const path of [
    '',
    'a',
    '/a/',
    '//',
    '/a//b',
    '/.',
    '/..',
    '/a/./b',
    '/a/../b',
    '/a/..',
    '/a\u0000',
    '/\u0001',
    '/a\u007f',
    '/\ud83d\ude00',
    '/\uffff',
  ])
    assert.notEqual(pathFault(path), null, JSON.stringify(path))
})
