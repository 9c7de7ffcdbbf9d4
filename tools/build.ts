/**
 * `npm run build`: the sources as JavaScript under `dist/`, with declarations. `dist/package.json` maps the rooms'
 * doors, so that the built files import each other by the same names as the sources.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')

/** Paths start from where the file lies. */
const CONFIG = {
  extends: '../tsconfig.json',
  compilerOptions: {
    noEmit: false,
    declaration: true,
    rootDir: '../src',
    outDir: '../dist',
    rewriteRelativeImportExtensions: true,
  },
  include: ['../src'],
  // Tests and what only they use.
  exclude: [
    '../src/**/*.test.ts',
    '../src/**/fake-*.ts',
    '../src/**/scripted-*.ts',
    '../src/**/testing.ts',
    '../src/**/plain-client.ts',
    // Of the simulation, its world is for the users' tests; the rest is for ours.
    '../src/simulation/main.ts',
    '../src/simulation/checker',
    '../src/simulation/cluster',
    '../src/simulation/workload',
  ],
}

const CONFIG_PATH = join(ROOT, '.cache/tsconfig.build.json')

export async function build(): Promise<void> {
  rmSync(DIST, { recursive: true, force: true })
  mkdirSync(DIST)
  mkdirSync(dirname(CONFIG_PATH), { recursive: true })
  writeFileSync(CONFIG_PATH, JSON.stringify(CONFIG))
  const tsc = spawn(join(ROOT, 'node_modules/.bin/tsc'), ['-p', CONFIG_PATH], { stdio: 'inherit', cwd: ROOT })
  const [code] = (await once(tsc, 'close')) as [number | null]
  if (code !== 0) throw new Error(`tsc ended with ${code}`)
  writeFileSync(
    join(DIST, 'package.json'),
    `${JSON.stringify({
      type: 'module',
      imports: { '#protocol/messages/*': './protocol/messages/*.js', '#*': './*/index.js' },
    })}\n`,
  )
  chmodSync(join(DIST, 'cli/main.js'), 0o755)
}

if (import.meta.main) {
  try {
    await build()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
