"""A member of a group, on confluent-kafka, that says what it is assigned: assignments.py BOOTSTRAP TOPIC GROUP

Prints `assigned N` or `revoked N` at each rebalance, until it is ended.
"""

import sys

from confluent_kafka import Consumer

bootstrap, topic, group = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1500,
        "auto.offset.reset": "earliest",
    }
)
consumer.subscribe(
    [topic],
    on_assign=lambda _, partitions: print("assigned", len(partitions), flush=True),
    on_revoke=lambda _, partitions: print("revoked", len(partitions), flush=True),
)
while True:
    message = consumer.poll(0.5)
    if message is not None and message.error():
        print("error", message.error(), flush=True)
