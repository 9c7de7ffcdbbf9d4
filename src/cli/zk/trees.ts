/** What is done with a znode and everything below it, while others may change it. */
import { isZkError, type Watcher, type ZooKeeperClient } from '#zookeeper/client'

/** Of the paths in one request: far below the server's limit for a frame (jute.maxbuffer, 1 MiB). */
const BATCH_BYTES_MAX = 256 * 1024

export function childPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`
}

/**
 * The path, then each znode's children, sorted, before what is below the first of them: zkCli's order. What vanishes meanwhile is passed
 * over; throws NONODE when the path itself is not there. The watcher is set on the data of the path and on the children of all.
 */
export async function* walk(zk: ZooKeeperClient, path: string, watcher?: Watcher): AsyncGenerator<string> {
  await zk.getData(path, watcher)
  yield path
  yield* below(zk, path, watcher)
}

async function* below(zk: ZooKeeperClient, path: string, watcher: Watcher | undefined): AsyncGenerator<string> {
  const names = (await childrenOf(zk, path, watcher)).map((name) => childPath(path, name))
  yield* names
  for (const name of names) yield* below(zk, name, watcher)
}

async function childrenOf(zk: ZooKeeperClient, path: string, watcher?: Watcher): Promise<string[]> {
  try {
    return [...(await zk.getChildren(path, watcher)).children].sort()
  } catch (error) {
    if (isZkError(error, 'NONODE')) return []
    throw error
  }
}

/**
 * Leaves first, many in one request; the requests follow each other without waiting. Where others add or delete znodes meanwhile, what is
 * left is deleted one by one. Returns how many there were at the beginning. Throws NONODE when there is nothing.
 */
export async function deleteTree(zk: ZooKeeperClient, path: string, batchSize: number): Promise<number> {
  const paths = await levels(zk, path)
  const sent = batches(paths.reverse(), batchSize).map((batch) =>
    zk.multi(batch.map((each) => ({ op: 'delete', path: each, version: -1 }))),
  )
  const failed = (await Promise.allSettled(sent)).find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    if (!isZkError(failed.reason, 'NONODE', 'NOTEMPTY')) throw failed.reason
    await zk.retrying.deleteRecursively(path)
  }
  return paths.length
}

/** A znode stands before everything below it. */
async function levels(zk: ZooKeeperClient, path: string): Promise<string[]> {
  const { children } = await zk.getChildren(path)
  const found = [path]
  let level = children.map((name) => childPath(path, name))
  while (level.length > 0) {
    for (const each of level) found.push(each)
    const next = await Promise.all(
      level.map(async (each) => (await childrenOf(zk, each)).map((name) => childPath(each, name))),
    )
    level = next.flat()
  }
  return found
}

function batches(paths: readonly string[], sizeMax: number): string[][] {
  const all: string[][] = []
  let bytes = BATCH_BYTES_MAX
  for (const path of paths) {
    if (bytes + path.length > BATCH_BYTES_MAX || all.at(-1)!.length >= sizeMax) {
      all.push([])
      bytes = 0
    }
    all.at(-1)!.push(path)
    bytes += path.length
  }
  return all
}
