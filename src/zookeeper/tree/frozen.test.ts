import assert from 'node:assert/strict'
import { test } from 'node:test'

import { OpCode, type LoggedTxn, type Txn } from '#zookeeper/protocol'

import { ZnodeTree } from './tree.ts'

const OPEN = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

let zxid = 0n

function logged(txn: Txn): LoggedTxn {
  zxid++
  return { header: { clientId: 1n, cxid: 0, zxid, time: Number(zxid), type: txn.type }, txn, digest: null }
}

function create(tree: ZnodeTree, path: string): void {
  const parent = tree.find(path.slice(0, path.lastIndexOf('/')))!
  const parentCVersion = parent.cversion + 1
  tree.apply(logged({ type: OpCode.create, path, data: Uint8Array.of(1), acl: OPEN, ephemeral: false, parentCVersion }))
}

function remove(tree: ZnodeTree, path: string): void {
  tree.apply(logged({ type: OpCode.delete, path }))
}

function set(tree: ZnodeTree, path: string): void {
  tree.apply(logged({ type: OpCode.setData, path, data: Uint8Array.of(2), version: tree.find(path)!.version + 1 }))
}

/** Everything that a snapshot writes of a node, as text. */
function listing(
  nodes: Iterable<[string, { version: number; cversion: number; pzxid: bigint; mzxid: bigint }]>,
): string[] {
  return Array.from(
    nodes,
    ([path, node]) => `${path} ${node.version} ${node.cversion} ${node.pzxid} ${node.mzxid}`,
  ).sort()
}

test('the frozen tree stays what it was, whatever happens while it is read', () => {
  for (let seed = 1; seed <= 40; seed++) {
    let state = seed
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return Math.floor((state / 0x8000_0000) * below)
    }
    const tree = ZnodeTree.fresh({ extendedTypes: false })
    const change = (): void => {
      const path = ['/a', '/a/b', '/a/c', '/d', '/d/e', '/a/b/f', '/g'][random(7)]!
      const node = tree.find(path)
      const parent = tree.find(path.slice(0, path.lastIndexOf('/')))
      if (node === undefined) {
        if (parent !== undefined) create(tree, path)
      } else if (random(2) === 0) set(tree, path)
      else if ((node.children?.size ?? 0) === 0) remove(tree, path)
    }
    for (let step = 0; step < 20; step++) change()
    const earlier = tree.freeze()
    const expectedOfEarlier = listing(earlier.nodes())
    for (let step = random(10); step > 0; step--) change()
    const frozen = tree.freeze()
    const expected = listing(frozen.nodes())
    const { zxid: frozenAt, digest } = frozen.state
    const seen: Parameters<typeof listing>[0] extends Iterable<infer Entry> ? Entry[] : never = []
    for (const [path, node] of frozen.nodes()) {
      seen.push([path, { ...node }])
      assert.ok(
        path === '' || seen.some(([other]) => other === path.slice(0, path.lastIndexOf('/'))),
        'a node before its parent',
      )
      for (let step = random(6); step > 0; step--) change()
    }
    assert.deepEqual(listing(seen), expected, `seed ${seed}`)
    assert.deepEqual([frozen.state.zxid, frozen.state.digest], [frozenAt, digest])
    assert.deepEqual(listing(earlier.nodes()), expectedOfEarlier, `seed ${seed}`)
    tree.thaw(earlier)
    for (let step = 0; step < 10; step++) change()
    assert.deepEqual(listing(frozen.nodes()), expected, `seed ${seed}`)
    tree.thaw(frozen)
  }
})
