/** `npm run soak -- WHAT`: long runs of real processes. One file per WHAT. */
import { parseArgs } from 'node:util'

import { soakClients } from './clients.ts'
import { soakCluster } from './cluster.ts'
import { soakEnsemble } from './ensemble.ts'
import { measureFailovers } from './failovers.ts'

const USAGE = `usage: npm run soak -- clients [--minutes N] [--rate N]
       npm run soak -- cluster [--minutes N] [--rate N]
       npm run soak -- ensemble [--minutes N] [--against apache]
       npm run soak -- ensemble --failovers N [--against apache]`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '15' },
    rate: { type: 'string', default: '1000' },
    failovers: { type: 'string' },
    against: { type: 'string' },
  },
})
const minutes = Number(values.minutes)
const withApache = values.against === 'apache'
if (positionals[0] === 'clients') process.exitCode = await soakClients({ minutes, rate: Number(values.rate) })
else if (positionals[0] === 'cluster') process.exitCode = await soakCluster({ minutes, rate: Number(values.rate) })
else if (positionals[0] !== 'ensemble') throw new Error(USAGE)
else if (values.failovers !== undefined)
  process.exitCode = await measureFailovers(Number(values.failovers), withApache ? ['apache', 'samsa'] : ['samsa'])
else process.exitCode = await soakEnsemble({ minutes, implementation: withApache ? 'apache' : 'samsa' })
