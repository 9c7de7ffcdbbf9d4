/** Deletes topics, from version 6 on also by id; answered by the controller. */
import {
  api,
  array,
  int16,
  int32,
  string,
  uuid,
  type RequestInputOf,
  type RequestOf,
  type ResponseInputOf,
  type ResponseOf,
} from '#protocol'

export const DeleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  versions: [0, 6],
  flexibleSince: 4,
  request: {
    topics: array({
      /** Null if the topic is named by its id. */
      name: string.nullable().default(null),
      topicId: uuid,
    }).since(6),
    topicNames: array(string).until(5).ignorable,
    /** How long to wait until the topics are gone, in ms. */
    timeoutMs: int32,
  },
  response: {
    throttleTimeMs: int32.since(1).ignorable,
    responses: array({
      /** Null if the client may not know it. */
      name: string.nullable(6),
      topicId: uuid.since(6).ignorable,
      errorCode: int16,
      errorMessage: string.since(5).nullable().default(null).ignorable,
    }),
  },
})

export type DeleteTopicsRequest = RequestOf<typeof DeleteTopics>
export type DeleteTopicsRequestInput = RequestInputOf<typeof DeleteTopics>
export type DeleteTopicsResponse = ResponseOf<typeof DeleteTopics>
export type DeleteTopicsResponseInput = ResponseInputOf<typeof DeleteTopics>
