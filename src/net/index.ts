export { FrameError, FramedConnection, type CloseReason, type FramedHandler, type FramedOptions } from './connection.ts'
export { ConnectionLimits, FramedListener, type ConnectionLimitsOptions, type FramedListenOptions } from './listener.ts'
