/**
 * Compiles a version of a message to a function, on first use. Where code from strings is forbidden (a
 * browser's content policy, `--disallow-code-generation-from-strings`) it gives null, and the interpreter serves.
 */
import type { ByteReader, ByteWriter } from '#base'

import { decoderCode } from './decoder-code.ts'
import { encoderCode } from './encoder-code.ts'
import * as runtime from './runtime.ts'
import type { MessageSchema } from './schema.ts'

/** Returns undefined for bytes that the interpreter refuses; the reader's position is then of no meaning. */
export type Decoder = (reader: ByteReader) => unknown

/** Returns false for a message that the interpreter refuses; the writer then holds a part of it. */
export type Encoder = (writer: ByteWriter, message: unknown) => boolean

export function compileDecoder(schema: MessageSchema, version: number): Decoder | null {
  return compile(`decode ${schema.name} v${version}`, 'reader', decoderCode(schema, version)) as Decoder | null
}

export function compileEncoder(schema: MessageSchema, version: number): Encoder | null {
  const body = `${encoderCode(schema, version)}\nreturn true`
  return compile(`encode ${schema.name} v${version}`, 'writer, message', body) as Encoder | null
}

const RUNTIME_NAMES = Object.keys(runtime)

function compile(title: string, parameters: string, body: string): unknown {
  const name = title.replaceAll(' ', '_')
  const source = `'use strict'
const { ${RUNTIME_NAMES.join(', ')} } = runtime
return function ${name}(${parameters}) {
${body}
}
//# sourceURL=samsa:protocol/${name}.js`
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- the source comes from our own declarations only
    return (new Function('runtime', source) as (given: typeof runtime) => unknown)(runtime)
  } catch (error) {
    if (error instanceof EvalError) return null
    throw error
  }
}
