import { assert } from '#base'
import {
  PRODUCER_ID_BLOCK_SIZE,
  ZnodePath,
  decodeProducerIdBlock,
  encodeProducerIdBlock,
  type ProducerIdBlock,
} from '#metadata/znodes'
import type { RetryingZooKeeper } from '#zookeeper/client'

/**
 * Takes the next thousand producer ids for a broker. No id is ever given twice: the block is written on the version that was read, and who
 * was too late reads again. Source: `ZkProducerIdManager.getNewProducerIdBlock`.
 */
export async function claimProducerIds(zk: RetryingZooKeeper, brokerId: number): Promise<ProducerIdBlock> {
  for (;;) {
    const { data, stat } = await zk.getData(ZnodePath.producerIdBlock)
    const last = decodeProducerIdBlock(data)
    const start = last === null ? 0 : last.end + 1
    const block = { brokerId, start, end: start + PRODUCER_ID_BLOCK_SIZE - 1 }
    assert(Number.isSafeInteger(block.end), 'the producer ids are used up')
    const result = await zk.updateConditionally(ZnodePath.producerIdBlock, encodeProducerIdBlock(block), stat.version)
    if (result.kind === 'updated') return block
  }
}
