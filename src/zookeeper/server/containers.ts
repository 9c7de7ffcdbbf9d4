/** Which containers have lost their last child, and which TTL nodes have had their time. Source: ContainerManager. */
import { ttlOf, type ZnodeTree } from '#zookeeper/tree'

/** `neverUsedMs`: after how long a container goes that never had a child; 0 for never. */
export function dueContainers(tree: ZnodeTree, wallMs: number, neverUsedMs: number, countMax: number): string[] {
  const due: string[] = []
  for (const path of tree.containers()) {
    const node = tree.find(path)
    if (node === undefined || (node.children?.size ?? 0) > 0) continue
    if (node.cversion > 0 || (neverUsedMs > 0 && wallMs - node.mtime > neverUsedMs)) due.push(path)
  }
  for (const path of tree.ttls()) {
    const node = tree.find(path)
    if (node === undefined || (node.children?.size ?? 0) > 0) continue
    const ttlMs = ttlOf(node.ephemeralOwner)
    if (ttlMs !== 0 && wallMs - node.mtime > ttlMs) due.push(path)
  }
  return due.slice(0, countMax)
}
