/** Options and help as all commands declare them. Loads nothing but the parser of command lines. */
import { type Command, InvalidArgumentError, Option } from 'commander'

export const DEFAULT_BOOTSTRAP_SERVER = '127.0.0.1:9092'
const DEFAULT_TIMEOUT_MS = 30_000

/** What every command that talks to a cluster takes. */
export function onCluster(command: Command, json = 'print JSON for programs instead of a table'): Command {
  return command
    .option(
      '-b, --bootstrap-server <host:port>',
      'brokers to begin with, separated by commas',
      DEFAULT_BOOTSTRAP_SERVER,
    )
    .addOption(
      new Option('--timeout <ms>', 'how long to wait for the cluster')
        .default(DEFAULT_TIMEOUT_MS)
        .argParser(positiveInteger),
    )
    .option('--json', json)
}

export function examples(...lines: string[]): string {
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

export function collect(value: string, former: string[] = []): string[] {
  return [...former, value]
}

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1 on.')
  return value
}

export function partition(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0 on.')
  return Number(text)
}

export function brokerId(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new InvalidArgumentError('It must be the id of a broker, a whole number from 0 on.')
  return Number(text)
}

export function brokerIds(text: string): number[] {
  return text.split(',').map((id) => brokerId(id.trim()))
}

export function partitions(text: string, former: number[] = []): number[] {
  return [...former, partition(text)]
}

export function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 2 || value > 65_535)
    throw new InvalidArgumentError('It must be a port from 2 to 65535.')
  return value
}
