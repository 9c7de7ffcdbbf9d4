/**
 * `npm run soak -- WHAT`: long runs of real processes. One file per WHAT.
 *
 *     npm run soak -- clients [--minutes N] [--rate N]
 *     npm run soak -- cluster [--minutes N] [--rate N]
 *     npm run soak -- ensemble [--minutes N] [--against apache]
 *     npm run soak -- ensemble --failovers N [--against apache]
 */
import { wordAndOptions } from '../tools/options.ts'
import { soakClients } from './clients.ts'
import { soakCluster } from './cluster.ts'
import { soakEnsemble } from './ensemble.ts'
import { measureFailovers } from './failovers.ts'

const { word, options } = wordAndOptions(['clients', 'cluster', 'ensemble'], {
  minutes: 15,
  rate: 1000,
  failovers: 0,
  against: ['apache'],
})
const { minutes, rate, failovers, against } = options
process.exitCode = await run()

function run(): Promise<number> {
  if (word === 'clients') return soakClients({ minutes, rate })
  if (word === 'cluster') return soakCluster({ minutes, rate })
  if (failovers > 0) return measureFailovers(failovers, against === undefined ? ['samsa'] : ['apache', 'samsa'])
  return soakEnsemble({ minutes, implementation: against ?? 'samsa' })
}
