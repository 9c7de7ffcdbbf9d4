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

test('many lines at once are the same lines, whatever stands before and behind them', () => {
  const texts = ['', '\n', 'a', '\n\n\n\nend', 'abc\ndefg\n\nhijklmnop\nq\rs\n\u010a\u0a0a\n', `${'x\n'.repeat(9000)}y`]
  for (const text of texts) {
    const bytes = Buffer.from(text)
    for (const cuts of [[], [1], [2, 3], [7, 8, 9]]) {
      const splitter = new LineSplitter(100)
      const lines: string[] = []
      let begin = 0
      for (const end of [...cuts, bytes.length]) {
        // In memory of its own that changes afterwards, at each alignment.
        const chunk = Buffer.concat([Buffer.alloc(begin % 4), bytes.subarray(begin, end)]).subarray(begin % 4)
        splitter.feed(chunk)
        for (let run = splitter.nextRun(); run !== null; run = splitter.nextRun())
          for (let index = 0; index < run.count; index++)
            lines.push(Buffer.from(run.bytes.subarray(run.bounds[2 * index], run.bounds[2 * index + 1])).toString())
        chunk.fill(0)
        begin = Math.max(begin, end)
      }
      const rest = splitter.rest()
      if (rest !== null) lines.push(Buffer.from(rest).toString())
      assert.deepEqual(lines, linesOf([text]), JSON.stringify([text.slice(0, 30), cuts]))
    }
  }
})
