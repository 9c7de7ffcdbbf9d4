/** A view for tests: of a server that runs, with what a test wants to be otherwise. */
import { SessionTracker, ZnodeTree } from '#zookeeper/tree'

import { parseZooCfg } from '../config.ts'
import { ServerMetrics } from '../metrics/server-metrics.ts'
import { SizeStats, TrafficStats } from '../stats.ts'
import type { AdminView } from './view.ts'

export function viewOfTest(lines: string = '4lw.commands.whitelist=*', changes: Partial<AdminView> = {}): AdminView {
  const stats = new TrafficStats()
  stats.received = 7
  stats.latency.add(3)
  stats.latency.add(4)
  const tracker = new SessionTracker(1000, 0)
  tracker.track(10n, 5000, 0)
  return {
    config: parseZooCfg(`dataDir=/d\nclientPort=1\n${lines}`, { sid: 2 }).config,
    metrics: new ServerMetrics(),
    stats,
    responses: new SizeStats(),
    connections: [],
    connectionCount: 2,
    outstanding: 1,
    port: 2181,
    securePort: 0,
    uptimeMs: 12.5,
    role: 'standalone',
    tree: ZnodeTree.fresh({ extendedTypes: false }),
    tracker,
    ensemble: null,
    traceMask: 306n,
    process: () => ({
      openFiles: 20,
      maxFiles: 100,
      cpuSeconds: 1.5,
      startedSeconds: 9,
      residentBytes: 1000,
      virtualBytes: 2000,
    }),
    environment: () => [['os.name', 'Linux']],
    snapshotBytes: () => 10,
    logBytes: () => 20,
    lastSnapshot: () => ({ zxid: 26n, wallMs: 1_700_000_000_123 }),
    wallOfMs: (ms) => ms,
    wallOfSessionMs: (ms) => ms,
    ...changes,
  }
}

/** The `zoo.cfg` of server 2 of three, the third of which observes. */
export const ENSEMBLE_LINES = `4lw.commands.whitelist=*
initLimit=10
syncLimit=5
server.1=h1:2888:3888
server.2=h2:2888:3888
server.3=h3:2888:3888:observer`
