"""confluent-kafka (librdkafka under Python), speaking in lines as the other clients of test/peers do.

confluent.py produce BOOTSTRAP TOPIC CODEC    each line of standard input becomes a record
confluent.py consume BOOTSTRAP TOPIC COUNT    prints PARTITION, a tab and the value of COUNT records
"""

import os
import sys

from confluent_kafka import Consumer, Producer


def produce(bootstrap, topic, codec):
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "enable.idempotence": True,
            "linger.ms": 5,
        }
    )
    failures = []

    def delivered(error, _):
        if error is not None:
            failures.append(error)

    for line in sys.stdin.buffer:
        while True:
            try:
                producer.produce(topic, line.rstrip(b"\n"), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)
    if failures:
        raise SystemExit(str(failures[0]))


def consume(bootstrap, topic, count):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"confluent-{os.getpid()}-{topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    left = int(count)
    while left > 0:
        lines = []
        for message in consumer.consume(20000, 0.5):
            if message.error():
                raise SystemExit(str(message.error()))
            lines.append(b"%d\t%s\n" % (message.partition(), message.value()))
        sys.stdout.buffer.write(b"".join(lines))
        left -= len(lines)
    sys.stdout.buffer.flush()
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
