/**
 * Writes `docs/configuration.md` from the tables that the code reads, so that the page cannot say anything else than the code does:
 * `node tools/config-reference.ts`. With `--check` it only says whether the page is as it should be.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import {
  BROKER_SETTINGS,
  SettingType,
  TOPIC_SETTINGS,
  type Setting as ServerSetting,
} from '../src/broker/config/index.ts'
import { clusterSettings } from '../src/client/cluster-settings.ts'
import { dottedName, type Setting, type SettingTable } from '../src/client/config-table.ts'
import { consumerSettings, producerSettings } from '../src/client/config.ts'

const ROOT = join(import.meta.dirname, '..')
const PAGE = join(ROOT, 'docs/configuration.md')
const ZOO_CFG = join(ROOT, 'src/zookeeper/server/config.ts')

const EFFECTS = {
  carried: 'obeyed',
  moot: 'taken without effect',
  later: 'not carried out yet; named in a warning when set',
  refused: 'another value than the default stops the start',
} as const

function page(): string {
  return [
    '# Configuration',
    '',
    'This page is generated from the tables that the code reads (`node tools/config-reference.ts`); a check fails where it is not up',
    'to date. Names are those of Kafka 3.9 and ZooKeeper 3.9.',
    '',
    ...clientPart(),
    ...topicPart(),
    ...brokerPart(),
    ...zooKeeperPart(),
  ].join('\n')
}

function clientPart(): string[] {
  const without = (table: SettingTable): SettingTable =>
    Object.fromEntries(Object.entries(table).filter(([key]) => !Object.hasOwn(clusterSettings, key)))
  return [
    '## Clients',
    '',
    'In code a setting is written in camelCase (`lingerMs: 5`) or under its dotted name with its value as text',
    "(`'linger.ms': '5'`); on the command line as `--config linger.ms=5`. An unknown name and a value out of bounds are errors.",
    '',
    '### Every client',
    '',
    ...clientTable(clusterSettings),
    '### Producer',
    '',
    ...clientTable(without(producerSettings)),
    '### Consumer',
    '',
    ...clientTable(without(consumerSettings)),
  ]
}

function clientTable(table: SettingTable): string[] {
  const rows = Object.entries(table).map(([key, setting]) => [
    code(dottedName(key)),
    setting.required ? 'required' : defaultOf(setting),
    setting.valid,
    setting.doc,
  ])
  return markdownTable(['name', 'default', 'value', 'meaning'], rows)
}

function defaultOf({ default: value }: Setting<unknown>): string {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean' && !Array.isArray(value))
    return 'none'

  if (Array.isArray(value)) return value.length === 0 ? 'none' : code(value.join(','))
  return value === '' ? 'empty' : code(String(value))
}

function topicPart(): string[] {
  const rows = Object.entries(TOPIC_SETTINGS as Record<string, ServerSetting>)
    .sort(byName)
    .map(serverRow)
  return [
    '## Topics',
    '',
    '`samsa topics create orders --config segment.bytes=104857600`, `samsa topics alter`, or any Kafka tool. A topic for which',
    'nothing is set follows the broker.',
    '',
    ...markdownTable(['name', 'type', 'default', 'effect', 'meaning'], rows),
  ]
}

function brokerPart(): string[] {
  const settings = Object.entries(BROKER_SETTINGS as Record<string, ServerSetting>).sort(byName)
  const parts = Object.entries(EFFECTS).flatMap(([effect, text]) => {
    const named = settings.filter(([, setting]) => setting.effect === effect)
    if (effect === 'carried') return [`### ${capital(text)}`, '', ...markdownTable(BROKER_HEAD, named.map(brokerRow))]
    return [`### ${capital(text)}`, '', `${named.map(([name]) => code(name)).join(', ')}.`, '']
  })
  return [
    '## Brokers',
    '',
    '`server.properties`, read by `samsa broker`; `samsa up` takes the same names with `--override key=value`. An environment',
    'variable wins over the file: `KAFKA_LOG_RETENTION_MS` is `log.retention.ms`. Dynamic: may be altered while the broker runs,',
    'for all brokers of the cluster, or for each by itself.',
    '',
    ...parts,
  ]
}

const BROKER_HEAD = ['name', 'type', 'default', 'dynamic', 'meaning']
const DYNAMIC = { no: '', cluster: 'cluster', perBroker: 'broker' } as const

function brokerRow([name, setting]: [string, ServerSetting]): string[] {
  return [code(name), typeOf(setting), textOf(setting), DYNAMIC[setting.dynamic], setting.doc]
}

function serverRow([name, setting]: [string, ServerSetting]): string[] {
  return [code(name), typeOf(setting), textOf(setting), EFFECTS[setting.effect], setting.doc]
}

function typeOf({ type }: ServerSetting): string {
  return Object.entries(SettingType)
    .find(([, id]) => id === type)![0]
    .toLowerCase()
}

function textOf({ defaultText }: ServerSetting): string {
  if (defaultText === null) return 'none'
  return defaultText === '' ? 'empty' : code(defaultText)
}

/** Of keys whose field says it by its name. */
const PLAIN_MEANINGS: Readonly<Record<string, string>> = {
  clientPortAddress: 'The address to listen on.',
  minSessionTimeout: 'The shortest session that a client gets, in ms.',
  maxSessionTimeout: 'The longest session that a client gets, in ms.',
  preAllocSize: 'By how much a log file grows at once, in KiB.',
  txnLogSizeLimitInKb: 'A new log file begins after so many KiB; -1: with each snapshot only.',
  forceSync: 'Whether a transaction is on the disk before it is answered.',
  'fsync.warningthresholdms': 'A sync that takes longer is named in the log.',
  'jute.maxbuffer': 'Bytes of a request or an answer, at most.',
  '4lw.commands.whitelist': 'Admin words that are answered; `*` for all.',
  skipACL: 'Whether ACLs are not looked at.',
  'snapshot.trust.empty': 'Whether a data folder with logs and without a snapshot is accepted.',
  'autopurge.snapRetainCount': 'Snapshots that a purge keeps.',
}

/** The keys and their defaults stand where they are read, their meanings at the fields that they fill. */
function zooKeeperPart(): string[] {
  const source = readFileSync(ZOO_CFG, 'utf8')
  const docs = new Map(
    Array.from(source.matchAll(/\/\*\* (?<doc>[^*]+) \*\/\n\s+(?<field>\w+): /g), ({ groups }) => [
      groups!['field']!,
      groups!['doc']!,
    ]),
  )
  const reads = source.matchAll(
    /^ {4}(?<field>\w+): .*?values\.(?:text|integer|flag|orDefault)\('(?<key>[^']+)'(?:, (?<fallback>[^,)]+))?.*?$/gm,
  )
  const rows = Array.from(reads, ({ groups }) => {
    const { field, key, fallback } = groups! as { field: string; key: string; fallback?: string }
    return [code(key), zooDefault(source, key, fallback), docs.get(field) ?? PLAIN_MEANINGS[key] ?? '']
  })
  rows.unshift(
    [code('dataDir'), 'required', docs.get('dataDir')!],
    [code('tickTime'), zooDefault(source, '', 'TICK_TIME_MS'), docs.get('tickTimeMs')!],
  )
  return [
    '## ZooKeeper',
    '',
    '`zoo.cfg`, read by `samsa zookeeper`. `server.N` lines are in [compatibility.md](compatibility.md).',
    '',
    ...markdownTable(['name', 'default', 'meaning'], rows),
  ]
}

/** A number, a word, a constant of the file, or what `??` names. */
function zooDefault(source: string, key: string, fallback: string | undefined): string {
  const behind =
    fallback ??
    source.match(new RegExp(`text\\('${RegExp.escape(key)}'\\)\\)? \\?\\? (?<word>'[^']+'|\\w+)`))?.groups?.['word']
  if (behind === undefined || behind === 'null') return 'none'
  if (behind === 'fail') return 'required'
  const constant = source.match(new RegExp(`^const ${RegExp.escape(behind)} = (?<value>\\S+)$`, 'm'))?.groups?.['value']
  return code(
    (constant ?? behind)
      .replaceAll(/'|(?<=\d)_(?=\d)/g, '')
      .replace('tickTimeMs', 'tickTime')
      .replace('JUTE_MAXBUFFER_DEFAULT', '1048575'),
  )
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}

function code(text: string): string {
  return `\`${text}\``
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1)
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line), '']
}

const wanted = page()
if (!process.argv.includes('--check')) writeFileSync(PAGE, wanted)
else if (readFileSync(PAGE, 'utf8') !== wanted) {
  console.error('docs/configuration.md is not what the tables say: run node tools/config-reference.ts')
  process.exitCode = 1
}
