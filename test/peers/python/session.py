"""A ZooKeeper client of kazoo that says what becomes of its session: session.py HOSTS

Prints each state as it comes (CONNECTED, SUSPENDED, LOST), until its standard input closes.
"""

import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1], timeout=6.0)
client.add_listener(lambda state: print(state, flush=True))
client.start(timeout=10)
client.ensure_path("/watched")
sys.stdin.read()
client.stop()
