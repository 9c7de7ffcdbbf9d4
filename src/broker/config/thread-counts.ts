/** How far the threads of a broker may become more or fewer while it runs. Source: `kafka.server.DynamicThreadPool`, `LogCleaner`. */
import { brokerSetting, layersOf, type BrokerSettingName, type BrokerTexts } from './broker-config.ts'

const THREAD_COUNTS: readonly BrokerSettingName[] = [
  'num.io.threads',
  'num.network.threads',
  'num.replica.fetchers',
  'num.recovery.threads.per.data.dir',
  'background.threads',
  'log.cleaner.threads',
]

/** Why no broker goes from the one to the other in one step; null: it can. */
export function threadCountFault(now: BrokerTexts, next: BrokerTexts): string | null {
  for (const name of THREAD_COUNTS) {
    const [present, wanted] = [countIn(now, name), countIn(next, name)]
    if (wanted === present) continue
    const least = Math.max(1, Math.floor(present / 2))
    if (wanted < least || wanted > 2 * present)
      return `${name}: ${wanted} is not possible while the broker runs with ${present}; expected ${least} to ${2 * present}`
  }
  return null
}

function countIn(texts: BrokerTexts, name: BrokerSettingName): number {
  return brokerSetting(name)!.parse(layersOf(texts, name)[0]!.text!) as number
}
