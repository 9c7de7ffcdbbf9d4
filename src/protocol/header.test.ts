import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteReader, ByteWriter, MalformedBytesError } from '#base'

import {
  ApiKey,
  type RequestHeader,
  decodeRequestHeader,
  decodeResponseHeader,
  encodeRequestHeader,
  encodeResponseHeader,
} from '#protocol'

const REQUESTS: { what: string; header: RequestHeader; bytes: string }[] = [
  { what: 'version 1', header: header(ApiKey.Fetch, 11, 'ab'), bytes: '0001 000b 00000007 0002 6162' },
  { what: 'version 1 without a client id', header: header(ApiKey.Fetch, 4, null), bytes: '0001 0004 00000007 ffff' },
  {
    what: 'version 2: the client id keeps its int16',
    header: header(ApiKey.Fetch, 12, 'ab'),
    bytes: '0001 000c 00000007 0002 6162 00',
  },
  {
    what: 'ControlledShutdown v0 has no client id',
    header: header(ApiKey.ControlledShutdown, 0, null),
    bytes: '0007 0000 00000007',
  },
  {
    what: 'ControlledShutdown v1 has one',
    header: header(ApiKey.ControlledShutdown, 1, null),
    bytes: '0007 0001 00000007 ffff',
  },
  { what: 'ApiVersions v3', header: header(ApiKey.ApiVersions, 3, 'a'), bytes: '0012 0003 00000007 0001 61 00' },
  { what: 'a version to come', header: header(ApiKey.ApiVersions, 99, 'a'), bytes: '0012 0063 00000007 0001 61 00' },
  { what: 'a negative version', header: header(ApiKey.Produce, -1, 'a'), bytes: '0000 ffff 00000007 0001 61' },
]

for (const { what, header, bytes } of REQUESTS)
  test(`request header: ${what}`, () => {
    const writer = new ByteWriter()
    encodeRequestHeader(writer, header)
    assert.deepEqual(writer.toBytes(), fromHex(bytes))
    const reader = new ByteReader(fromHex(`${bytes} 55`))
    assert.deepEqual(decodeRequestHeader(reader), header)
    assert.equal(reader.remaining, 1)
  })

test('the tags of a request header are passed over', () => {
  const reader = new ByteReader(fromHex('0001 000c 00000007 ffff 01 00 02 aaaa'))
  assert.deepEqual(decodeRequestHeader(reader), header(ApiKey.Fetch, 12, null))
  assert.equal(reader.remaining, 0)
})

test('a request header that lies is refused', () => {
  for (const bytes of ['', '0001', '0001 000c 00000007', '0001 000b 00000007 fffe', '0001 000b 00000007 0009 61'])
    assert.throws(() => decodeRequestHeader(new ByteReader(fromHex(bytes))), MalformedBytesError)
  for (const key of ['ffff', '7fff', '0034'])
    assert.throws(() => decodeRequestHeader(new ByteReader(fromHex(`${key} 0000 00000007 ffff`))), /there is no API/)
})

const RESPONSES: [what: string, apiKey: number, apiVersion: number, bytes: string][] = [
  ['version 0', ApiKey.Fetch, 11, '00000007'],
  ['version 1', ApiKey.Fetch, 12, '00000007 00'],
  ['ApiVersions always has version 0', ApiKey.ApiVersions, 3, '00000007'],
  ['SaslHandshake is never flexible', ApiKey.SaslHandshake, 1, '00000007'],
]

for (const [what, apiKey, apiVersion, bytes] of RESPONSES)
  test(`response header: ${what}`, () => {
    const writer = new ByteWriter()
    encodeResponseHeader(writer, apiKey, apiVersion, 7)
    assert.deepEqual(writer.toBytes(), fromHex(bytes))
    assert.deepEqual(decodeResponseHeader(new ByteReader(fromHex(bytes)), apiKey, apiVersion), { correlationId: 7 })
  })

function header(apiKey: number, apiVersion: number, clientId: string | null): RequestHeader {
  return { apiKey, apiVersion, correlationId: 7, clientId }
}

function fromHex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replaceAll(' ', ''), 'hex'))
}
