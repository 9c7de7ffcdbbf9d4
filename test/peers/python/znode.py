"""Prints the data of a znode, by kazoo: znode.py HOSTS PATH"""

import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1])
client.start(timeout=10)
try:
    print(client.get(sys.argv[2])[0].decode())
finally:
    client.stop()
