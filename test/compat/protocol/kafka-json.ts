/** A message as the JSON that Apache's converters read. */
import { type FieldType, type Member, type MessageSchema, isPresent } from '../../../src/protocol/index.ts'

export function kafkaJson(schema: MessageSchema, message: Record<string, unknown>, version: number): string {
  if (schema.name !== 'Request header') return structJson(schema.members, message, version)
  const members = schema.members.map(({ name, field }) => ({ name: HEADER_NAMES[name] ?? name, field }))
  return structJson(
    members,
    { ...message, requestApiKey: message['apiKey'], requestApiVersion: message['apiVersion'] },
    version,
  )
}

/** Apache's request header calls these fields otherwise. */
const HEADER_NAMES: Readonly<Record<string, string>> = { apiKey: 'requestApiKey', apiVersion: 'requestApiVersion' }

function structJson(members: readonly Member[], struct: Record<string, unknown>, version: number): string {
  const parts = members
    .filter(({ field }) => isPresent(field, version))
    .map(({ name, field }) => `${JSON.stringify(name)}:${valueJson(field.traits.type, struct[name], version)}`)
  return `{${parts.join(',')}}`
}

function valueJson(type: FieldType, value: unknown, version: number): string {
  if (value === null) return 'null'
  switch (type.kind) {
    case 'bytes':
    case 'records':
      return JSON.stringify(Buffer.from(value as Uint8Array).toString('base64'))
    case 'float64':
      // A whole number needs its point, or Jackson reads an integer and the converter refuses it.
      return Number.isInteger(value) ? `${value as number}.0` : `${value as number}`
    case 'array':
      return `[${(value as unknown[]).map((item) => valueJson(type.element, item, version)).join(',')}]`
    case 'struct':
      return structJson(type.members, value as Record<string, unknown>, version)
    case 'bool':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uuid':
    case 'string':
      return JSON.stringify(value)
  }
}
