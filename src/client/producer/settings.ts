/** Rules between the producer's settings, as Java's ProducerConfig has them: what a default gives way to, and what is refused. */
import { ConfigError } from '../errors.ts'
import { givenKeys, resolveConfig } from '../config-table.ts'
import { producerSettings, type ProducerConfig, type ProducerOptions } from '../config.ts'

/** Brokers remember so many batches of a producer, and tell repeated from new ones only among them. */
const IN_FLIGHT_MAX_WITH_IDEMPOTENCE = 5

export function resolveProducerConfig(options: ProducerOptions): ProducerConfig {
  const config = resolveConfig(producerSettings, options, 'producer')
  const given = givenKeys(producerSettings, options, 'producer')
  return {
    ...config,
    enableIdempotence: idempotence(config, given),
    deliveryTimeoutMs: deliveryTimeout(config, given),
  }
}

/** On by default; off where other settings rule it out, unless it was asked for. */
function idempotence(config: ProducerConfig, given: ReadonlySet<string>): boolean {
  if (!config.enableIdempotence) return false
  const obstacle = obstacleToIdempotence(config)
  if (obstacle === null) return true
  if (given.has('enableIdempotence')) throw new ConfigError(`enable.idempotence needs ${obstacle}`)
  return false
}

function obstacleToIdempotence({ acks, retries, maxInFlightRequestsPerConnection }: ProducerConfig): string | null {
  if (acks !== 'all') return `acks=all, and acks is ${acks}`
  if (retries === 0) return 'retries, and retries is 0'
  if (maxInFlightRequestsPerConnection > IN_FLIGHT_MAX_WITH_IDEMPOTENCE)
    return `at most 5 requests in flight, and max.in.flight.requests.per.connection is ${maxInFlightRequestsPerConnection}`
  return null
}

/** Long enough for a batch to linger and for one request to run its time; a default is raised to that. */
function deliveryTimeout(config: ProducerConfig, given: ReadonlySet<string>): number {
  const { deliveryTimeoutMs, lingerMs, requestTimeoutMs } = config
  const leastMs = lingerMs + requestTimeoutMs
  if (deliveryTimeoutMs >= leastMs) return deliveryTimeoutMs
  if (!given.has('deliveryTimeoutMs')) return leastMs
  throw new ConfigError(
    `delivery.timeout.ms is ${deliveryTimeoutMs}, and must be at least linger.ms + request.timeout.ms (${leastMs})`,
  )
}
