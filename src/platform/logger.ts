export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** What operators read. A message is one line that says what happened and, where something is wrong, what would be right. */
export interface Logger {
  debug(message: string): void
  info(message: string): void
  warn(message: string, error?: unknown): void
  error(message: string, error?: unknown): void
  /** A logger whose lines carry this name, e.g. `broker 1`. */
  named(name: string): Logger
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  named: () => silentLogger,
}
