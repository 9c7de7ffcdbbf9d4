/** Configurations of topics and brokers: what they are, where each value comes from, and how they are changed. */
import { ErrorCode } from '#protocol'
import { DescribeConfigs, type DescribeConfigsResponse } from '#protocol/messages/describe-configs'
import { IncrementalAlterConfigs } from '#protocol/messages/incremental-alter-configs'

import type { CallOptions, Cluster } from '../cluster/index.ts'
import { KafkaError, kafkaError } from '../errors.ts'

/** A topic by name, a broker by id, what holds for all brokers that say nothing else, or the levels of a broker's loggers (KIP-412). */
export type ConfigResource =
  | { readonly topic: string }
  | { readonly broker: number }
  | { readonly broker: 'default' }
  | { readonly loggersOf: number }

/**
 * Where a value comes from: the topic, the broker or all brokers as they were altered at run time, the broker's file, or Kafka's default;
 * null where the broker does not tell.
 */
export type ConfigSource = 'topic' | 'broker' | 'allBrokers' | 'file' | 'default' | 'logger'

export interface ConfigEntry {
  readonly name: string
  /** Null where it has none, or is not told since it is a password or the like. */
  readonly value: string | null
  readonly source: ConfigSource | null
  readonly isDefault: boolean
  readonly isReadOnly: boolean
  readonly isSensitive: boolean
}

/** The new value; null: back to the default. Lists may be added to and taken from. */
export type ConfigChange = string | null | { readonly append: string } | { readonly subtract: string }

/** Of calls that change something. */
export interface ChangeOptions extends CallOptions {
  /** Checks all and changes nothing. */
  readonly validateOnly?: boolean
}

export interface DescribeConfigOptions extends CallOptions {
  /** All if left out. */
  readonly names?: readonly string[]
}

const RESOURCE_TOPIC = 2
const RESOURCE_BROKER = 4
const RESOURCE_BROKER_LOGGER = 8
const OPERATION = { set: 0, delete: 1, append: 2, subtract: 3 } as const
/** By the number in the answer. */
const SOURCES: readonly (ConfigSource | null)[] = [null, 'topic', 'broker', 'allBrokers', 'file', 'default', 'logger']

export class ConfigAdmin {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** By name. */
  async describe(resource: ConfigResource, options: DescribeConfigOptions = {}): Promise<ConfigEntry[]> {
    const { nodeId, ...place } = placeOf(resource)
    const request = { resources: [{ ...place, configurationKeys: options.names ?? null }] }
    const { results } = await this.#cluster.sendTo(nodeId, DescribeConfigs, request, options)
    const [result] = results
    if (result === undefined) throw new KafkaError(`the broker says nothing of ${nameOf(resource)}`)
    if (result.errorCode !== ErrorCode.NONE) throw kafkaError(result.errorCode, result.errorMessage ?? nameOf(resource))
    return result.configs.map(toEntry).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Changes what is named and nothing else (KIP-339), all of it or none. Brokers before 2.3 cannot: UNSUPPORTED_VERSION. Which of its
   * settings a broker takes at run time is its own to say.
   */
  async alter(
    resource: ConfigResource,
    changes: ReadonlyMap<string, ConfigChange>,
    options: ChangeOptions = {},
  ): Promise<void> {
    const { nodeId, ...place } = placeOf(resource)
    const request = {
      resources: [{ ...place, configs: Array.from(changes, ([name, change]) => ({ name, ...operationOf(change) })) }],
      validateOnly: options.validateOnly ?? false,
    }
    const { responses } = await this.#cluster.sendTo(nodeId, IncrementalAlterConfigs, request, options)
    const failed = responses.find(({ errorCode }) => errorCode !== ErrorCode.NONE)
    if (failed !== undefined) throw kafkaError(failed.errorCode, failed.errorMessage ?? nameOf(resource))
  }
}

/** What belongs to one broker is asked of that one, and the rest of any. */
function placeOf(resource: ConfigResource): { resourceType: number; resourceName: string; nodeId: number | null } {
  if ('topic' in resource) return { resourceType: RESOURCE_TOPIC, resourceName: resource.topic, nodeId: null }
  if ('loggersOf' in resource)
    return {
      resourceType: RESOURCE_BROKER_LOGGER,
      resourceName: String(resource.loggersOf),
      nodeId: resource.loggersOf,
    }
  if (resource.broker === 'default') return { resourceType: RESOURCE_BROKER, resourceName: '', nodeId: null }
  return { resourceType: RESOURCE_BROKER, resourceName: String(resource.broker), nodeId: resource.broker }
}

function nameOf(resource: ConfigResource): string {
  if ('topic' in resource) return `topic ${resource.topic}`
  return 'loggersOf' in resource ? `loggers of broker ${resource.loggersOf}` : `broker ${resource.broker}`
}

function operationOf(change: ConfigChange): { configOperation: number; value: string | null } {
  if (change === null) return { configOperation: OPERATION.delete, value: null }
  if (typeof change === 'string') return { configOperation: OPERATION.set, value: change }
  return 'append' in change
    ? { configOperation: OPERATION.append, value: change.append }
    : { configOperation: OPERATION.subtract, value: change.subtract }
}

function toEntry(config: DescribeConfigsResponse['results'][number]['configs'][number]): ConfigEntry {
  const { name, value, readOnly, isSensitive, isDefault, configSource } = config
  const source = SOURCES[configSource] ?? null
  return {
    name,
    value,
    source,
    // Brokers of before 1.1 tell only whether it is the default.
    isDefault: source === null ? isDefault : source === 'default',
    isReadOnly: readOnly,
    isSensitive,
  }
}
