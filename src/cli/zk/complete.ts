/** What Tab offers: commands, their options, and paths of the tree. */
import type { Shell } from './shell.ts'

/** The whole words that may stand where the last one is, and the part of it that is there already. */
export async function complete(shell: Shell, line: string): Promise<[offers: string[], part: string]> {
  const words = line.trimStart().split(/\s+/)
  const part = words.at(-1)!
  const offers = (await offersFor(shell, words, part)).filter((offer) => offer.startsWith(part))
  // Another word follows a command.
  return [words.length === 1 && offers.length === 1 ? [`${offers[0]} `] : offers, part]
}

async function offersFor(shell: Shell, words: readonly string[], part: string): Promise<string[]> {
  const names = shell.commands.map(({ name }) => name)
  if (words.length === 1) return names
  if (part.startsWith('/')) return await pathsFor(shell, part)
  const command = shell.commands.find(({ name }) => name === words[0])
  if (command === undefined) return []
  if (part.startsWith('-'))
    return [...(command.flags ?? '').split(''), ...(command.values ?? [])].map((name) => `-${name}`)
  return command.name === 'help' ? names : [...(command.choices ?? [])]
}

/** Children of what is before the last slash. Nothing when that is not there. */
async function pathsFor(shell: Shell, part: string): Promise<string[]> {
  const parent = part.slice(0, part.lastIndexOf('/'))
  try {
    const { children } = await shell.zk.getChildren(parent === '' ? '/' : parent)
    return children.map((name) => `${parent}/${name}`).sort()
  } catch {
    return []
  }
}
