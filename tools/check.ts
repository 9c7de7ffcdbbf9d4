/** Types, lint, format, layering and form, side by side. The layering and form tests run with `npm test` too. */
import { spawn } from 'node:child_process'

const CHECKS: Record<string, string[]> = {
  types: ['tsc'],
  lint: ['oxlint', '--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'soak', 'tools'],
  format: ['oxfmt', '--check', '.'],
  reference: ['node', 'tools/config-reference.ts', '--check'],
  form: ['node', '--test', 'src/layers.test.ts', 'src/form.test.ts'],
}

const results = await Promise.all(Object.entries(CHECKS).map(([name, [command, ...args]]) => run(name, command!, args)))
if (results.includes(false)) process.exitCode = 1

function run(name: string, command: string, args: string[]): Promise<boolean> {
  const started = performance.now()
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
      if (code !== 0) console.log(output)
      resolve(code === 0)
    })
  })
}
