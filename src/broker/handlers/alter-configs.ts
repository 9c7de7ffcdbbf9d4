/** AlterConfigs (replaces all that is set) and IncrementalAlterConfigs (changes single keys; KIP-339). */
import { AlterConfigs } from '#protocol/messages/alter-configs'
import { IncrementalAlterConfigs } from '#protocol/messages/incremental-alter-configs'

import { handler } from './handler.ts'

export const alterConfigs = handler(AlterConfigs, async (broker, { resources, validateOnly }) => {
  const responses = resources.map(async ({ resourceType, resourceName, configs }) => ({
    ...(await broker.configAdministration.replace(resourceType, resourceName, configs, validateOnly)),
    resourceType,
    resourceName,
  }))
  return { throttleTimeMs: 0, responses: await Promise.all(responses) }
})

export const incrementalAlterConfigs = handler(IncrementalAlterConfigs, async (broker, { resources, validateOnly }) => {
  const responses = resources.map(async ({ resourceType, resourceName, configs }) => {
    const changes = configs.map(({ name, configOperation, value }) => ({ name, operation: configOperation, value }))
    return {
      ...(await broker.configAdministration.alterIncrementally(resourceType, resourceName, changes, validateOnly)),
      resourceType,
      resourceName,
    }
  })
  return { throttleTimeMs: 0, responses: await Promise.all(responses) }
})
