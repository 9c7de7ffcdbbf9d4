"""A member of a group that tells all: group_member.py confluent-kafka|kafka-python BOOTSTRAP TOPIC GROUP

One JSON object per line: {"assigned": [partitions]}, {"revoked": [partitions]}, {"record": [partition, offset, value]}.
Commits as it goes, and leaves the group at SIGTERM.
"""

import json
import signal
import sys

client, bootstrap, topic, group = sys.argv[1:]
stopping = False


def stop(_signal, _frame):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)


def tell(what, detail):
    print(json.dumps({what: detail}), flush=True)


def confluent():
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 200,
            "partition.assignment.strategy": "range",
        }
    )
    consumer.subscribe(
        [topic],
        on_assign=lambda _, partitions: tell("assigned", [p.partition for p in partitions]),
        on_revoke=lambda _, partitions: tell("revoked", [p.partition for p in partitions]),
    )
    while not stopping:
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            tell("record", [message.partition(), message.offset(), message.value().decode()])
    consumer.close()


def kafka_python():
    from kafka import ConsumerRebalanceListener, KafkaConsumer

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            tell("assigned", [p.partition for p in assigned])

        def on_partitions_revoked(self, revoked):
            tell("revoked", [p.partition for p in revoked])

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        group_id=group,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=200,
    )
    consumer.subscribe([topic], listener=Listener())
    while not stopping:
        for records in consumer.poll(timeout_ms=100).values():
            for record in records:
                tell("record", [record.partition, record.offset, record.value.decode()])
    consumer.close()


{"confluent-kafka": confluent, "kafka-python": kafka_python}[client]()
