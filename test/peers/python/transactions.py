"""A transactional producer on confluent-kafka (librdkafka).

transactions.py BOOTSTRAP TOPIC WORD…    each word is a transaction of its own: commit:a,b or abort:c

Prints what became of each; a cluster that serves no transactions makes it end with its error.
"""

import sys
import time

from confluent_kafka import KafkaException, Producer


def main(bootstrap, topic, *words):
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": "transactions.py", "transaction.timeout.ms": 30000}
    )
    begun = time.time()
    try:
        producer.init_transactions(30)
    except KafkaException as error:
        print(f"refused after {time.time() - begun:.1f} s: {error.args[0].name()}", file=sys.stderr)
        sys.exit(1)
    for word in words:
        outcome, values = word.split(":")
        producer.begin_transaction()
        for value in values.split(","):
            producer.produce(topic, value=value.encode(), partition=0)
        producer.flush(30)
        if outcome == "commit":
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        print(word)


main(*sys.argv[1:])
