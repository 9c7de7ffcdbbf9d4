/** kazoo, unmodified, does what its users do; and its sessions survive the death of the server. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { PYTHON, run, startZooKeeper, type Server } from '../../peers/index.ts'

let directory: string
let server: Server

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'samsa-kazoo-'))
  server = await startZooKeeper({ directory })
})

after(async () => {
  await server?.kill()
  rmSync(directory, { recursive: true, force: true })
})

for (const check of ['basics', 'transactions', 'acls', 'watches', 'recipes', 'reconnect', 'takeover', 'expiry'])
  test(`kazoo: ${check}`, async () => {
    await checks(check)
  })

test('kazoo: a session and everything acknowledged survive a SIGKILL of the server', async () => {
  const [session, password] = (await checks('restart_before')).trim().split(' ')
  await server.kill()
  server.start()
  await server.accepting()
  await checks('restart_after', session!, password!)
})

async function checks(name: string, ...args: string[]): Promise<string> {
  const program = join(import.meta.dirname, 'kazoo_checks.py')
  const { stdout, stderr } = await run(PYTHON, ['-u', program, String(server.port), name, ...args], {
    timeoutMs: 60_000,
  })
  assert.ok(!stderr.includes('Traceback'), stderr)
  return stdout
}
