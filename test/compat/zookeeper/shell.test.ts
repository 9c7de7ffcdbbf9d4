/** Apache's shell, given the same commands, says the same to our server as to Apache's: answers, stats, zxids and errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Ensemble, javaTool, type Implementation } from '../../peers/index.ts'

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
create /full x
setquota -n 2 -b 100 /full
listquota /full
create /full/one x
create /full/two x
listquota /full
setquota -N 4 /full
create /full/three x
create /full/four x
delquota -n /full
listquota /full
delquota /full
listquota /full
ls -R /zookeeper/quota
getAllChildrenNumber /
version
deleteall /full
ls /
quit
`

for (const servers of [1, 3])
  test(`the shell hears the same from ${servers} of our servers as from ${servers} of Apache’s`, () => same(servers))

async function same(servers: number): Promise<void> {
  const samsa = await transcript('samsa', servers)
  const apache = await transcript('apache', servers)
  assert.deepEqual(samsa, apache)
  assert.ok(samsa.errors.length >= 25, `only ${samsa.errors.length} refusals`)
  assert.ok(samsa.answers.length >= 80, `only ${samsa.answers.length} lines of answers`)
}

async function transcript(
  implementation: Implementation,
  servers: number,
): Promise<{ answers: string[]; errors: string[] }> {
  const ensemble = await Ensemble.start({ servers: Array<Implementation>(servers).fill(implementation) })
  try {
    const options = {
      input: SCRIPT,
      timeoutMs: 60_000,
      // The exit code is that of the last command.
      mayFail: true,
    }
    const { stdout, stderr } = await javaTool(
      'zookeeper-shell',
      ['-waitforconnection', '-server', ensemble.connect],
      options,
    )
    // Events are printed whenever they come, between the answers.
    return { answers: normalized(stdout).sort(), errors: normalized(stderr) }
  } finally {
    await ensemble.close()
  }
}

/** Without what differs between two runs of the same server: times, ports, sessions, hash order. */
function normalized(text: string): string[] {
  return (
    text
      .replaceAll(/127\.0\.0\.1:\d+(:\d+)?/g, 'ADDRESS')
      // Elections before the first may have been in vain, and each counts an epoch.
      .replaceAll(/0x[1-9a-f]0000([\da-f]{4})\b/g, '0xEPOCH$1')
      .replaceAll(/[cm]time = .*/g, 'time')
      .replaceAll(/ephemeralOwner = 0x[1-9a-f][\da-f]*/g, 'ephemeralOwner = SESSION')
      .replaceAll(/\[[^[\]]*, [^[\]]*\]/g, (list) => list.slice(1, -1).split(', ').sort().join(', '))
      .split('\n')
      // The end of its session is told only if the shell is not gone before.
      .filter((line) => line !== '' && !/^SLF4J|^WATCHER::|^Connecting|^Welcome|^JLine|state:Closed/.test(line))
  )
}
