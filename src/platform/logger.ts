export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** What operators read. A message is one line that says what happened and, where something is wrong, what would be right. */
export interface Logger {
  debug(message: string): void
  info(message: string): void
  warn(message: string, error?: unknown): void
  error(message: string, error?: unknown): void
  /** A logger whose lines carry this name, e.g. `broker 1`; the same one for the same name. */
  named(name: string): Logger
  /** The least level that is printed; a named logger without one of its own has that of the logger it was named by. */
  readonly level: LogLevel
  /** Null: none of its own. */
  setLevel(level: LogLevel | null): void
  /** Those that were named by this one. */
  readonly children: ReadonlyMap<string, Logger>
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  named: () => silentLogger,
  level: 'error',
  setLevel() {},
  children: new Map(),
}
