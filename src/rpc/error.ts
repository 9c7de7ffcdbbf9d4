/** A request that got no answer. Codes inside of answers are the caller's affair. */
export class RpcError extends Error {
  override name = 'RpcError'
  readonly kind: RpcErrorKind
  /** Whether the same request may succeed when it is sent again. It may have been carried out already. */
  readonly retriable: boolean

  constructor(kind: RpcErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
    this.retriable = kind !== 'closed' && kind !== 'unsupportedVersion' && kind !== 'malformedAnswer'
  }
}

/**
 * `connect`: no connection came about. `disconnected`: it broke before the answer came. `timeout`: neither broke nor answered in
 * time; the connection is dropped, since its order is lost. `closed`: by its owner. `unsupportedVersion`: both sides have no
 * version in common. `malformedAnswer`: what came is no answer.
 */
export type RpcErrorKind = 'connect' | 'disconnected' | 'timeout' | 'closed' | 'unsupportedVersion' | 'malformedAnswer'
