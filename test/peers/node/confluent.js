import { createRequire } from 'node:module'

import { batchesOfLines, main, print } from './lines.js'

const { Kafka, logLevel } = createRequire(process.env.NODE_CLIENTS)('@confluentinc/kafka-javascript').KafkaJS

await main({
  async produce(brokers, topic, codec) {
    const producer = client(brokers).producer({ 'compression.codec': codec, 'linger.ms': 5, acks: -1 })
    await producer.connect()
    for await (const lines of batchesOfLines(20_000))
      await producer.send({ topic, messages: lines.map((value) => ({ value })) })
    await producer.disconnect()
  },

  async consume(brokers, topic, count) {
    const consumer = client(brokers).consumer({
      'group.id': `confluent-${process.pid}-${topic}`,
      'auto.offset.reset': 'earliest',
      'enable.auto.commit': false,
      'js.consumer.max.batch.size': 1000,
    })
    await consumer.connect()
    await consumer.subscribe({ topic })
    let left = count
    await new Promise((resolve) => {
      void consumer.run({
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
  return new Kafka({ kafkaJS: { brokers, clientId: 'confluent', logLevel: logLevel.ERROR } })
}
