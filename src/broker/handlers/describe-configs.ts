/** DescribeConfigs: configurations of topics and of this broker, with where each value is from. */
import { DescribeConfigs } from '#protocol/messages/describe-configs'

import { handler } from './handler.ts'

export const describeConfigs = handler(DescribeConfigs, async (broker, message, { apiVersion }) => {
  const { resources, includeSynonyms, includeDocumentation } = message
  const results = resources.map(async ({ resourceType, resourceName, configurationKeys }) => {
    const keys = configurationKeys === null || configurationKeys.length === 0 ? null : configurationKeys
    const options = { keys, includeSynonyms, includeDocumentation }
    const described = await broker.configAdministration.describe(resourceType, resourceName, options)
    return {
      errorCode: described.errorCode,
      errorMessage: described.errorMessage,
      resourceType,
      resourceName,
      configs: described.configs.map(({ isDefault, ...config }) =>
        apiVersion === 0 ? { ...config, isDefault } : config,
      ),
    }
  })
  return { throttleTimeMs: 0, results: await Promise.all(results) }
})
