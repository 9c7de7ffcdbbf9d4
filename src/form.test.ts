/**
 * The world comes in through `platform` only, so that one seed replays a whole cluster. These names are
 * therefore banned outside `platform/node`, the programs' entries and tests.
 */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'

const SRC = import.meta.dirname

/** The world's own side: its room, and the programs' entries. */
const EXEMPT = ['platform/node/', 'cli/', 'simulation/main.ts']

/** The one return to the real loop per simulated event, which drains the promise queue. */
const PERMITTED: Record<string, keyof typeof BANNED> = { 'simulation/scheduler.ts': 'timers' }

const BANNED: Record<string, RegExp> = {
  "the world's modules":
    /from '(?:node:)?(?:fs|fs\/promises|net|tls|dgram|http|https|http2|dns|timers|timers\/promises|child_process|cluster|worker_threads|os|perf_hooks)'/,
  timers: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\(/,
  'process.nextTick': /process\.nextTick/,
  'the wall clock': /\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bhrtime\b/,
  randomness: /\bMath\.random\b|\bcrypto\.random|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/,
  'pooled zlib and crypto': /\b(?:gzip|gunzip|inflate|deflate|zstdCompress|zstdDecompress|pbkdf2|scrypt|hkdf)\(/,
  'AbortSignal.timeout': /AbortSignal\.timeout/,
  'asynchronous WebAssembly': /WebAssembly\.(?:compile|instantiate)\b/,
  'weak references': /\bWeakRef\b|\bFinalizationRegistry\b/,
  'Atomics.waitAsync': /Atomics\.waitAsync/,
  'locale and zone': /\.toLocale|\bIntl\./,
  'what Node 24 does not have': /\.(?:toHex|toBase64|setFromHex|setFromBase64)\(|Uint8Array\.from(?:Hex|Base64)/,
}

test('nothing goes around the platform', () => {
  const faults: string[] = []
  for (const path of sources()) {
    const lines = readFileSync(join(SRC, path), 'utf8').split('\n')
    for (const [index, line] of lines.entries()) {
      if (/^\s*(?:\/\/|\*|\/\*)/.test(line)) continue
      for (const [what, pattern] of Object.entries(BANNED))
        if (pattern.test(line) && PERMITTED[path] !== what) faults.push(`${path}:${index + 1}: ${what}: ${line.trim()}`)
    }
  }
  assert.deepEqual(faults, [])
})

function sources(): string[] {
  return readdirSync(SRC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => relative(SRC, join(entry.parentPath, entry.name)))
    .filter((path) => !EXEMPT.some((folder) => path.startsWith(folder)))
}
