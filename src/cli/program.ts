/** The commands, their options and help. What a command does is in a file of its own, loaded when it is called. */
import { Argument, Command, CommanderError } from 'commander'

import { clusterCommand, configsCommand, groupsCommand, reassignCommand, topicsCommand } from './admin-commands.ts'
import { collect, examples, port, positiveInteger } from './command-options.ts'
import { consumeCommand, produceCommand } from './record-commands.ts'
import { Stopped } from './stop.ts'
import { withLongNames, zkCommand } from './zk-command.ts'

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
    await program().parseAsync(withLongNames(argv))
  } catch (error) {
    if (error instanceof CommanderError || error instanceof Stopped) process.exitCode = error.exitCode
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
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for the options and examples)')
    .addHelpText(
      'after',
      examples(
        'samsa up',
        'samsa topics create orders --partitions 3',
        "echo 'first order' | samsa produce orders",
        'samsa consume orders -e',
        'samsa cluster describe -b 127.0.0.1:9092',
      ),
    )
  samsa.addCommand(upCommand())
  samsa.addCommand(brokerCommand())
  samsa.addCommand(zookeeperCommand())
  samsa.addCommand(zkCommand())
  samsa.addCommand(topicsCommand())
  samsa.addCommand(produceCommand())
  samsa.addCommand(consumeCommand())
  samsa.addCommand(groupsCommand())
  samsa.addCommand(configsCommand())
  samsa.addCommand(reassignCommand())
  samsa.addCommand(clusterCommand())
  samsa.addCommand(completionCommand(samsa))
  return inherit(samsa)
}

function upCommand(): Command {
  return new Command('up')
    .description('Start a whole cluster in this process: ZooKeeper and the brokers. Ctrl-C stops it cleanly.')
    .option('--brokers <n>', 'how many brokers', positiveInteger, 3)
    .option('--zookeepers <n>', 'how many ZooKeeper servers; from 3 on they bear the loss of one', positiveInteger, 1)
    .option('--data <dir>', 'where everything is kept', './samsa-data')
    .option('--port <port>', 'port of the first broker; the next ones follow, ZooKeeper has the ports before it', port)
    .option('--override <key=value>', 'a broker setting, as in server.properties (repeatable)', collect)
    .addHelpText(
      'after',
      examples(
        'samsa up',
        'samsa up --brokers 1 --port 19092 --data /tmp/kafka',
        'samsa up --zookeepers 3 --data ./ensemble',
      ),
    )
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
    .description('Run one ZooKeeper server from a zoo.cfg: of its own, or one of an ensemble.')
    .argument('<file>', 'a zoo.cfg as Apache ZooKeeper 3.9 has it')
    .addHelpText('after', examples('samsa zookeeper zoo.cfg'))
    .action(async (file) => (await import('./zookeeper.ts')).zookeeper(file))
}

function completionCommand(samsa: Command): Command {
  return new Command('completion')
    .description('Print what a shell needs to complete commands and options.')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh']))
    .addHelpText('after', examples('source <(samsa completion bash)', 'samsa completion zsh > ~/.zfunc/_samsa'))
    .action(async (shell) => {
      process.stdout.write((await import('./completion.ts')).completionScript(samsa, shell))
    })
}

/** Commands answer errors the same way as the program they belong to. */
function inherit(command: Command): Command {
  for (const child of command.commands) {
    child.copyInheritedSettings(command)
    inherit(child)
  }
  return command
}
