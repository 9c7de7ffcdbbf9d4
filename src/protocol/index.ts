export { ApiKey, type ApiInfo, apiByKey, supportedApis } from './apis.ts'
export { ErrorCode, type ErrorInfo, errorOf } from './errors.ts'
export {
  array,
  bool,
  bytes,
  float64,
  int16,
  int32,
  int64,
  int8,
  records,
  string,
  struct,
  uuid,
  type Fields,
} from './field.ts'
export {
  type RequestHeader,
  type ResponseHeader,
  decodeRequestHeader,
  decodeResponseHeader,
  encodeRequestHeader,
  encodeResponseHeader,
  requestHeaderVersion,
  responseHeaderVersion,
} from './header.ts'
export {
  Message,
  api,
  message,
  type AnyApi,
  type Api,
  type MessageInputOf,
  type MessageOf,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
  type VersionRange,
} from './message.ts'
export { EncodingError } from './schema.ts'
export { ZERO_UUID, isUuid, uuidFromBytes, uuidToBytes } from './uuid.ts'

// For those who walk a declaration: tools that print messages, and the tests' random messages and oracle.
export { type AnyField, type FieldType, type Member, defaultOf, isNullable, isPresent, isTagged } from './field.ts'
export { interpretDecode, interpretEncode } from './interpreter.ts'
export type { MessageSchema } from './schema.ts'
