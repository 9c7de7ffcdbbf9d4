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
import type { Setting as ZooSetting, SettingTable as ZooSettingTable } from '../src/zookeeper/server/setting.ts'
import { CLIENT_TLS_SETTINGS, SECURITY_SETTINGS } from '../src/zookeeper/server/security-settings.ts'
import { ENSEMBLE_SETTINGS, MEMBERSHIP_SETTINGS, SERVER_SETTINGS } from '../src/zookeeper/server/settings.ts'

const ROOT = join(import.meta.dirname, '..')
const PAGE = join(ROOT, 'docs/configuration.md')

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

function zooKeeperPart(): string[] {
  const rows = (table: ZooSettingTable): string[][] =>
    Object.values(table).map((setting) => [code(setting.key), zooDefault(setting), setting.doc])
  return [
    '## ZooKeeper',
    '',
    '`zoo.cfg`, read by `samsa zookeeper`. What is set as `-Dzookeeper.key=value` in the environment variable `SERVER_JVMFLAGS` or',
    '`JVMFLAGS` counts where the file does not have the key.',
    '',
    ...markdownTable(['name', 'default', 'meaning'], rows(SERVER_SETTINGS)),
    '### Ensembles',
    '',
    "`dataDir/myid` holds the server's own number. The same `server.N` lines are in every server's file:",
    '',
    '| line | meaning |',
    '| --- | --- |',
    '| `server.N=host:quorumPort:electionPort[:participant\\|observer][;[address:]clientPort]` | The server with the number N, from 0 to 255. One such line only is a server of its own. |',
    '| `group.G=N:N:…` | Servers that are a group: a quorum is then more than half of the weight in more than half of the groups. |',
    '| `weight.N=w` | How much the vote of a server counts in its group; 1 where it is not said. A server of weight 0 never leads. |',
    '',
    ...markdownTable(['name', 'default', 'meaning'], rows({ ...ENSEMBLE_SETTINGS, ...MEMBERSHIP_SETTINGS })),
    '### Security',
    '',
    'Two families have as many members as one likes: `authProvider.N` names a provider of a scheme (`SASLAuthenticationProvider`,',
    '`X509AuthenticationProvider`; those of digest and ip are there anyway), `superUser` and `superUser.N` a user of SASL who may do everything.',
    '',
    ...markdownTable(['name', 'default', 'meaning'], rows(SECURITY_SETTINGS)),
    'TLS on the ports for clients; for the ports between servers the same names begin with `ssl.quorum.` instead of `ssl.`, and',
    '`clientHostnameVerification` is true there.',
    '',
    ...markdownTable(['name', 'default', 'meaning'], rows(CLIENT_TLS_SETTINGS)),
  ]
}

/** What is no text of the file is printed as it is. */
function zooDefault({ default: text }: ZooSetting): string {
  if (text === null) return 'none'
  return text === 'required' ? text : code(text)
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
