/** Which operation has which request and answer. */
import { OpCode } from './constants.ts'
import { nothing, type RecordCodec, type RecordOf } from './jute.ts'
import { MultiReadRequest, MultiRequest, MultiResponse } from './multi.ts'
import {
  CreateRequest,
  CreateTtlRequest,
  CreateResponse,
  Create2Response,
  DeleteRequest,
  ReadRequest,
  PathRequest,
  StatResponse,
  GetDataResponse,
  SetDataRequest,
  GetAclResponse,
  SetAclRequest,
  GetChildrenResponse,
  GetChildren2Response,
  SyncResponse,
  CheckVersionRequest,
  ReconfigRequest,
  AuthPacket,
  SaslPacket,
  SetWatches,
  SetWatches2,
  AddWatchRequest,
  WatchesRequest,
  ErrorResponse,
  GetEphemeralsResponse,
  GetAllChildrenNumberResponse,
  WhoAmIResponse,
} from './requests.ts'

export interface Operation<Request, Response> {
  readonly name: keyof typeof OpCode
  readonly code: OpCode
  readonly request: RecordCodec<Request>
  /** Present only in an answer without error. */
  readonly response: RecordCodec<Response>
}

function operation<Request, Response>(
  name: keyof typeof OpCode,
  request: RecordCodec<Request>,
  response: RecordCodec<Response>,
): Operation<Request, Response> {
  return { name, code: OpCode[name], request, response }
}

/** All that a client may send, by name. */
export const operations = {
  create: operation('create', CreateRequest, CreateResponse),
  create2: operation('create2', CreateRequest, Create2Response),
  createContainer: operation('createContainer', CreateRequest, Create2Response),
  createTTL: operation('createTTL', CreateTtlRequest, Create2Response),
  delete: operation('delete', DeleteRequest, nothing),
  deleteContainer: operation('deleteContainer', PathRequest, nothing),
  exists: operation('exists', ReadRequest, StatResponse),
  getData: operation('getData', ReadRequest, GetDataResponse),
  setData: operation('setData', SetDataRequest, StatResponse),
  getACL: operation('getACL', PathRequest, GetAclResponse),
  setACL: operation('setACL', SetAclRequest, StatResponse),
  getChildren: operation('getChildren', ReadRequest, GetChildrenResponse),
  getChildren2: operation('getChildren2', ReadRequest, GetChildren2Response),
  sync: operation('sync', PathRequest, SyncResponse),
  ping: operation('ping', nothing, nothing),
  check: operation('check', CheckVersionRequest, nothing),
  multi: operation('multi', MultiRequest, MultiResponse),
  multiRead: operation('multiRead', MultiReadRequest, MultiResponse),
  reconfig: operation('reconfig', ReconfigRequest, GetDataResponse),
  auth: operation('auth', AuthPacket, nothing),
  sasl: operation('sasl', SaslPacket, SaslPacket),
  setWatches: operation('setWatches', SetWatches, nothing),
  setWatches2: operation('setWatches2', SetWatches2, nothing),
  addWatch: operation('addWatch', AddWatchRequest, ErrorResponse),
  checkWatches: operation('checkWatches', WatchesRequest, nothing),
  removeWatches: operation('removeWatches', WatchesRequest, nothing),
  getEphemerals: operation('getEphemerals', PathRequest, GetEphemeralsResponse),
  getAllChildrenNumber: operation('getAllChildrenNumber', PathRequest, GetAllChildrenNumberResponse),
  whoAmI: operation('whoAmI', nothing, WhoAmIResponse),
  closeSession: operation('closeSession', nothing, nothing),
} as const

export type OperationName = keyof typeof operations
export type RequestOf<Name extends OperationName> = RecordOf<(typeof operations)[Name]['request']>
export type ResponseOf<Name extends OperationName> = RecordOf<(typeof operations)[Name]['response']>
