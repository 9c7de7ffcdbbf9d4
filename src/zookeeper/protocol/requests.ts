/** Requests and answers of every operation of 3.9, except multi. Source: zookeeper.jute. */
import { boolean, buffer, int, long, record, time, ustring, vector, type RecordOf } from './jute.ts'
import { Acl, ClientInfo, Stat, paths } from './records.ts'

/** `flags` is a `CreateMode`. */
export const CreateRequest = record('CreateRequest', { path: ustring, data: buffer, acl: vector(Acl), flags: int })
export type CreateRequest = RecordOf<typeof CreateRequest>

/** `ttl` in ms: how long the znode lives without children and without being written. */
export const CreateTtlRequest = record('CreateTTLRequest', {
  path: ustring,
  data: buffer,
  acl: vector(Acl),
  flags: int,
  ttl: time,
})
export type CreateTtlRequest = RecordOf<typeof CreateTtlRequest>

/** `path` is the one that was created, with its sequence number. */
export const CreateResponse = record('CreateResponse', { path: ustring })
export type CreateResponse = RecordOf<typeof CreateResponse>

export const Create2Response = record('Create2Response', { path: ustring, stat: Stat })
export type Create2Response = RecordOf<typeof Create2Response>

/** `version` -1 is any: so in all requests that carry one. */
export const DeleteRequest = record('DeleteRequest', { path: ustring, version: int })
export type DeleteRequest = RecordOf<typeof DeleteRequest>

/** exists, getData, getChildren, getChildren2. */
export const ReadRequest = record('ReadRequest', { path: ustring, watch: boolean })
export type ReadRequest = RecordOf<typeof ReadRequest>

/** getACL, sync, getAllChildrenNumber, getEphemerals (there a prefix), deleteContainer. */
export const PathRequest = record('PathRequest', { path: ustring })
export type PathRequest = RecordOf<typeof PathRequest>

/** exists, setData, setACL. */
export const StatResponse = record('StatResponse', { stat: Stat })
export type StatResponse = RecordOf<typeof StatResponse>

export const GetDataResponse = record('GetDataResponse', { data: buffer, stat: Stat })
export type GetDataResponse = RecordOf<typeof GetDataResponse>

export const SetDataRequest = record('SetDataRequest', { path: ustring, data: buffer, version: int })
export type SetDataRequest = RecordOf<typeof SetDataRequest>

export const GetAclResponse = record('GetACLResponse', { acl: vector(Acl), stat: Stat })
export type GetAclResponse = RecordOf<typeof GetAclResponse>

/** `version` is compared with the znode's `aversion`. */
export const SetAclRequest = record('SetACLRequest', { path: ustring, acl: vector(Acl), version: int })
export type SetAclRequest = RecordOf<typeof SetAclRequest>

export const GetChildrenResponse = record('GetChildrenResponse', { children: paths })
export type GetChildrenResponse = RecordOf<typeof GetChildrenResponse>

export const GetChildren2Response = record('GetChildren2Response', { children: paths, stat: Stat })
export type GetChildren2Response = RecordOf<typeof GetChildren2Response>

export const SyncResponse = record('SyncResponse', { path: ustring })
export type SyncResponse = RecordOf<typeof SyncResponse>

export const CheckVersionRequest = record('CheckVersionRequest', { path: ustring, version: int })
export type CheckVersionRequest = RecordOf<typeof CheckVersionRequest>

/** UTF-8 each; null is another thing than empty to the server: nothing of that kind is asked for. */
export const ReconfigRequest = record('ReconfigRequest', {
  joiningServers: buffer,
  leavingServers: buffer,
  newMembers: buffer,
  curConfigId: long,
})
export type ReconfigRequest = RecordOf<typeof ReconfigRequest>

export const AuthPacket = record('AuthPacket', { type: int, scheme: ustring, auth: buffer })
export type AuthPacket = RecordOf<typeof AuthPacket>

export const SaslPacket = record('SaslPacket', { token: buffer })
export type SaslPacket = RecordOf<typeof SaslPacket>

/** Everything that happened after `relativeZxid` fires at once; the rest is registered again. */
export const SetWatches = record('SetWatches', {
  relativeZxid: long,
  dataWatches: paths,
  existWatches: paths,
  childWatches: paths,
})
export type SetWatches = RecordOf<typeof SetWatches>

export const SetWatches2 = record('SetWatches2', {
  relativeZxid: long,
  dataWatches: paths,
  existWatches: paths,
  childWatches: paths,
  persistentWatches: paths,
  persistentRecursiveWatches: paths,
})
export type SetWatches2 = RecordOf<typeof SetWatches2>

/** `mode` is an `AddWatchMode`. */
export const AddWatchRequest = record('AddWatchRequest', { path: ustring, mode: int })
export type AddWatchRequest = RecordOf<typeof AddWatchRequest>

/** checkWatches and removeWatches; `type` is a `WatcherType`. */
export const WatchesRequest = record('WatchesRequest', { path: ustring, type: int })
export type WatchesRequest = RecordOf<typeof WatchesRequest>

/** The body of an answer to addWatch, and of a failed entry in a multi. */
export const ErrorResponse = record('ErrorResponse', { err: int })
export type ErrorResponse = RecordOf<typeof ErrorResponse>

export const GetEphemeralsResponse = record('GetEphemeralsResponse', { ephemerals: paths })
export type GetEphemeralsResponse = RecordOf<typeof GetEphemeralsResponse>

export const GetAllChildrenNumberResponse = record('GetAllChildrenNumberResponse', { totalNumber: int })
export type GetAllChildrenNumberResponse = RecordOf<typeof GetAllChildrenNumberResponse>

export const WhoAmIResponse = record('WhoAmIResponse', { clientInfo: vector(ClientInfo) })
export type WhoAmIResponse = RecordOf<typeof WhoAmIResponse>
