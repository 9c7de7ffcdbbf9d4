/** `samsa zk` prints what Apache's shell prints, on Apache's server and on ours: scripts that read it need not change. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { SAMSA_SOURCE, javaTool, run, startZooKeeper, type Implementation } from '../../peers/index.ts'

const SCRIPT = `
create /a one
create -s /a/s- x
create -e /a/e
create -c /container
create /a
create /missing/child
create -t 5000 /ttl x
get /a
get -s /a
get -b /a
get -x /a
get /a/e
stat /a
set -s /a two
set -v 7 /a three
ls /
ls -s /a
ls -R /a
getAllChildrenNumber /a
getEphemerals
getEphemerals /nothing
getAcl -s /a
setAcl -s /a world:anyone:cdrwa
setquota -n 5 /a
setquota -N 10 /a
listquota /a
setquota -n 5 /a/e
delquota -n /a
listquota /a
delquota /a
listquota /a
addauth digest alice:secret
create /mine secret auth:any:crdwa
getAcl /mine
get -w /mine
set /mine changed
get -w /mine
removewatches /mine
removewatches /mine
addWatch /container
create /container/second
sync /mine
whoami
reconfig -add 3
config
delete /a
delete -v 3 /a/s-0000000000
deleteall /a
delete /zookeeper
printwatches
ls -R /
quit
`

test('both shells print the same, whoever the server is', async () => {
  const expected = await transcript('apache', 'apache')
  assert.deepEqual(await transcript('samsa', 'apache'), expected)
  assert.deepEqual(await transcript('samsa', 'samsa'), expected)
  assert.ok(expected.length >= 100, `only ${expected.length} lines`)
})

/** Everything that is printed, to either stream, sorted: events come when they come. */
async function transcript(shell: Implementation, implementation: Implementation): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), `samsa-shell-${implementation}-`))
  const server = await startZooKeeper({ implementation, directory })
  const options = { input: SCRIPT, timeoutMs: 60_000, mayFail: true }
  try {
    const { stdout, stderr } =
      shell === 'apache'
        ? await javaTool('zookeeper-shell', ['-waitforconnection', '-server', server.address], options)
        : await run(process.execPath, [SAMSA_SOURCE, 'zk', '-s', server.address], options)
    return normalized(`${stdout}\n${stderr}`, server.port).sort()
  } finally {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Without what differs between two runs, and without what zkCli says of itself and of the beginning of its session. */
function normalized(text: string, port: number): string[] {
  return text
    .replaceAll(String(port), 'PORT')
    .replaceAll(/([cm]time = \w{3} \w{3} \d\d) \d\d:\d\d:\d\d (\w+ \d{4})/g, '$1 TIME $2')
    .replaceAll(/ephemeralOwner = 0x[1-9a-f][\da-f]*/g, 'ephemeralOwner = SESSION')
    .replace(' for /zookeeper/config', '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^SLF4J|^Connecting|^Welcome|^JLine|^WATCHER::|type:None/.test(line))
}
