/**
 * Becoming the controller: whoever creates /controller and raises /controller_epoch in one step. The epoch's new version is
 * the token that fences all further writes.
 */
import { ErrorCode } from '#protocol'
import { CreateMode, isZkError, type RetryingZooKeeper, type Watcher } from '#zookeeper/client'
import {
  ZnodePath,
  decodeController,
  decodeControllerEpoch,
  encodeController,
  encodeControllerEpoch,
} from '#metadata/znodes'

/** Another broker has been elected: whatever this controller meant to do is no longer its to do. */
export class ControllerMovedError extends Error {
  override name = 'ControllerMovedError'
  readonly errorCode = ErrorCode.STALE_CONTROLLER_EPOCH
}

export interface ElectedEpoch {
  readonly epoch: number
  /** Version of /controller_epoch after the election. */
  readonly zkVersion: number
}

/** No broker is the controller. */
export const NO_CONTROLLER = -1

export async function readControllerId(zk: RetryingZooKeeper, watcher?: Watcher): Promise<number> {
  // exists sets the watch also when there is none, to hear of the creation.
  if (watcher !== undefined) await zk.exists(ZnodePath.controller, watcher)
  const found = await zk.find(ZnodePath.controller)
  return found === null ? NO_CONTROLLER : decodeController(found.data)
}

/** Throws `ControllerMovedError` when another was faster. `timestamp` is the wall clock in ms. */
export async function becomeController(
  zk: RetryingZooKeeper,
  brokerId: number,
  timestamp: number,
): Promise<ElectedEpoch> {
  const before = await readOrCreateEpoch(zk)
  const epoch = before.epoch + 1
  try {
    const results = await zk.multi([
      {
        op: 'create',
        path: ZnodePath.controller,
        data: encodeController(brokerId, timestamp),
        mode: CreateMode.ephemeral,
      },
      {
        op: 'setData',
        path: ZnodePath.controllerEpoch,
        data: encodeControllerEpoch(epoch),
        version: before.zkVersion,
      },
    ])
    return { epoch, zkVersion: results[1]!.stat!.version }
  } catch (error) {
    if (!isZkError(error, 'NODEEXISTS', 'BADVERSION')) throw error
    return await recognizeOwnElection(zk, brokerId, epoch)
  }
}

async function readOrCreateEpoch(zk: RetryingZooKeeper): Promise<ElectedEpoch> {
  await zk.ensurePath(ZnodePath.controllerEpoch, encodeControllerEpoch(0))
  const { data, stat } = await zk.getData(ZnodePath.controllerEpoch)
  return { epoch: decodeControllerEpoch(data), zkVersion: stat.version }
}

/** The refusal may come from one's own success, whose answer was lost with the connection. */
async function recognizeOwnElection(zk: RetryingZooKeeper, brokerId: number, epoch: number): Promise<ElectedEpoch> {
  const controllerId = await readControllerId(zk)
  const { data, stat } = await zk.getData(ZnodePath.controllerEpoch)
  const stored = decodeControllerEpoch(data)
  if (controllerId === brokerId && stored === epoch) return { epoch, zkVersion: stat.version }
  throw new ControllerMovedError(`broker ${controllerId} is the controller, with epoch ${stored}`)
}
