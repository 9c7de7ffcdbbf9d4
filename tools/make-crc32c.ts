/** Writes `src/base/crc32c-binary.ts` anew from the generator. Run: `node tools/make-crc32c.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { makeCrc32cModule } from '../src/base/crc32c-module.ts'

const path = join(import.meta.dirname, '../src/base/crc32c-binary.ts')
const { bytes, dataStart } = makeCrc32cModule()
const base64 = Buffer.from(bytes).toString('base64')
const written = readFileSync(path, 'utf8')
  .replace(/DATA_START = [\d_]+/, `DATA_START = ${dataStart}`)
  .replace(/(BINARY_BASE64 =\s*)'[^']*'/, `$1'${base64}'`)
writeFileSync(path, written)
