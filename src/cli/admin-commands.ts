/** `samsa topics`, `samsa groups`, `samsa configs`, `samsa reassign` and `samsa cluster`: their options and help. */
import { Argument, Command } from 'commander'

import { brokerId, brokerIds, collect, examples, onCluster, positiveInteger } from './command-options.ts'

export function topicsCommand(): Command {
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

export function groupsCommand(): Command {
  const groups = new Command('groups').description('List, describe, move and delete consumer groups of any cluster.')
  onCluster(groups.command('list'))
    .description('List groups.')
    .addHelpText('after', examples('samsa groups list', "samsa groups list --json | jq -r '.[].groupId'"))
    .action(async (options) => (await import('./groups.ts')).listGroups(options))
  onCluster(groups.command('describe'))
    .description('Show how far groups have come in each partition, and who reads it.')
    .argument('<group...>')
    .option('--members', 'show the members, with the partitions of each')
    .addHelpText('after', examples('samsa groups describe billing', 'samsa groups describe billing --members'))
    .action(async (names, options) => (await import('./groups.ts')).describeGroups(names, options))
  onCluster(groups.command('reset-offsets'))
    .description(
      'Set where a group goes on. It must have no members. Shows what would change until --execute is given.',
    )
    .argument('<group>')
    .requiredOption(
      '--to <place>',
      'earliest, latest, current, an offset, +N or -N from where it is, or a time (2025-03-01T12:00:00Z)',
    )
    .option('--topic <topic[:n,n]>', 'a topic, or partitions of it (repeatable; default: all with offsets)', collect)
    .option('--execute', 'do it')
    .addHelpText(
      'after',
      examples(
        'samsa groups reset-offsets billing --to earliest',
        'samsa groups reset-offsets billing --to 2025-03-01T12:00:00Z --topic orders --execute',
        'samsa groups reset-offsets billing --to -100 --topic orders:0,3 --execute',
      ),
    )
    .action(async (name, options) => (await import('./groups.ts')).resetOffsets(name, options))
  onCluster(groups.command('delete'))
    .description('Delete groups with their offsets. They must have no members.')
    .argument('<group...>')
    .option('--if-exists', 'be content when it does not exist')
    .addHelpText('after', examples('samsa groups delete billing'))
    .action(async (names, options) => (await import('./groups.ts')).deleteGroups(names, options))
  return groups
}

export function clusterCommand(): Command {
  const cluster = new Command('cluster').description('Look at a whole cluster.')
  onCluster(cluster.command('describe'))
    .description('Show brokers, the controller, who leads what, and partitions that are not well.')
    .option('--check', 'fail when there is no controller, or a partition is offline or under-replicated')
    .addHelpText(
      'after',
      examples('samsa cluster describe', 'samsa cluster describe --check > /dev/null && echo all is well'),
    )
    .action(async (options) => (await import('./cluster.ts')).describeCluster(options))
  onCluster(cluster.command('safe-to-restart'))
    .description('Say whether a broker may go now: whether every partition stays available without it.')
    .argument('<id>', 'the broker', brokerId)
    .addHelpText(
      'after',
      examples('samsa cluster safe-to-restart 2 && systemctl restart samsa', 'samsa cluster safe-to-restart 2 --json'),
    )
    .action(async (id, options) => (await import('./restart-safety.ts')).safeToRestart(id, options))
  return cluster
}

export function configsCommand(): Command {
  const configs = new Command('configs').description(
    'Look at and change configurations of topics, brokers and loggers.',
  )
  const kind = (): Argument => new Argument('<kind>', 'of what').choices(['topic', 'broker', 'logger'])
  onCluster(configs.command('describe'))
    .description('Show what is set and where it comes from.')
    .addArgument(kind())
    .argument('<name>', "a topic, a broker's id, or default for all brokers")
    .option('--all', 'defaults too')
    .addHelpText(
      'after',
      examples(
        'samsa configs describe topic orders --all',
        'samsa configs describe broker 1',
        'samsa configs describe logger 1',
      ),
    )
    .action(async (of, name, options) => (await import('./configs.ts')).describeConfigs(of, name, options))
  onCluster(configs.command('alter'))
    .description('Change single configurations; brokers obey while they run.')
    .addArgument(kind())
    .argument('<name>', "a topic, a broker's id, or default for all brokers")
    .option('--set <key=value>', 'set one (repeatable)', collect)
    .option('--delete <key>', 'return one to its default (repeatable)', collect)
    .option('--append <key=value>', 'add to a list (repeatable)', collect)
    .option('--subtract <key=value>', 'take from a list (repeatable)', collect)
    .option('--dry-run', 'check and change nothing')
    .addHelpText(
      'after',
      examples(
        'samsa configs alter topic orders --set min.insync.replicas=2 --delete segment.bytes',
        'samsa configs alter broker default --set message.max.bytes=2000000',
        'samsa configs alter logger 1 --set controller=DEBUG',
      ),
    )
    .action(async (of, name, options) => (await import('./configs.ts')).alterConfigs(of, name, options))
  return configs
}

export function reassignCommand(): Command {
  const reassign = new Command('reassign').description('Move partitions to other brokers, while they are used.')
  onCluster(reassign.command('start'))
    .description('Spread all partitions of topics over the brokers that are named.')
    .argument('<topic...>')
    .requiredOption('--to <ids>', 'broker ids, separated by commas', brokerIds)
    .option('--replication-factor <n>', 'replicas of each partition (default: as many as now)', positiveInteger)
    .option('--dry-run', 'show what would move')
    .addHelpText(
      'after',
      examples(
        'samsa reassign start orders --to 2,3,4 --dry-run',
        'samsa reassign start orders --to 1,2,3 --replication-factor 3',
      ),
    )
    .action(async (topics, options) => (await import('./reassign.ts')).startReassignment(topics, options))
  onCluster(reassign.command('list'))
    .description('Show what is moving.')
    .option('--check', 'fail while something is')
    .addHelpText('after', examples('samsa reassign list', 'until samsa reassign list --check; do sleep 5; done'))
    .action(async (options) => (await import('./reassign.ts')).listReassignments(options))
  onCluster(reassign.command('cancel'))
    .description('Call moves off: partitions go back to where they were.')
    .argument('[topic...]', 'of these topics only')
    .addHelpText('after', examples('samsa reassign cancel', 'samsa reassign cancel orders'))
    .action(async (topics, options) => (await import('./reassign.ts')).cancelReassignments(topics, options))
  return reassign
}
