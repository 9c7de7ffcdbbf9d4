/**
 * Who may import whom. A room is a folder under `src/`; each imports only rooms that its row allows, and
 * only through their door (`#room`), never a file behind it. Think hard before adding to a row.
 */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

import { parseSync } from 'oxc-parser'

const SRC = import.meta.dirname

const ALLOWED: Record<string, readonly string[]> = {
  base: [],
  platform: ['base'],
  'platform/memory': ['platform'],
  'platform/node': ['base', 'platform'],
  protocol: ['base'],
  'protocol/messages': ['base', 'protocol'],
  'protocol/records': ['base'],
  net: ['base', 'platform'],
  security: ['base', 'platform', 'protocol'],
  'security/sasl': ['base'],
  'security/tls': ['base', 'platform'],
  rpc: ['base', 'platform', 'protocol', 'protocol/messages', 'net'],
  storage: ['base', 'platform', 'protocol/records'],
  metadata: ['base', 'protocol', 'protocol/messages'],
  'metadata/znodes': ['base'],
  replication: ['base', 'platform', 'protocol', 'protocol/messages', 'protocol/records', 'storage', 'metadata'],
  coordinator: ['base', 'platform', 'protocol', 'protocol/messages', 'protocol/records'],
  'coordinator/group': ['base', 'platform', 'protocol', 'protocol/messages', 'protocol/records', 'coordinator'],
  'zookeeper/protocol': ['base'],
  'zookeeper/tree': ['base', 'zookeeper/protocol'],
  'zookeeper/zab': ['base', 'zookeeper/protocol'],
  'zookeeper/persistence': ['base', 'platform', 'zookeeper/protocol', 'zookeeper/tree'],
  'zookeeper/server': [
    'base',
    'platform',
    'net',
    'security/sasl',
    'security/tls',
    'zookeeper/protocol',
    'zookeeper/tree',
    'zookeeper/zab',
    'zookeeper/persistence',
  ],
  'zookeeper/client': ['base', 'platform', 'net', 'security/sasl', 'security/tls', 'zookeeper/protocol'],
  controller: ['base', 'platform', 'protocol', 'protocol/messages', 'metadata', 'metadata/znodes', 'zookeeper/client'],
  broker: [
    'base',
    'platform',
    'protocol',
    'protocol/messages',
    'protocol/records',
    'net',
    'security',
    'security/sasl',
    'security/tls',
    'rpc',
    'storage',
    'metadata',
    'metadata/znodes',
    'replication',
    'coordinator',
    'coordinator/group',
    'zookeeper/client',
    'controller',
  ],
  client: ['base', 'platform', 'protocol', 'protocol/messages', 'protocol/records', 'net', 'security', 'rpc'],
  embedded: ['base', 'platform', 'platform/node', 'broker', 'zookeeper/server'],
  cli: [
    'base',
    'platform',
    'platform/node',
    'protocol',
    'protocol/messages',
    'broker',
    'client',
    'client/admin',
    'client/cluster',
    'client/consumer',
    'client/producer',
    'embedded',
    'zookeeper/server',
    'zookeeper/client',
    'security/sasl',
    'security/tls',
  ],
  simulation: [
    'base',
    'platform',
    'protocol',
    'protocol/messages',
    'protocol/records',
    'metadata/znodes',
    'rpc',
    'net',
    'broker',
    'client',
    'embedded',
    'zookeeper/protocol',
    'zookeeper/zab',
    'zookeeper/server',
    'zookeeper/client',
  ],
  testing: [
    'base',
    'platform',
    'platform/memory',
    'platform/node',
    'broker',
    'client',
    'embedded',
    'simulation',
    'zookeeper/server',
  ],
}

test('every import is one that its room allows', () => {
  const faults: string[] = []
  for (const path of sources()) {
    const room = roomOf(path)
    for (const target of importsOf(path)) {
      const fault = faultOf(path, room, target)
      if (fault !== null) faults.push(`${path}: ${fault}`)
    }
  }
  assert.deepEqual(faults, [])
})

function faultOf(path: string, room: string, target: string): string | null {
  if (target.startsWith('#')) {
    const imported = target.startsWith('#protocol/messages/') ? 'protocol/messages' : target.slice(1)
    // A test may always see the simulated world and a ZooKeeper server: what pure code and drivers are tested in.
    if (
      imported === room ||
      (path.endsWith('.test.ts') &&
        ['simulation', 'platform/memory', 'platform/node', 'zookeeper/server'].includes(imported))
    )
      return null
    const allowed = ALLOWED[room]
    if (allowed === undefined) return `room ${room} has no row in the layering table`
    return allowed.includes(imported) ? null : `${room} must not import ${imported}`
  }
  if (target.startsWith('.')) {
    const other = roomOf(normalize(join(dirname(path), target)))
    return other === room ? null : `reaches behind the door of ${other}: import #${other}`
  }
  return null
}

/** The longest row of the table that the path lies in. */
function roomOf(path: string): string {
  const folders = dirname(path).split('/')
  for (let depth = folders.length; depth > 0; depth--) {
    const room = folders.slice(0, depth).join('/')
    if (room in ALLOWED) return room
  }
  return folders[0]!
}

function importsOf(path: string): string[] {
  const text = readFileSync(join(SRC, path), 'utf8')
  const { module } = parseSync(path, text)
  const targets = module.staticImports.map((statement) => statement.moduleRequest.value)
  for (const { entries } of module.staticExports)
    for (const entry of entries) if (entry.moduleRequest) targets.push(entry.moduleRequest.value)
  for (const { moduleRequest } of module.dynamicImports)
    targets.push(text.slice(moduleRequest.start + 1, moduleRequest.end - 1))
  return targets
}

function sources(): string[] {
  const entries = readdirSync(SRC, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(SRC, join(entry.parentPath, entry.name)))
    .filter((path) => path.includes('/'))
}
