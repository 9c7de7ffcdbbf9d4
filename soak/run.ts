/** `npm run soak -- WHAT`: long runs of real processes. One file per WHAT. */
import { parseArgs } from 'node:util'

import { soakClients } from './clients.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '15' },
    rate: { type: 'string', default: '1000' },
  },
})
if (positionals[0] !== 'clients') throw new Error('usage: npm run soak -- clients [--minutes N] [--rate N]')
process.exitCode = await soakClients({ minutes: Number(values.minutes), rate: Number(values.rate) })
