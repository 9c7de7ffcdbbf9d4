#!/usr/bin/env node
/**
 * The entry of the `samsa` command. It loads nothing before it knows that this Node can run the rest, and
 * each command loads its own rooms only when it is called, so that `--help` is instant.
 */
const NODE_MAJOR_MIN = 24

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `samsa: Node.js ${NODE_MAJOR_MIN} or newer is needed, this is ${process.versions.node}: install a current LTS\n`,
  )
  process.exitCode = 1
} else {
  // The pool serves file reads and syncs of all brokers of the process; its size is read at its first use.
  process.env['UV_THREADPOOL_SIZE'] ??= '16'
  const { enableCompileCache } = await import('node:module')
  enableCompileCache()
  const { runCommandLine } = await import('./program.ts')
  await runCommandLine(process.argv)
}
