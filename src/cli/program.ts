/** The commands, their options and help. What a command does is in a file of its own, loaded when it is called. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'

export const DEFAULT_BOOTSTRAP_SERVER = '127.0.0.1:9092'

/**
 * What a user or the machine does to us: one line says what was wrong, and a stack trace would only hide it. By name, so that the
 * rooms they come from need not be loaded.
 */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set([
  'UserError',
  'ConfigError',
  'ZooCfgError',
  'RecoveryError',
  'KafkaError',
  'NetworkError',
  'FileError',
])

export async function runCommandLine(argv: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(argv)
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode
    else if (error instanceof Error && EXPECTED_ERRORS.has(error.name)) {
      process.stderr.write(`samsa: ${error.message}\n`)
      process.exitCode = 1
    } else throw error
  }
}

function program(): Command {
  const samsa = new Command('samsa')
    .description('Kafka in TypeScript: a cluster, its ZooKeeper and the tools, in one command.')
    .exitOverride()
    .showHelpAfterError('(add --help for the options and examples)')
    .addHelpText(
      'after',
      examples('samsa up', 'samsa topics create orders --partitions 3', 'samsa topics list -b 127.0.0.1:9092'),
    )
  samsa.addCommand(upCommand())
  samsa.addCommand(brokerCommand())
  samsa.addCommand(zookeeperCommand())
  samsa.addCommand(topicsCommand())
  return inherit(samsa)
}

function upCommand(): Command {
  return new Command('up')
    .description('Start a whole cluster in this process: a ZooKeeper server and the brokers. Ctrl-C stops it cleanly.')
    .option('--brokers <n>', 'how many brokers', positiveInteger, 3)
    .option('--data <dir>', 'where everything is kept', './samsa-data')
    .option('--port <port>', 'port of the first broker; the next ones follow, ZooKeeper has the port before it', port)
    .option('--override <key=value>', 'a broker setting, as in server.properties (repeatable)', collect)
    .addHelpText('after', examples('samsa up', 'samsa up --brokers 1 --port 19092 --data /tmp/kafka'))
    .action(async (options) => (await import('./up.ts')).up(options))
}

function brokerCommand(): Command {
  return new Command('broker')
    .description('Run one broker from a server.properties. KAFKA_* variables win over the file.')
    .argument('<file>', 'a server.properties as Apache Kafka 3.9 has it')
    .option('--override <key=value>', 'a setting that wins over the file (repeatable)', collect)
    .addHelpText(
      'after',
      examples('samsa broker server.properties', 'samsa broker server.properties --override broker.id=2'),
    )
    .action(async (file, options) => (await import('./broker.ts')).broker(file, options))
}

function zookeeperCommand(): Command {
  return new Command('zookeeper')
    .description('Run one ZooKeeper server from a zoo.cfg.')
    .argument('<file>', 'a zoo.cfg as Apache ZooKeeper 3.9 has it')
    .addHelpText('after', examples('samsa zookeeper zoo.cfg'))
    .action(async (file) => (await import('./zookeeper.ts')).zookeeper(file))
}

function topicsCommand(): Command {
  const topics = new Command('topics').description('Create, list, describe, alter and delete topics of any cluster.')
  onCluster(topics.command('create'))
    .description('Create topics.')
    .argument('<topic...>')
    .option('--partitions <n>', "how many partitions (default: the broker's num.partitions)", positiveInteger)
    .option(
      '--replication-factor <n>',
      "replicas of each (default: the broker's default.replication.factor)",
      positiveInteger,
    )
    .option('--config <key=value>', 'a topic configuration (repeatable)', collect)
    .option('--if-not-exists', 'be content when it exists already')
    .addHelpText(
      'after',
      examples('samsa topics create orders --partitions 6 --replication-factor 3 --config min.insync.replicas=2'),
    )
    .action(async (names, options) => (await import('./topics.ts')).createTopics(names, options))
  onCluster(topics.command('list'))
    .description('List topics.')
    .option('--internal', 'internal topics too')
    .addHelpText('after', examples('samsa topics list', 'samsa topics list --json'))
    .action(async (options) => (await import('./topics.ts')).listTopics(options))
  onCluster(topics.command('describe'))
    .description('Show partitions, leaders, replicas and in-sync replicas.')
    .argument('[topic...]')
    .addHelpText('after', examples('samsa topics describe orders', 'samsa topics describe'))
    .action(async (names, options) => (await import('./topics.ts')).describeTopics(names, options))
  onCluster(topics.command('alter'))
    .description('Add partitions, set or remove configurations.')
    .argument('<topic>')
    .option('--partitions <n>', 'the new number of partitions; it can only grow', positiveInteger)
    .option('--config <key=value>', 'set a configuration (repeatable)', collect)
    .option('--delete-config <key>', 'return a configuration to its default (repeatable)', collect)
    .addHelpText(
      'after',
      examples('samsa topics alter orders --partitions 12', 'samsa topics alter orders --config retention.ms=86400000'),
    )
    .action(async (name, options) => (await import('./topics.ts')).alterTopic(name, options))
  onCluster(topics.command('delete'))
    .description('Delete topics with all their records.')
    .argument('<topic...>')
    .option('--if-exists', 'be content when it does not exist')
    .addHelpText('after', examples('samsa topics delete orders'))
    .action(async (names, options) => (await import('./topics.ts')).deleteTopics(names, options))
  return topics
}

/** What every command that talks to a cluster takes. */
function onCluster(command: Command): Command {
  return command
    .option(
      '-b, --bootstrap-server <host:port>',
      'brokers to begin with, separated by commas',
      DEFAULT_BOOTSTRAP_SERVER,
    )
    .addOption(
      new Option('--timeout <ms>', 'how long to wait for the cluster').default(30_000).argParser(positiveInteger),
    )
    .option('--json', 'print JSON for programs instead of a table')
}

/** Commands answer errors the same way as the program they belong to. */
function inherit(command: Command): Command {
  for (const child of command.commands) {
    child.copyInheritedSettings(command)
    inherit(child)
  }
  return command
}

function examples(...lines: string[]): string {
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

function collect(value: string, former: string[] = []): string[] {
  return [...former, value]
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1 on.')
  return value
}

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 2 || value > 65_535)
    throw new InvalidArgumentError('It must be a port from 2 to 65535.')
  return value
}
