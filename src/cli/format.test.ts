import assert from 'node:assert/strict'
import { test } from 'node:test'

import { jsonFormat, parseFormat, type PrintableRecord, type RecordFormat } from './format.ts'
import { OutputBuffer } from './output-buffer.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const FIELDS = {
  topic: 'orders',
  partition: 3,
  offset: 9_007_199_254_740_991,
  timestampExact: 1_700_000_000_123n,
  key: bytes('Öl'),
  value: bytes('5 l'),
  headers: [
    { key: 'a', value: bytes('1') },
    { key: 'b', value: null },
  ],
}
function recordWith(changed: Partial<PrintableRecord>): PrintableRecord {
  const fields = { ...FIELDS, ...changed }
  return {
    ...fields,
    valueBytes: fields.value?.length ?? -1,
    copyValue: (target, at) => target.set(fields.value!, at),
  }
}

const RECORD = recordWith({})
const EMPTY = recordWith({ timestampExact: -1n, key: null, value: null, headers: [] })

function printed(format: RecordFormat, record: PrintableRecord): string {
  const out = new OutputBuffer(1)
  format(record, out)
  return Buffer.from(out.contents).toString('latin1')
}

test('each field and each escape', () => {
  const rows: [format: string, record: PrintableRecord, expected: string][] = [
    ['%s\\n', RECORD, '5 l\n'],
    ['%k:%s', RECORD, `${Buffer.from('Öl').toString('latin1')}:5 l`],
    ['%K %S', RECORD, '3 3'],
    ['%t[%p]@%o %T', RECORD, 'orders[3]@9007199254740991 1700000000123'],
    ['%h', RECORD, 'a=1,b='],
    ['%R', RECORD, '\0\0\0\x03'],
    ['100%% %%s', RECORD, '100% %s'],
    ['%k%s%h', EMPTY, ''],
    ['%K %S %T', EMPTY, '-1 -1 -1'],
    ['%R', EMPTY, '\xff\xff\xff\xff'],
    ['a\\tb\\r\\\\n\\q', RECORD, 'a\tb\r\\nq'],
    ['\\x1e\\x1F\\xA', RECORD, '\x1e\x1f\n'],
    ['\\65\\0101\\00', RECORD, 'AA\0'],
    ['\\xff', RECORD, '\xff'],
    ['\\%s', RECORD, '%s'],
    ['line\nend\\', RECORD, 'line\nend\\'],
    ['', RECORD, ''],
  ]
  for (const [format, record, expected] of rows) assert.equal(printed(parseFormat(format), record), expected, format)
})

test('a text stands for null where there is one, and not for what is empty', () => {
  const format = parseFormat('%k|%s|%h', { nullText: 'NULL' })
  assert.equal(printed(format, EMPTY), 'NULL|NULL|')
  assert.equal(printed(format, recordWith({ key: bytes(''), value: bytes('') })), '||a=1,b=NULL')
})

test('a format that is none is refused', () => {
  for (const format of ['%x', 'a%', '%', '%ü', '\\999', '\\0777']) assert.throws(() => parseFormat(format), /--format/)
})

test('JSON keeps null, empty and bytes that are no text apart', () => {
  const record = recordWith({ offset: 7, key: bytes(''), value: Uint8Array.of(0xff, 0) })
  assert.deepEqual(JSON.parse(printed(jsonFormat, record)), {
    topic: 'orders',
    partition: 3,
    offset: 7,
    timestamp: 1_700_000_000_123,
    key: '',
    value: { base64: '/wA=' },
    headers: [
      { key: 'a', value: '1' },
      { key: 'b', value: null },
    ],
  })
  assert.ok(printed(jsonFormat, EMPTY).endsWith('\n'))
})
