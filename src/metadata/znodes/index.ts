export { ZnodeFormatError } from './json.ts'
export {
  DEFAULT_ENTITY,
  PERSISTENT_PATHS,
  SequencePrefix,
  ZnodePath,
  desanitizeEntity,
  sanitizeEntity,
  sequenceNumberOf,
  type ConfigEntityType,
} from './paths.ts'
export * from './znodes.ts'
