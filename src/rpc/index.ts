export {
  CLOSE_CONNECTION,
  Deferred,
  Reply,
  type Answer,
  type RpcPeer,
  type RpcRequest,
  type Settled,
} from './answer.ts'
export { BrokerConnection, type BrokerConnectionOptions, type SendOptions } from './broker-connection.ts'
export { RpcError, type RpcErrorKind } from './error.ts'
export { LogLimiter } from './log-limiter.ts'
export { RpcServer, type RpcHandler, type RpcLimits } from './server.ts'
