/**
 * Shows the server who we are by SASL DIGEST-MD5, and makes it show that it knows our password, before anything else is sent.
 * Source: ZooKeeperSaslClient.
 */
import { toBase64 } from '#base'
import type { Random } from '#platform'
import { DigestMd5Client, SaslError } from '#security/sasl'
import { ZkErrorCode, operations, zkErrorName } from '#zookeeper/protocol'

import type { ServerConnection } from './connection.ts'

export interface SaslLogin {
  readonly user: string
  readonly password: string
}

/** What ZooKeeper's servers call themselves here, whatever they are called. */
const HOST = 'zk-sasl-md5'
const SERVICE = 'zookeeper'
const NONCE_BYTES = 30

/** `done` is told null, or why it has failed. It is not called when the connection is lost meanwhile. */
export function loginBySasl(
  connection: ServerConnection,
  login: SaslLogin,
  random: Random,
  done: (failure: string | null) => void,
): void {
  const client = new DigestMd5Client({
    ...login,
    service: SERVICE,
    host: HOST,
    cnonce: toBase64(random.bytes(NONCE_BYTES)),
  })
  const send = (token: Uint8Array): void =>
    connection.send({
      operation: operations.sasl,
      request: { token },
      onReply: (code, response) => {
        if (code !== ZkErrorCode.OK) return done(zkErrorName(code))
        const { token: answer } = response as { token: Uint8Array | null }
        if (answer === null || answer.length === 0) return done('the server has no SASL')
        try {
          const next = client.evaluate(answer)
          if (next === null) done(null)
          else send(next)
        } catch (error) {
          if (!(error instanceof SaslError)) throw error
          done(error.message)
        }
      },
      onLoss: () => {},
    })
  send(new Uint8Array(0))
}
