"""A kazoo client that can do with reads: against a server that is cut off, and when its ensemble is back.

    read_only.py HOSTS

Prints a line for each step, and waits for a line of input before it goes on.
"""

import sys
import time

from kazoo.client import KazooClient, KazooState, KeeperState
from kazoo.exceptions import NotReadOnlyCallError

client = KazooClient(hosts=sys.argv[1], read_only=True, timeout=6)
client.start(timeout=30)


def state(wanted):
    deadline = time.monotonic() + 40
    while client.client_state != wanted:
        if time.monotonic() > deadline:
            sys.exit(f"{client.client_state} instead of {wanted}")
        time.sleep(0.02)


state(KeeperState.CONNECTED_RO)
print("read-only", client.get("/a")[0].decode(), flush=True)
try:
    client.create("/b", b"")
    print("written", flush=True)
except NotReadOnlyCallError:
    print("refused", flush=True)
sys.stdin.readline()
state(KeeperState.CONNECTED)
client.ensure_path("/b")
print("read-write", client.state == KazooState.CONNECTED, flush=True)
client.stop()
