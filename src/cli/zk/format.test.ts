import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ZkError, ZkErrorCode } from '#zookeeper/client'

import {
  dataJson,
  formatAcl,
  formatError,
  formatEvent,
  formatStat,
  hex,
  hexDump,
  parseAcls,
  statJson,
} from './format.ts'
import { formatTrack, parseTrack } from './quotas.ts'

const STAT = {
  czxid: 0x100000002n,
  mzxid: 3n,
  ctime: 0,
  mtime: 1_000,
  version: 1,
  cversion: 2,
  aversion: 0,
  ephemeralOwner: -1n,
  dataLength: 5,
  numChildren: 0,
  pzxid: 2n,
}

test('a stat is written as zkCli writes it', () => {
  const lines = formatStat(STAT).split('\n')
  assert.match(lines[1]!, /^ctime = [A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [\w+:-]+ \d{4}$/)
  assert.deepEqual(
    lines.filter((line) => !/^[cm]time/.test(line)),
    [
      'cZxid = 0x100000002',
      'mZxid = 0x3',
      'pZxid = 0x2',
      'cversion = 2',
      'dataVersion = 1',
      'aclVersion = 0',
      'ephemeralOwner = 0xffffffffffffffff',
      'dataLength = 5',
      'numChildren = 0',
    ],
  )
  assert.equal(statJson(STAT)['mtime'], '1970-01-01T00:00:01.000Z')
})

const ACLS: readonly [text: string, shown: string][] = [
  ['world:anyone:cdrwa', "'world,'anyone\n: cdrwa"],
  ['digest:bob:secret:hash=:rw', "'digest,'bob:secret:hash=\n: rw"],
  ['ip:::1:awr', "'ip,'::1\n: rwa"],
  ['auth::c', "'auth,'\n: c"],
]

for (const [text, shown] of ACLS)
  test(`ACL ${text}`, () => {
    assert.equal(parseAcls(text).map(formatAcl).join('\n'), shown)
  })

test('several ACLs have commas between them; what is none is refused', () => {
  assert.equal(parseAcls('world:anyone:r,ip:10.0.0.0/8:cdrwa').length, 2)
  for (const wrong of ['', 'foo', 'world:anyone', 'world:anyone:x', 'world:anyone:r,'])
    assert.throws(() => parseAcls(wrong))
})

test('bytes are shown as Netty draws them', () => {
  assert.equal(hexDump(new Uint8Array(0)), '')
  const [, , , first, second] = hexDump(new TextEncoder().encode('0123456789abcdef\n~')).split('\n')
  assert.equal(first, '|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|')
  assert.equal(second, `|00000010| 0a 7e ${' '.repeat(42)}|.~${' '.repeat(14)}|`)
})

test('data is text in JSON where it is text', () => {
  assert.deepEqual(dataJson(null), { data: null })
  assert.deepEqual(dataJson(new TextEncoder().encode('가')), { data: '가' })
  assert.deepEqual(dataJson(new Uint8Array([0xff])), { data: '/w==', encoding: 'base64' })
})

test('errors and events have their words', () => {
  assert.equal(formatError(new ZkError(ZkErrorCode.NONODE, '/a')), 'Node does not exist: /a')
  assert.equal(formatError(new ZkError(ZkErrorCode.NOWATCHER, '/a')), 'KeeperErrorCode = No such watcher for /a')
  assert.equal(
    formatEvent({ kind: 'childrenChanged', path: '/a', zxid: 17n }),
    '\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeChildrenChanged path:/a zxid: 17',
  )
  assert.equal(hex(255n), '0xff')
})

test('a quota is read from any order and written with the limits that old parsers know in front', () => {
  const track = parseTrack('byteHardLimit=7;count=5,bytes=-1=;countHardLimit=9')
  assert.equal(formatTrack(track), 'count=5,bytes=-1=;byteHardLimit=7;countHardLimit=9')
  assert.equal(formatTrack(parseTrack('count=2,bytes=17')), 'count=2,bytes=17')
})
