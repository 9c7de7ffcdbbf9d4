import assert from 'node:assert/strict'
import { test } from 'node:test'

import { lineReader, type LineOptions } from './produce-line.ts'

const PLAIN: LineOptions = { keyDelimiter: null, headers: [], partition: undefined, emptyIsNull: false }

function textOf(content: unknown): unknown {
  return content instanceof Uint8Array ? Buffer.from(content).toString() : content
}

test('a line is key and value', () => {
  const keyed = { ...PLAIN, keyDelimiter: ':' }
  const rows: [options: LineOptions, line: string, key: string | null, value: string | null][] = [
    [PLAIN, 'a:b', null, 'a:b'],
    [PLAIN, '', null, ''],
    [keyed, 'a:b:c', 'a', 'b:c'],
    [keyed, 'no key', null, 'no key'],
    [keyed, ':b', '', 'b'],
    [keyed, 'a:', 'a', ''],
    [{ ...keyed, emptyIsNull: true }, 'a:', 'a', null],
    [{ ...keyed, emptyIsNull: true }, ':b', null, 'b'],
    [{ ...keyed, keyDelimiter: ' → ' }, 'ä → ö', 'ä', 'ö'],
  ]
  for (const [options, line, key, value] of rows) {
    const record = lineReader(options)(Buffer.from(line))
    assert.deepEqual([textOf(record.key), textOf(record.value)], [key, value], line)
  }
})

test('headers and partition are those of every record', () => {
  const read = lineReader({ ...PLAIN, headers: ['a=1=2', 'b', 'c='], partition: 2 })
  const { headers, partition } = read(Buffer.from('x'))
  assert.equal(partition, 2)
  assert.deepEqual(headers, [
    { key: 'a', value: '1=2' },
    { key: 'b', value: null },
    { key: 'c', value: '' },
  ])
  assert.equal(lineReader(PLAIN)(Buffer.from('x')).partition, undefined)
})
