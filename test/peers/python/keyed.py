"""Sends the lines of standard input as keys: keyed.py confluent-kafka|kafka-python BOOTSTRAP TOPIC

The value is the client's name. librdkafka is told to place keys as Java does; kafka-python does so by itself.
"""

import sys

client, bootstrap, topic = sys.argv[1:]
keys = [line.rstrip(b"\n") for line in sys.stdin.buffer]

if client == "confluent-kafka":
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    for key in keys:
        producer.produce(topic, client.encode(), key=key)
    if producer.flush(60) > 0:
        raise SystemExit("not all was sent")
else:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap.split(","))
    for sent in [producer.send(topic, client.encode(), key=key) for key in keys]:
        sent.get(60)
