/** `samsa zk`: its options and help. */
import { Command } from 'commander'

import { examples, positiveInteger } from './command-options.ts'

const DEFAULT_SERVER = '127.0.0.1:2181'
/** As zkCli asks for. */
const DEFAULT_SESSION_TIMEOUT_MS = 30_000

/** Options of zkCli that commander would take for letters, and how they are called here; null for what goes without saying. */
const LONG_NAMES: ReadonlyMap<string, string | null> = new Map([
  ['-server', '--server'],
  ['-timeout', '--timeout'],
  ['-client-configuration', '--client-configuration'],
  ['-waitforconnection', null],
])

/** After these a value follows. */
const WITH_VALUE: ReadonlySet<string> = new Set(['-s', '--server', '-t', '--timeout', '--client-configuration'])

export function zkCommand(): Command {
  return new Command('zk')
    .description("ZooKeeper's shell, on any server: at a terminal, from a pipe, or for one command.")
    .argument('[command...]', 'a command of the shell with its options; without one they are read line by line')
    .option(
      '-s, --server <host:port>',
      'servers to connect to, separated by commas; /path behind them is put before every path',
      DEFAULT_SERVER,
    )
    .option('-t, --timeout <ms>', 'session timeout', positiveInteger, DEFAULT_SESSION_TIMEOUT_MS)
    .option('-r, --read-only', 'be content with a server that has lost its quorum')
    .option('--client-configuration <file>', "TLS and SASL of the client, under Java's names (zookeeper.ssl.…)")
    .option('--json', 'print outcomes, errors and events as lines of JSON')
    .passThroughOptions()
    .addHelpText(
      'after',
      examples(
        'samsa zk',
        'samsa zk ls -R /brokers',
        'samsa zk -s zk1:2181,zk2:2181,zk3:2181 get -s /controller',
        "printf 'create /a one\\nset /a two\\n' | samsa zk",
        'samsa zk --json stat /brokers/ids/1 | jq -r .stat.czxid',
        'samsa zk watch /admin',
        'samsa zk help',
      ),
    )
    .action(async (words, options) => (await import('./zk.ts')).zk(words, options))
}

/** zkCli's options have one dash: `-server HOST:PORT`. They stand before the command of the shell. */
export function withLongNames(argv: readonly string[]): string[] {
  if (argv[2] !== 'zk') return [...argv]
  const words = argv.slice(0, 3)
  let at = 3
  while (argv[at]?.startsWith('-') === true) {
    const word = argv[at++]!
    const name = LONG_NAMES.has(word) ? LONG_NAMES.get(word)! : word
    if (name === null) continue
    words.push(name)
    if (WITH_VALUE.has(name) && at < argv.length) words.push(argv[at++]!)
  }
  return [...words, ...argv.slice(at)]
}
