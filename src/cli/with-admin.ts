/** An admin client for the time of a command. */
import { Admin } from '#client/admin'

import { CLIENT_ID, clientPlatform, forUser, type ClusterOptions } from './cluster-options.ts'

export async function withAdmin<Result>(
  options: ClusterOptions,
  use: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  return forUser(async () => {
    await using admin = new Admin(clientPlatform(), {
      bootstrapServers: options.bootstrapServer,
      clientId: CLIENT_ID,
      defaultApiTimeoutMs: options.timeout,
      requestTimeoutMs: options.timeout,
    })
    return await use(admin)
  })
}
