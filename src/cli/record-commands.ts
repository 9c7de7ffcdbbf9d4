/** `samsa produce` and `samsa consume`: their options and help. */
import { Command, Option } from 'commander'

import { collect, examples, onCluster, partition, partitions, positiveInteger } from './command-options.ts'

export function produceCommand(): Command {
  return onCluster(new Command('produce'), 'print what was sent as JSON at the end')
    .description('Send lines as records: from the terminal, a pipe or a file.')
    .argument('<topic>')
    .option('--file <file>', 'read this file instead of the input')
    .option('-K, --key-delimiter <text>', 'what stands between key and value (default: a line is a value)')
    .option('-H, --header <name=value>', 'a header of each record (repeatable)', collect)
    .option('-p, --partition <n>', "send everything to this partition (default: by the key's hash)", partition)
    .addOption(
      new Option('-z, --codec <codec>', 'how batches are compressed').choices([
        'none',
        'gzip',
        'snappy',
        'lz4',
        'zstd',
      ]),
    )
    .addOption(
      new Option('--acks <acks>', 'what a record counts as sent by (default: all)').choices(['all', '-1', '0', '1']),
    )
    .option('-Z, --null', 'send an empty key or value as null; a null value is a tombstone')
    .option('--config <key=value>', 'any setting of the producer, e.g. linger.ms=100 (repeatable)', collect)
    .addHelpText(
      'after',
      `${examples(
        "echo 'first order' | samsa produce orders",
        "echo '42:shipped' | samsa produce orders -K : -H source=shop",
        'samsa produce logs --file access.log --codec zstd',
      )}\n\nExit code: 0 when every line was sent, 1 when one was not, 130 when stopped by Ctrl-C before the end of the input.`,
    )
    .action(async (topic, options) => (await import('./produce.ts')).produce(topic, options))
}

export function consumeCommand(): Command {
  return onCluster(new Command('consume'), 'print one JSON object per line')
    .description('Print records as they come. Ctrl-C ends it; a group then commits, and is left.')
    .argument('<topic>')
    .option('-g, --group <group>', 'take part in this group: share the partitions, go on where it has committed')
    .option('--from-beginning', 'begin at the first record where nothing is committed (the default with -e)')
    .option('-o, --offset <place>', 'begin at: beginning, end, an offset, -N (the last N), s@TIME (from a time on)')
    .option('-p, --partition <n>', 'read this partition only (repeatable)', partitions)
    .option('-f, --format <format>', 'what is printed of a record (default: "%s\\n")')
    .option('-K, --key-delimiter <text>', 'print the key, this text and the value, where there is no format')
    .option('-e, --exit', 'end at the end of the partitions')
    .option('-c, --count <n>', 'end after so many records', positiveInteger)
    .option('-Z, --null', 'print NULL for null')
    .option('--config <key=value>', 'any setting of the consumer, e.g. isolation.level=read_committed', collect)
    .addHelpText(
      'after',
      `
Format:
  %s value  %S its bytes  %R the same in binary  %k key  %K its bytes  %h headers
  %t topic  %p partition  %o offset  %T timestamp in ms  %% percent sign  \\n \\r \\t \\xHH
${examples(
  'samsa consume orders',
  'samsa consume orders -e',
  'samsa consume orders --group billing --from-beginning',
  "samsa consume orders -o -10 -e -f '%p@%o %T %k = %s\\n'",
  'samsa consume orders -o s@2025-03-01T12:00:00Z -c 100 --json | jq .value',
)}

Exit code: 0, also when Ctrl-C ends it; 130 when Ctrl-C comes before the end that -e or -c names; 1 for an error.`,
    )
    .action(async (topic, options) => (await import('./consume.ts')).consume(topic, options))
}
