import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseServerProperties, type BrokerTexts } from './broker-config.ts'
import { threadCountFault } from './thread-counts.ts'

function textsWith(settings: Record<string, string>): BrokerTexts {
  const { texts } = parseServerProperties('broker.id=1\nlog.dirs=/data\nzookeeper.connect=zookeeper:2181')
  return { ...texts, perBroker: new Map(Object.entries(settings)) }
}

test('threads become at most twice as many in one step, at least half as many, and never none', () => {
  const fault = (name: string, text: string): string | null =>
    threadCountFault(textsWith({}), textsWith({ [name]: text }))
  for (const text of ['4', '8', '16']) assert.equal(fault('num.io.threads', text), null)
  assert.equal(
    fault('num.io.threads', '17'),
    'num.io.threads: 17 is not possible while the broker runs with 8; expected 4 to 16',
  )
  assert.match(fault('num.io.threads', '3')!, /expected 4 to 16/)
  assert.match(fault('log.cleaner.threads', '0')!, /expected 1 to 2/)
  assert.equal(fault('log.cleaner.threads', '2'), null)
})

test('what a broker has already does not keep it from another change', () => {
  const present = textsWith({ 'log.cleaner.threads': '0' })
  assert.equal(threadCountFault(present, textsWith({ 'log.cleaner.threads': '0', 'num.io.threads': '9' })), null)
})
