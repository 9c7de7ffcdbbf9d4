import type * as Zlib from 'node:zlib'

/** Loaded when it is first needed: it takes 9 ms, which a short command notices. */
export const zlib = (): typeof Zlib => process.getBuiltinModule('node:zlib')
