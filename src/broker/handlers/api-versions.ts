/** ApiVersions: what this broker serves. Clients ask it first; an unknown version is answered by `#rpc` (KIP-511). */
import { ErrorCode } from '#protocol'
import { ApiVersions } from '#protocol/messages/api-versions'

import { handler } from './handler.ts'

/** KIP-511: names and versions of client software are words, digits, and `.` and `-` between them. */
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

export const apiVersions = handler(ApiVersions, (broker, message, { apiVersion, connection }) => {
  if (apiVersion >= 3) {
    const { clientSoftwareName, clientSoftwareVersion } = message
    if (!SOFTWARE.test(clientSoftwareName) || !SOFTWARE.test(clientSoftwareVersion))
      return { errorCode: ErrorCode.INVALID_REQUEST, apiKeys: [] }
    connection.clientSoftwareName = clientSoftwareName
    connection.clientSoftwareVersion = clientSoftwareVersion
  }
  return {
    errorCode: ErrorCode.NONE,
    apiKeys: broker.advertisedApis,
    // −1 leaves the field out: the node is absent or disabled.
    finalizedFeaturesEpoch: broker.finalizedFeaturesEpoch,
  }
})
