import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LineSplitter, LineTooLongError } from './lines.ts'

function linesOf(chunks: readonly string[], lineBytesMax = 100): string[] {
  const splitter = new LineSplitter(lineBytesMax)
  const lines: string[] = []
  const add = (line: Uint8Array): void => void lines.push(Buffer.from(line).toString())
  for (const chunk of chunks) {
    splitter.feed(Buffer.from(chunk))
    for (let line = splitter.next(); line !== null; line = splitter.next()) add(line)
  }
  const rest = splitter.rest()
  if (rest !== null) add(rest)
  return lines
}

test('lines are the same however the bytes are cut', () => {
  const rows: [string, string[]][] = [
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\n\nb\r\nlast', ['a', '', 'b\r', 'last']],
    ['ünï\ncode\n', ['ünï', 'code']],
  ]
  for (const [text, expected] of rows) {
    assert.deepEqual(linesOf([text]), expected)
    for (let cut = 0; cut <= text.length; cut++)
      for (let second = cut; second <= text.length; second++)
        assert.deepEqual(linesOf([text.slice(0, cut), text.slice(cut, second), text.slice(second)]), expected)
  }
})

test('a line that never ends is given up', () => {
  assert.deepEqual(linesOf(['12345', '67890\n'], 10), ['1234567890'])
  assert.throws(() => linesOf(['12345', '678901'], 10), LineTooLongError)
})
