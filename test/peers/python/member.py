"""A member of a group that decides itself when to commit, on kafka-python.

member.py BOOTSTRAP TOPIC GROUP STOP_AFTER [COMMIT_AT POSITION]

Reads the one partition record by record and prints the offset of each that it has processed. After COMMIT_AT records
it commits POSITION. After STOP_AFTER records it says so and waits for its end, which a test makes a hard one.
"""

import sys
import time

from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata


def main(bootstrap, topic, group, stop_after, commit_at=-1, position=-1):
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap.split(","),
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        max_poll_records=1,
    )
    processed = 0
    for record in consumer:
        print(record.offset, flush=True)
        processed += 1
        if processed == int(commit_at):
            consumer.commit({TopicPartition(topic, record.partition): OffsetAndMetadata(int(position), "", -1)})
            print("committed", position, flush=True)
        if processed == int(stop_after):
            break
    print("waiting", flush=True)
    time.sleep(300)


if __name__ == "__main__":
    main(*sys.argv[1:])
