/** The group APIs: the coordinator decides while it is called, so that a member's requests take effect in their order. */
import type { RequestContext } from '#coordinator/group'
import { DeleteGroups } from '#protocol/messages/delete-groups'
import { DescribeGroups } from '#protocol/messages/describe-groups'
import { Heartbeat } from '#protocol/messages/heartbeat'
import { JoinGroup } from '#protocol/messages/join-group'
import { LeaveGroup } from '#protocol/messages/leave-group'
import { ListGroups } from '#protocol/messages/list-groups'
import { OffsetDelete } from '#protocol/messages/offset-delete'
import { SyncGroup } from '#protocol/messages/sync-group'
import type { RpcRequest } from '#rpc'

import { ALL_GROUP_OPERATIONS } from './authorized-operations.ts'
import { handler, type BrokerHandler } from './handler.ts'

/** A member may heartbeat while its JoinGroup waits. */
const PIPELINED = { pipelined: true }

export function requestContext({ apiVersion, clientId, connection }: RpcRequest): RequestContext {
  return { apiVersion, clientId: clientId ?? '', clientHost: `/${connection.remoteHost}` }
}

const joinGroup = handler(
  JoinGroup,
  (broker, message, request) => broker.groups.joinGroup(message, requestContext(request)),
  PIPELINED,
)

const syncGroup = handler(SyncGroup, (broker, message) => broker.groups.syncGroup(message), PIPELINED)

const heartbeat = handler(Heartbeat, (broker, message) => broker.groups.heartbeat(message), PIPELINED)

const leaveGroup = handler(
  LeaveGroup,
  (broker, message, request) => broker.groups.leaveGroup(message, requestContext(request)),
  PIPELINED,
)

const offsetDelete = handler(OffsetDelete, (broker, message) => broker.groups.deleteOffsets(message))

const listGroups = handler(ListGroups, (broker, message) => broker.groups.listGroups(message))

const describeGroups = handler(DescribeGroups, async (broker, message) => {
  const response = await broker.groups.describeGroups(message)
  if (!message.includeAuthorizedOperations) return response
  const groups = response.groups.map((group) => ({ ...group, authorizedOperations: ALL_GROUP_OPERATIONS }))
  return { ...response, groups }
})

const deleteGroups = handler(DeleteGroups, (broker, message) => broker.groups.deleteGroups(message))

export const GROUP_HANDLERS: readonly BrokerHandler[] = [
  joinGroup,
  syncGroup,
  heartbeat,
  leaveGroup,
  offsetDelete,
  listGroups,
  describeGroups,
  deleteGroups,
]
