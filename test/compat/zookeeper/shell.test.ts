/** Apache's shell, given the same commands, says the same to our server as to Apache's: answers, stats, zxids and errors. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { javaTool, startZooKeeper, type Implementation } from '../../peers/index.ts'

const SCRIPT = `
create /a one
create -s /a/s- x
create -e /a/e x
create -s -e /a/se- x
create /a/e/child
create /a
create /missing/child
create relative
create -c /container
create -t 5000 /ttl x
get /a
get -s /a
stat /a
set /a two
set -s /a three
set -v 1 /a four
set -v 2 /a five
ls /
ls -s /a
ls -R /a
delete /a
delete -v 3 /a/s-0000000000
delete -v 0 /a/s-0000000000
create -s /a/s- again
getAllChildrenNumber /a
getEphemerals
getEphemerals /a
getAcl /a
getAcl -s /a
addauth digest alice:secret
create /mine secret auth:any:crdwa
getAcl /mine
get /mine
setAcl /a digest:bob:hash:cdrwa
get /a
delete /a/e
set /a nope
create /a/x
setAcl /mine world:anyone:r
set /mine x
setAcl /mine world:anyone:cdrwa
ls -w /container
create /container/child
get -w /mine
set /mine changed
addWatch /container
create /container/second
addWatch -m PERSISTENT_RECURSIVE /mine
create /mine/deep
create /mine/deep/deeper
removewatches /container
removewatches /container
sync /mine
whoami
reconfig -add 3
config
deleteall /mine
deleteall /container
ls -R /
get /zookeeper/config
setAcl /zookeeper/config world:anyone:r
create /bad//path
delete /zookeeper
quit
`

test('the shell hears the same from both servers', async () => {
  const [samsa, apache] = await Promise.all([transcript('samsa'), transcript('apache')])
  assert.deepEqual(samsa, apache)
  assert.ok(samsa.errors.length >= 25, `only ${samsa.errors.length} refusals`)
  assert.ok(samsa.answers.length >= 80, `only ${samsa.answers.length} lines of answers`)
})

async function transcript(implementation: Implementation): Promise<{ answers: string[]; errors: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), `samsa-shell-${implementation}-`))
  const server = await startZooKeeper({ implementation, directory })
  try {
    const { stdout, stderr } = await javaTool('zookeeper-shell', ['-waitforconnection', '-server', server.address], {
      input: SCRIPT,
      timeoutMs: 60_000,
      // The exit code is that of the last command.
      mayFail: true,
    })
    // Events are printed whenever they come, between the answers.
    return { answers: normalized(stdout, server.port).sort(), errors: normalized(stderr, server.port) }
  } finally {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Without what differs between two runs of the same server: times, ports, sessions, hash order. */
function normalized(text: string, port: number): string[] {
  return text
    .replaceAll(String(port), 'PORT')
    .replaceAll(/[cm]time = .*/g, 'time')
    .replaceAll(/ephemeralOwner = 0x[1-9a-f][\da-f]*/g, 'ephemeralOwner = SESSION')
    .replaceAll(/\[[^[\]]*, [^[\]]*\]/g, (list) => list.slice(1, -1).split(', ').sort().join(', '))
    .split('\n')
    .filter((line) => line !== '' && !/^SLF4J|^WATCHER::|^Connecting|^Welcome|^JLine/.test(line))
}
