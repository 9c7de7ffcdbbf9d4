/** Configurations of topics, brokers and loggers, with where each value comes from. */
import {
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  string,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const DescribeConfigs = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: [0, 4],
  flexibleSince: 4,
  request: {
    resources: array({
      /** 2 topic, 4 broker, 8 logger of a broker. */
      resourceType: int8,
      resourceName: string,
      /** Null asks for all. */
      configurationKeys: array(string).nullable(),
    }),
    /** Asks for all places that give the value, the winner first. */
    includeSynonyms: bool.since(1).default(false),
    includeDocumentation: bool.since(3).default(false),
  },
  response: {
    throttleTimeMs: int32,
    results: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      /** 2 topic, 4 broker, 8 logger of a broker. */
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        /** Null if it has none, or is sensitive. */
        value: string.nullable(),
        readOnly: bool,
        isDefault: bool.until(0),
        /**
         * 1 topic, 2 broker (dynamic), 3 all brokers (dynamic), 4 broker (file), 5 default, 6 logger; -1 if not told.
         */
        configSource: int8.since(1).default(-1).ignorable,
        /** A password or the like: its value is never told. */
        isSensitive: bool,
        synonyms: array({
          name: string,
          value: string.nullable(),
          /** Numbered as `configSource`. */
          source: int8,
        }).since(1).ignorable,
        /** 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password. */
        configType: int8.since(3).default(0).ignorable,
        documentation: string.since(3).nullable().ignorable,
      }),
    }),
  },
})

export type DescribeConfigsRequest = RequestOf<typeof DescribeConfigs>
export type DescribeConfigsRequestInput = RequestInputOf<typeof DescribeConfigs>
export type DescribeConfigsResponse = ResponseOf<typeof DescribeConfigs>
export type DescribeConfigsResponseInput = ResponseInputOf<typeof DescribeConfigs>
