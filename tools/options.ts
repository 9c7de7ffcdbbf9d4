/** The command line of the scripts in `bench` and `soak`. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/**
 * An option by its default: `false` for a switch, a number, a text. A list holds all that it may be, and it is undefined if
 * nothing is said.
 */
type Declared = Readonly<Record<string, false | number | string | readonly string[]>>

type Given<D extends Declared> = {
  readonly [Name in keyof D]: D[Name] extends readonly (infer Word)[]
    ? Word | undefined
    : D[Name] extends false
      ? boolean
      : D[Name] extends number
        ? number
        : string
}

/** What stands behind the script's name. Anything else than what is declared is told in one line, and the process ends with 2. */
export function scriptOptions<const D extends Declared>(declared: D): Given<D> {
  return wordAndOptions([], declared).options
}

/** The same for a script whose first argument is one of these words. */
export function wordAndOptions<const W extends string, const D extends Declared>(
  words: readonly W[],
  declared: D,
): { word: W; options: Given<D> } {
  const refuse = (reason: string): never => {
    const known = [...(words.length === 0 ? [] : [words.join('|')]), ...Object.entries(declared).map(shown)]
    console.error(`${reason}; known: ${known.join(', ')}`)
    process.exit(2)
  }
  const { values, positionals } = parsed(declared, refuse)
  const [word, surplus] = words.length === 0 ? [undefined, positionals[0]] : positionals
  if (surplus !== undefined) refuse(`unexpected argument '${surplus}'`)
  if (words.length > 0 && !words.includes(word as W))
    refuse(word === undefined ? 'an argument is missing' : `unexpected argument '${word}'`)
  const options = Object.entries(declared).map(([name, of]) => [name, valueOf(name, of, values[name], refuse)])
  return { word: word as W, options: Object.fromEntries(options) as Given<D> }
}

type Refuse = (reason: string) => never

function parsed(
  declared: Declared,
  refuse: Refuse,
): { values: Readonly<Record<string, unknown>>; positionals: readonly string[] } {
  const options: ParseArgsOptionsConfig = {}
  for (const [name, of] of Object.entries(declared)) options[name] = { type: of === false ? 'boolean' : 'string' }
  try {
    return parseArgs({ allowPositionals: true, options })
  } catch (error) {
    // The first sentence says what is wrong, the others how to write it in spite of that.
    const [reason] = (error as Error).message.split(/\.\s/)
    return refuse(reason!.replace(/^./, (letter) => letter.toLowerCase()))
  }
}

function valueOf(name: string, of: Declared[string], given: unknown, refuse: Refuse): unknown {
  if (given === undefined) return typeof of === 'object' ? undefined : of
  if (typeof of === 'object' && !of.includes(given as string)) refuse(`--${name} cannot be '${given as string}'`)
  if (typeof of !== 'number') return given
  const number = Number(given)
  if (given === '' || !(number >= 0)) refuse(`--${name} needs a number, not '${given as string}'`)
  return number
}

function shown([name, of]: readonly [string, Declared[string]]): string {
  if (of === false) return `--${name}`
  return `--${name} ${typeof of === 'object' ? of.join('|') : typeof of === 'number' ? 'N' : of}`
}
