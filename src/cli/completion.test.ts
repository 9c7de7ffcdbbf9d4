import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'

import { Argument, Command, Option } from 'commander'

import { completionScript } from './completion.ts'

function tree(): Command {
  const tool = new Command('tool')
  const topics = tool.command('topics').description("what's [there]")
  topics
    .command('create')
    .description('Make: some')
    .option('-b, --brokers <host:port>', 'who')
    .option('--json', 'as JSON')
  topics.command('list').description('List')
  tool
    .command('send')
    .description('Send')
    .argument('<file>')
    .addOption(new Option('-z, --codec <codec>', 'how').choices(['none', 'zstd']))
  tool.addCommand(new Command('completion').addArgument(new Argument('<shell>').choices(['bash', 'zsh'])))
  return tool
}

/** What bash offers for the last of these words. */
function offered(...words: string[]): string[] {
  const script = `${completionScript(tree(), 'bash')}
COMP_WORDS=(tool "$@"); COMP_CWORD=$#; _tool; printf '%s\\n' "\${COMPREPLY[@]}"`
  const output = execFileSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' })
  return output.split('\n').filter((word) => word !== '')
}

const hasBash = spawnSync('bash', ['-c', ':']).status === 0

test('bash completes commands, options and values', { skip: !hasBash }, () => {
  const rows: [words: string[], expected: string[]][] = [
    [[''], ['topics', 'send', 'completion', 'help', '-h', '--help']],
    [['to'], ['topics']],
    [
      ['topics', ''],
      ['create', 'list', 'help', '-h', '--help'],
    ],
    [
      ['topics', 'create', 'orders', '--'],
      ['--brokers', '--json', '--help'],
    ],
    [['topics', 'create', '-b', ''], []],
    [['topics', 'create', '-b', 'h:1', '--j'], ['--json']],
    [
      ['send', '--codec', ''],
      ['none', 'zstd'],
    ],
    [['send', '-z', 'z'], ['zstd']],
    [['completion', 'z'], ['zsh']],
    [['nonsense', 'to'], ['topics']],
  ]
  for (const [words, expected] of rows) assert.deepEqual(offered(...words), expected, words.join(' '))
})

test('zsh gets a function per command, with what its own syntax means escaped', () => {
  const script = completionScript(tree(), 'zsh')
  for (const name of ['_tool', '_tool_topics', '_tool_topics_create', '_tool_send'])
    assert.match(script, new RegExp(`^${name}\\(\\) \\{$`, 'm'))
  assert.ok(script.startsWith('#compdef tool\n'))
  assert.ok(script.includes(String.raw`'topics:what'\''s [there]'`))
  assert.ok(script.includes('create) _tool_topics_create ;;'))
  assert.ok(script.includes(String.raw`'*--brokers[who]:host\:port:'`))
  assert.ok(script.includes("'*--codec[how]:codec:(none zstd)'"))
  assert.ok(script.includes("'*:file:_files'"))
  assert.ok(script.includes("'*:shell:(bash zsh)'"))
})
