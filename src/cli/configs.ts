/** `samsa configs …`: configurations of topics and brokers, and the levels of a broker's loggers. */
import type { ConfigChange, ConfigEntry, ConfigResource } from '#client'

import { print, printJson, type ClusterOptions } from './cluster-options.ts'
import { formatTable } from './table.ts'
import { UserError, parseAssignments } from './user-error.ts'
import { withAdmin } from './with-admin.ts'

interface DescribeOptions extends ClusterOptions {
  all?: true
}

interface AlterOptions extends ClusterOptions {
  set?: string[]
  delete?: string[]
  append?: string[]
  subtract?: string[]
  dryRun?: true
}

export function describeConfigs(kind: string, name: string, options: DescribeOptions): Promise<void> {
  const resource = resourceOf(kind, name)
  return withAdmin(options, async (admin) => {
    const entries = await admin.configs.describe(resource)
    const shown = options.all ? entries : entries.filter(({ isDefault, source }) => !isDefault && source !== 'default')
    if (options.json) return printJson(shown)
    if (shown.length === 0)
      return print(`nothing is set for ${kind} ${name}: everything has its default (--all shows it)`)
    print(formatTable(['NAME', 'VALUE', 'FROM'], shown.map(rowOf)))
  })
}

function rowOf({ name, value, source, isSensitive }: ConfigEntry): string[] {
  return [name, value ?? (isSensitive ? '(hidden)' : '-'), source ?? '-']
}

export function alterConfigs(kind: string, name: string, options: AlterOptions): Promise<void> {
  const resource = resourceOf(kind, name)
  const changes = changesOf(options)
  return withAdmin(options, async (admin) => {
    await admin.configs.alter(resource, changes, { validateOnly: options.dryRun ?? false })
    if (options.json) printJson({ changed: [...changes.keys()], dryRun: options.dryRun ?? false })
    else print(`${options.dryRun ? 'would change' : 'changed'} ${[...changes.keys()].join(', ')} of ${kind} ${name}`)
  })
}

/** `topic NAME`, `broker ID`, `broker default`, `logger ID`. */
export function resourceOf(kind: string, name: string): ConfigResource {
  if (kind === 'topic') return { topic: name }
  const isId = /^\d{1,9}$/.test(name)
  if (kind === 'logger' && isId) return { loggersOf: Number(name) }
  if (kind === 'broker' && (isId || name === 'default')) return { broker: isId ? Number(name) : 'default' }
  const choice = kind === 'broker' ? 'a broker by its id, or default for all of them' : 'a broker by its id'
  throw new UserError(`${kind} ${name}: name ${choice}`)
}

function changesOf(options: AlterOptions): Map<string, ConfigChange> {
  const changes = new Map<string, ConfigChange>()
  const add = (name: string, change: ConfigChange): void => {
    if (changes.has(name)) throw new UserError(`${name} is changed twice`)
    changes.set(name, change)
  }
  for (const [name, value] of Object.entries(parseAssignments('--set', options.set))) add(name, value)
  for (const name of options.delete ?? []) add(name, null)
  for (const [name, append] of Object.entries(parseAssignments('--append', options.append))) add(name, { append })
  for (const [name, subtract] of Object.entries(parseAssignments('--subtract', options.subtract)))
    add(name, { subtract })
  if (changes.size === 0) throw new UserError('nothing to change: use --set, --delete, --append or --subtract')
  return changes
}
