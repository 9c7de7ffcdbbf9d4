"""kafka-python, speaking in lines as the other clients of test/peers do.

kafka_python.py produce BOOTSTRAP TOPIC CODEC    each line of standard input becomes a record
kafka_python.py consume BOOTSTRAP TOPIC COUNT    prints PARTITION, a tab and the value of COUNT records
"""

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def produce(bootstrap, topic, codec):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        compression_type=None if codec == "none" else codec,
        acks="all",
        linger_ms=5,
        batch_size=262144,
    )
    failures = []
    for line in sys.stdin.buffer:
        producer.send(topic, line.rstrip(b"\n")).add_errback(failures.append)
    producer.flush(timeout=200)
    producer.close()
    if failures:
        raise failures[0]


def consume(bootstrap, topic, count):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=20000,
        max_partition_fetch_bytes=4 << 20,
    )
    consumer.assign([TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))])
    left = int(count)
    while left > 0:
        lines = []
        for partition, records in consumer.poll(timeout_ms=1000).items():
            prefix = b"%d\t" % partition.partition
            lines += [prefix + record.value for record in records]
        if lines:
            sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
        left -= len(lines)
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
