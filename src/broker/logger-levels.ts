/**
 * Levels of the broker's loggers, as DescribeConfigs and IncrementalAlterConfigs show and change them (KIP-412). `root` is the broker
 * itself; the others are named by what they log. A change holds until the broker stops. Source: Log4jController, ConfigAdminManager.
 */
import type { LogLevel, Logger } from '#platform'

import { ConfigError } from './config/index.ts'

export const ROOT_LOGGER = 'root'

/** Log4j's names for levels, and what they mean here. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
  FATAL: 'error',
}

/** Every logger with its level in force. */
export function loggerLevels(root: Logger): Map<string, string> {
  const levels = new Map([[ROOT_LOGGER, root.level.toUpperCase()]])
  for (const [name, logger] of root.children) levels.set(name, logger.level.toUpperCase())
  return levels
}

/** Null: from now on the root's level holds. Throws `ConfigError` for a logger or a level that there is not. */
export function checkLoggerLevel(root: Logger, name: string, level: string | null): void {
  if (name !== ROOT_LOGGER && !root.children.has(name))
    throw new ConfigError(`Logger ${name} does not exist; there are ${[...loggerLevels(root).keys()].join(', ')}`)
  if (level !== null && !Object.hasOwn(LEVELS, level))
    throw new ConfigError(`${level} is not a level of a logger; there are ${Object.keys(LEVELS).join(', ')}`)
}

export function setLoggerLevel(root: Logger, name: string, level: string | null): void {
  const logger = name === ROOT_LOGGER ? root : root.children.get(name)
  logger?.setLevel(level === null ? null : LEVELS[level]!)
}
