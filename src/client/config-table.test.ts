import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dottedName, resolveConfig } from './config-table.ts'
import { consumerSettings, producerSettings } from './config.ts'
import { ConfigError } from './errors.ts'

const bootstrapServers = ['a:1', 'b:2']

test('defaults are Kafka’s, and names are Kafka’s with dots', () => {
  const config = resolveConfig(producerSettings, { bootstrapServers }, 'producer')
  assert.equal(config.bufferMemory, 33_554_432)
  assert.equal(config.acks, 'all')
  assert.equal(config.deliveryTimeoutMs, 120_000)
  assert.equal(dottedName('maxInFlightRequestsPerConnection'), 'max.in.flight.requests.per.connection')
})

test('values come as themselves or as text, under either name', () => {
  const given = { 'bootstrap.servers': 'a:1, b:2', 'batch.size': '100', enableIdempotence: 'false', acks: '1' }
  const config = resolveConfig(producerSettings, given as never, 'producer')
  assert.deepEqual(config.bootstrapServers, bootstrapServers)
  assert.equal(config.batchSize, 100)
  assert.equal(config.enableIdempotence, false)
  assert.equal(config.acks, 1)
})

test('what is wrong is named', () => {
  const refused: [object, RegExp][] = [
    [{}, /bootstrapServers is required/],
    [{ bootstrapServers: [] }, /bootstrapServers is of type Array, and must be a list/],
    [{ bootstrapServers, batchSize: 1.5 }, /batchSize is 1.5, and must be a whole number of at least 0/],
    [{ bootstrapServers, batchSize: '' }, /batchSize is "", and must be/],
    [{ bootstrapServers, acks: 2 }, /acks is 2, and must be one of all, 0, 1/],
    [{ bootstrapServers, compressionType: 'toString' }, /compressionType is "toString"/],
    [{ bootstrapServers, partitioner: 'x' }, /partitioner is "x", and must be "default"/],
    [{ bootstrapServers, 'batch.sizes': 1 }, /unknown producer setting "batch.sizes"$/],
    [{ bootstrapServers, batchsize: 1 }, /did you mean batchSize \(batch\.size\)\?/],
  ]
  for (const [given, message] of refused)
    assert.throws(
      () => resolveConfig(producerSettings, given as never, 'producer'),
      (error: Error) => error instanceof ConfigError && message.test(error.message),
      String(message),
    )
})

test('every setting can be documented', () => {
  for (const [key, setting] of Object.entries({ ...producerSettings, ...consumerSettings })) {
    assert.match(setting.doc, /\.$/, key)
    assert.ok(setting.valid.length > 0 && setting.type.length > 0, key)
    if (!setting.required) assert.notEqual(setting.default, undefined, key)
  }
})
