/** The package as people get it: built, packed, installed into an empty folder, and run. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

test('the package builds, packs, installs and runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'samsa-package-'))
  const run = (command: string, args: string[], cwd: string): string =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    run(process.execPath, ['tools/build.ts'], ROOT)
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], ROOT)) as [
      { filename: string; files: { path: string }[] },
    ]
    assert.deepEqual(
      packed.files.map(({ path }) => path).filter((path) => /\.test\.|(?<!\.d)\.ts$/.test(path)),
      [],
      'neither sources nor tests are in the package',
    )
    writeFileSync(join(folder, 'package.json'), '{}')
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, packed.filename)], folder)
    const help = run(process.execPath, ['node_modules/.bin/samsa', '--help'], folder)
    assert.match(help, /samsa up/)
    const { bin } = JSON.parse(readFileSync(join(folder, 'node_modules/samsa/package.json'), 'utf8')) as {
      bin: { samsa: string }
    }
    assert.match(bin.samsa, /^(\.\/)?dist\//)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
