"""A producer at a steady pace, idempotent and with acks=all, on confluent-kafka (librdkafka).

steady.py BOOTSTRAP TOPIC RATE    sends 0, 1, 2, … until its standard input closes, then flushes

For each acknowledged record it prints: value, partition, offset, and the time in milliseconds.
"""

import sys
import threading
import time

from confluent_kafka import Producer


def main(bootstrap, topic, rate):
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 2,
            "delivery.timeout.ms": 120000,
            "reconnect.backoff.max.ms": 500,
            "socket.timeout.ms": 10000,
        }
    )
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()

    def delivered(error, message):
        now = int(time.time() * 1000)
        if error is None:
            print(message.value().decode(), message.partition(), message.offset(), now)
        else:
            print(error, file=sys.stderr, flush=True)

    started = time.time()
    value = 0
    while not stopped.is_set():
        while value < (time.time() - started) * int(rate):
            try:
                producer.produce(topic, b"%d" % value, on_delivery=delivered)
                value += 1
            except BufferError:
                break
        producer.poll(0.005)
    producer.flush(60)
    print("sent", value, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
