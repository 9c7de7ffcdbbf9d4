import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** A native addon of another package, or null where it has no build for this machine. */
export function loadAddon<Addon>(name: string): Addon | null {
  try {
    return require(name) as Addon
  } catch {
    return null
  }
}
