/**
 * What the broker serves, in which versions. A version that the broker does not know is answered in version 0 with
 * UNSUPPORTED_VERSION and the list (KIP-511); the response header never has a tag section (see header.ts).
 */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const ApiVersions = api({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleSince: 3,
  request: {
    clientSoftwareName: string.since(3).ignorable,
    clientSoftwareVersion: string.since(3).ignorable,
  },
  response: {
    errorCode: int16,
    apiKeys: array({
      apiKey: int16,
      minVersion: int16,
      maxVersion: int16,
    }),
    throttleTimeMs: int32.since(1).ignorable,
    supportedFeatures: array({
      name: string,
      minVersion: int16,
      maxVersion: int16,
    }).tagged(0, 3).ignorable,
    /** Version of the `/feature` znode; -1 if not known. */
    finalizedFeaturesEpoch: int64.default(-1).tagged(1, 3).ignorable,
    finalizedFeatures: array({
      name: string,
      maxVersionLevel: int16,
      minVersionLevel: int16,
    }).tagged(2, 3).ignorable,
    /** True only for a controller of KRaft. */
    zkMigrationReady: bool.default(false).tagged(3, 3).ignorable,
  },
})

export type ApiVersionsRequest = RequestOf<typeof ApiVersions>
export type ApiVersionsRequestInput = RequestInputOf<typeof ApiVersions>
export type ApiVersionsResponse = ResponseOf<typeof ApiVersions>
export type ApiVersionsResponseInput = ResponseInputOf<typeof ApiVersions>
