/**
 * Resolves with the first SIGINT or SIGTERM. A second one ends the process at once, as people expect who
 * press Ctrl-C again.
 */
export function stopRequested(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.kill(process.pid, 'SIGKILL')
      asked = true
      resolve(signal)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}
