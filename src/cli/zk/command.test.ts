import assert from 'node:assert/strict'
import { test } from 'node:test'

import { UserError } from '../user-error.ts'
import { parseCall, wordsOf, type ShellCommand } from './command.ts'

const LINES: readonly [line: string, words: readonly string[]][] = [
  ['ls  /a ', ['ls', '/a']],
  ['set /a "two words"', ['set', '/a', 'two words']],
  [`set /a '{"x": 1}'`, ['set', '/a', '{"x": 1}']],
  ['set /a {"x":1}', ['set', '/a', '{"x":1}']],
  ['set /a ""', ['set', '/a', '']],
  ['', []],
]

for (const [line, words] of LINES)
  test(`words of: ${line}`, () => {
    assert.deepEqual(wordsOf(line), words)
  })

test('a quote that is not closed is told', () => {
  assert.throws(() => wordsOf('set /a "two words'), /the quote of "two is not closed/)
})

const COMMAND: ShellCommand = {
  name: 'try',
  usage: '[-s] [-w] [-v version] path [data]',
  description: '',
  flags: 'sw',
  values: ['v', 'members'],
  words: [1, 2],
  run: () => undefined,
}

const CALLS: readonly [words: string, read: string][] = [
  ['/a', '/a'],
  ['-s /a', 's /a'],
  ['/a -sw', 's w /a'],
  ['-v 3 /a data -s', 's v=3 /a data'],
  ['-v -1 /a', 'v=-1 /a'],
  ['/a -5', '/a -5'],
  ['-s -- /a -w', 's /a -w'],
  ['--members 1=x /a', 'members=1=x /a'],
]

for (const [words, read] of CALLS)
  test(`options and words of: ${words}`, () => {
    const call = parseCall(COMMAND, words.split(' '))
    const flags = ['s', 'w'].filter((flag) => call.has(flag))
    const values = ['v', 'members'].flatMap((name) => (call.has(name) ? [`${name}=${call.value(name)}`] : []))
    assert.equal([...flags, ...values, ...call.words].join(' '), read)
  })

const MISTAKES: readonly [words: string, message: RegExp][] = [
  ['', /a word is missing: try \[-s\]/],
  ['/a b c', /"c" is one word too many/],
  ['-z /a', /unknown option -z/],
  ['-sz /a', /unknown option -sz/],
  ['/a -v', /-v needs a value/],
]

for (const [words, message] of MISTAKES)
  test(`mistake: ${words}`, () => {
    assert.throws(
      () => parseCall(COMMAND, words === '' ? [] : words.split(' ')),
      (error: Error) => error instanceof UserError && message.test(error.message),
    )
  })
