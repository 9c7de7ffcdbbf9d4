/** What the commands that talk to a cluster have in common: their options, and how they print. */
import { KafkaError } from '#client/cluster'
import type { Platform } from '#platform'
import { nodePlatform } from '#platform/node'

import { UserError } from './user-error.ts'

export interface ClusterOptions {
  bootstrapServer: string
  /** In ms. */
  timeout: number
  json?: true
}

export const CLIENT_ID = 'samsa-cli'

/** Clients tell their user what went wrong; their warnings on the way there would only get between the lines. */
export function clientPlatform(): Platform {
  return nodePlatform({ logLevel: 'error' })
}

/** A client's error is the user's to mend: one line, without a stack trace. */
export async function forUser<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KafkaError) throw new UserError(error.message)
    throw error
  }
}

/** Says what became of each; a failure makes the command fail, unless the user is content with it. */
export function report(
  done: string,
  results: ReadonlyMap<string, KafkaError | null>,
  options: ClusterOptions,
  contentWith: string | null = null,
): void {
  const failures = [...results].filter(([, error]) => error !== null && error.codeName !== contentWith)
  if (options.json) printJson(Array.from(results, ([name, error]) => ({ name, error: error?.message ?? null })))
  else for (const [name, error] of results) if (error === null) print(`${done} ${name}`)
  if (failures.length > 0) throw new UserError(failures.map(([name, error]) => `${name}: ${error!.message}`).join('\n'))
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}
