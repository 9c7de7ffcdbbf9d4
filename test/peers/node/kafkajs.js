import { createRequire } from 'node:module'

import { batchesOfLines, main, print } from './lines.js'

const { CompressionTypes, Kafka, logLevel } = createRequire(process.env.NODE_CLIENTS)('kafkajs')

await main({
  async produce(brokers, topic, codec) {
    const producer = client(brokers).producer()
    await producer.connect()
    for await (const lines of batchesOfLines(20_000)) {
      const messages = lines.map((value) => ({ value }))
      await producer.send({
        topic,
        messages,
        acks: -1,
        compression: CompressionTypes[codec === 'none' ? 'None' : 'GZIP'],
      })
    }
    await producer.disconnect()
  },

  async consume(brokers, topic, count) {
    const consumer = client(brokers).consumer({
      groupId: `kafkajs-${process.pid}-${topic}`,
      maxBytesPerPartition: 4 << 20,
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    let left = count
    await new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      void consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch: { partition, messages } }) => {
          await print(messages.map(({ value }) => `${partition}\t${value}\n`).join(''))
          left -= messages.length
          if (left <= 0) resolve()
        },
      })
    })
    await consumer.disconnect()
  },
})

function client(brokers) {
  return new Kafka({ brokers, clientId: 'kafkajs', logLevel: logLevel.ERROR })
}
