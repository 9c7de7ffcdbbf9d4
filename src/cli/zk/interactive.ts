/** The shell at a terminal: prompt, line editing, completion, and events that come while a line is being typed. */
import { clearLine, createInterface, cursorTo, type Interface } from 'node:readline'

import { complete } from './complete.ts'
import type { Shell, ShellOutput } from './shell.ts'

/** Output that keeps the line that is being typed below itself. */
export class TerminalOutput implements ShellOutput {
  readonly #stdout: NodeJS.WriteStream
  /** Set while a line is being typed. */
  typing: Interface | null = null

  constructor(stdout: NodeJS.WriteStream) {
    this.#stdout = stdout
  }

  out(text: string | Uint8Array): void {
    if (this.typing !== null) {
      clearLine(this.#stdout, 0)
      cursorTo(this.#stdout, 0)
    }
    this.#stdout.write(text)
    this.#stdout.write('\n')
    this.typing?.prompt(true)
  }

  err(text: string): void {
    this.out(text)
  }
}

/** Resolves when the user has left, or the signal came. */
export async function interact(shell: Shell, output: TerminalOutput, signal: AbortSignal): Promise<void> {
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    historySize: 1000,
    removeHistoryDuplicates: true,
    completer: (line: string, callback: (error: Error | null, result: [string[], string]) => void) => {
      complete(shell, line).then(
        (result) => callback(null, result),
        (error: Error) => callback(error, [[], line]),
      )
    },
  })
  signal.addEventListener('abort', () => lines.close(), { once: true })
  // Ctrl-C takes back what was typed; on an empty line, or while a command runs, it leaves.
  lines.on('SIGINT', () => {
    if (output.typing === null) void shell.close()
    if (output.typing === null || lines.line === '') return lines.close()
    lines.write(null, { ctrl: true, name: 'e' })
    lines.write(null, { ctrl: true, name: 'u' })
  })
  const ask = (): void => {
    lines.setPrompt(shell.prompt)
    output.typing = lines
    lines.prompt()
  }
  ask()
  for await (const line of lines) {
    output.typing = null
    await shell.executeLine(line)
    if (shell.hasQuit) break
    ask()
  }
  output.typing = null
  lines.close()
  if (!shell.hasQuit) process.stdout.write('\n')
}
