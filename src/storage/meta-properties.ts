/**
 * `meta.properties` in each log directory: whose data it holds. A Java properties file; in ZooKeeper mode `version=0`,
 * `broker.id` and `cluster.id`. Other keys are kept as they are.
 */
import { decodeUtf8, encodeUtf8 } from '#base'
import { joinPath, type FileSystem } from '#platform'

import { META_PROPERTIES_FILE } from './names.ts'
import { writeWhole } from './whole-files.ts'

export interface MetaProperties {
  /** null: the file does not say. */
  readonly brokerId: number | null
  readonly clusterId: string | null
  /** All that stands in the file, these two included. */
  readonly entries: ReadonlyMap<string, string>
}

/** Null when the directory has no such file, as before a broker's first start. */
export function readMetaProperties(files: FileSystem, directory: string): MetaProperties | null {
  const path = joinPath(directory, META_PROPERTIES_FILE)
  if (!files.exists(path)) return null
  const bytes = files.readFile(path)
  const entries = new Map<string, string>()
  for (const line of decodeUtf8(bytes, 0, bytes.length).split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match !== null) entries.set(match[1]!, match[2]!.replaceAll('\\', ''))
  }
  const brokerId = entries.get('broker.id')
  return {
    brokerId: brokerId === undefined ? null : Number(brokerId),
    clusterId: entries.get('cluster.id') ?? null,
    entries,
  }
}

/** Writes the file anew; does nothing when it says the same already. */
export async function writeMetaProperties(
  files: FileSystem,
  directory: string,
  identity: { brokerId: number; clusterId: string },
): Promise<void> {
  const present = readMetaProperties(files, directory)
  if (present !== null && present.brokerId === identity.brokerId && present.clusterId === identity.clusterId) return
  const entries = new Map(present?.entries ?? [['version', '0']])
  entries.set('broker.id', String(identity.brokerId)).set('cluster.id', identity.clusterId)
  const lines = ['#', ...[...entries].map(([key, value]) => `${key}=${value}`), '']
  await writeWhole(files, joinPath(directory, META_PROPERTIES_FILE), encodeUtf8(lines.join('\n')))
}
