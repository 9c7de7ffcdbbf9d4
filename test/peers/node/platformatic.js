import { createRequire } from 'node:module'

import { batchesOfLines, main, print } from './lines.js'

const { Consumer, MessagesStreamModes, Producer, stringDeserializers, stringSerializers } = createRequire(
  process.env.NODE_CLIENTS,
)('@platformatic/kafka')

await main({
  async produce(bootstrapBrokers, topic, compression) {
    const producer = new Producer({
      clientId: 'platformatic',
      bootstrapBrokers,
      serializers: stringSerializers,
      acks: -1,
    })
    let sent = 0
    for await (const lines of batchesOfLines(5000))
      await producer.send({ messages: lines.map((value) => ({ topic, value, partition: sent++ % 3 })), compression })
    await producer.close()
  },

  async consume(bootstrapBrokers, topic, count) {
    const consumer = new Consumer({
      clientId: 'platformatic',
      groupId: `platformatic-${process.pid}-${topic}`,
      bootstrapBrokers,
      deserializers: stringDeserializers,
      maxBytes: 4 << 20,
    })
    const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: false })
    let left = count
    let text = ''
    for await (const { partition, value } of stream) {
      text += `${partition}\t${value}\n`
      left--
      if (text.length < 65_536 && left > 0) continue
      await print(text)
      text = ''
      if (left <= 0) break
    }
    await consumer.close(true)
  },
})
