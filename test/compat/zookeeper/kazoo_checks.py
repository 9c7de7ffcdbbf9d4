"""What kazoo's users do, against one server: basics, recipes, transactions, ACLs, watches, reconnection.

usage: kazoo_checks.py PORT CHECK
Each check prints nothing and ends with 0, or fails with what was wrong.
"""
import os
import socket
import struct
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
)
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import ACL, Id, make_acl, make_digest_acl

PORT = int(sys.argv[1])
HOSTS = "127.0.0.1:%d" % PORT


def client(**options):
    zk = KazooClient(hosts=HOSTS, timeout=options.pop("timeout", 6.0), **options)
    zk.start(timeout=10)
    return zk


def expect(error, action):
    try:
        result = action()
    except error:
        return
    raise AssertionError("expected %s, got %r" % (error.__name__, result))


def wait_until(condition, seconds=10):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, "not in its time"
        time.sleep(0.02)


def basics():
    zk = client()
    assert zk.create("/b", b"one") == "/b"
    data, stat = zk.get("/b")
    assert data == b"one" and stat.version == 0 and stat.czxid == stat.mzxid == stat.pzxid
    assert stat.data_length == 3 and stat.children_count == 0 and stat.owner_session_id is None
    expect(NodeExistsError, lambda: zk.create("/b"))
    expect(NoNodeError, lambda: zk.create("/missing/child"))
    expect(NoNodeError, lambda: zk.get("/missing"))
    expect(BadVersionError, lambda: zk.set("/b", b"two", version=7))
    stat = zk.set("/b", b"two", version=0)
    assert stat.version == 1 and stat.mzxid > stat.czxid
    assert zk.create("/b/s-", b"", sequence=True) == "/b/s-0000000000"
    assert zk.create("/b/s-", b"", sequence=True) == "/b/s-0000000001"
    zk.delete("/b/s-0000000000")
    assert zk.create("/b/s-", b"", sequence=True) == "/b/s-0000000002"
    assert sorted(zk.get_children("/b")) == ["s-0000000001", "s-0000000002"]
    children, stat = zk.get_children("/b", include_data=True)
    assert stat.children_version == 4 and stat.children_count == 2
    expect(NotEmptyError, lambda: zk.delete("/b"))
    path, stat = zk.create("/b/e", b"x", ephemeral=True, include_data=True)
    assert path == "/b/e" and stat.owner_session_id == zk.client_id[0]
    expect(NoChildrenForEphemeralsError, lambda: zk.create("/b/e/child"))
    expect(BadArgumentsError, lambda: zk.delete("/zookeeper"))
    assert zk.exists("/nothing") is None
    zk.create("/large", b"x" * 1000000)
    assert zk.get("/large")[0] == b"x" * 1000000
    assert zk.sync("/b") == "/b"
    zk.create("/b/null", b"")
    zk.ensure_path("/b/p/q/r")
    zk.delete("/b", recursive=True)
    assert zk.exists("/b") is None
    assert "zookeeper" in zk.get_children("/")
    zk.stop()


def transactions():
    zk = client()
    zk.create("/t")
    t = zk.transaction()
    t.create("/t/a", b"1")
    t.create("/t/s-", b"", sequence=True)
    t.set_data("/t", b"new", version=0)
    t.check("/t", version=1)
    t.delete("/t/a")
    results = t.commit()
    assert results[0] == "/t/a" and results[1].startswith("/t/s-") and results[2].version == 1
    assert results[3] is True and results[4] is True
    before = zk.get("/t")
    t = zk.transaction()
    t.create("/t/b")
    t.set_data("/t", b"lost")
    t.check("/t", version=99)
    t.delete("/t")
    results = t.commit()
    kinds = [type(each).__name__ for each in results]
    assert kinds == ["RolledBackError", "RolledBackError", "BadVersionError", "RuntimeInconsistency"], kinds
    assert zk.get("/t") == before and zk.exists("/t/b") is None
    assert zk.create("/t/s-", sequence=True) == "/t/s-0000000002"
    zk.stop()


def acls():
    zk = client()
    zk.add_auth("digest", "alice:secret")
    zk.create("/acl", b"hidden", acl=[make_digest_acl("alice", "secret", all=True)])
    zk.create("/own", b"", acl=[ACL(31, Id("auth", ""))])
    assert zk.get_acls("/own")[0][0].id.scheme == "digest"
    zk.create("/read", b"x", acl=[make_acl("world", "anyone", read=True)])
    zk.create("/ip", b"x", acl=[make_acl("ip", "127.0.0.0/8", all=True)])
    zk.create("/elsewhere", b"x", acl=[make_acl("ip", "10.1.2.3", all=True)])
    stranger = client()
    for action in (
        lambda: stranger.get("/acl"),
        lambda: stranger.set("/acl", b""),
        lambda: stranger.create("/acl/child"),
        lambda: stranger.get_acls("/acl"),
        lambda: stranger.get_children("/acl"),
        lambda: stranger.set("/read", b""),
        lambda: stranger.get("/elsewhere"),
    ):
        expect(NoAuthError, action)
    assert stranger.get("/read")[0] == b"x" and stranger.get("/ip")[0] == b"x"
    zk.create("/acl/child", b"", acl=[make_digest_acl("alice", "secret", read=True), make_acl("world", "anyone", read=True)])
    expect(NoAuthError, lambda: stranger.delete("/acl/child"))
    hidden = [acl.id.id for acl in stranger.get_acls("/acl/child")[0] if acl.id.scheme == "digest"]
    assert hidden == ["alice:x"], hidden
    expect(InvalidACLError, lambda: stranger.create("/none", acl=[ACL(31, Id("auth", ""))]))
    expect(InvalidACLError, lambda: stranger.create("/none", acl=[make_acl("nobody", "knows", all=True)]))
    expect(InvalidACLError, lambda: stranger.create("/none", acl=[make_acl("digest", "nocolon", all=True)]))
    expect(NoAuthError, lambda: stranger.set_acls("/acl", [make_acl("world", "anyone", all=True)]))
    zk.set_acls("/acl", [make_acl("world", "anyone", all=True)], version=0)
    assert zk.get_acls("/acl")[1].acl_version == 1
    assert stranger.get("/acl")[0] == b"hidden"
    stranger.add_auth("digest", "alice:wrong")
    expect(NoAuthError, lambda: stranger.get("/own"))
    failing = client()
    expect(AuthFailedError, lambda: failing.add_auth("nonsense", "x"))
    zk.stop()
    stranger.stop()
    failing.stop()


def watches():
    zk, other = client(), client()
    events = []
    zk.create("/w")
    zk.get("/w", watch=events.append)
    zk.get_children("/w", watch=events.append)
    zk.exists("/later", watch=events.append)
    other.set("/w", b"1")
    other.set("/w", b"2")
    other.create("/w/child")
    other.create("/later")
    wait_until(lambda: len(events) == 3)
    assert sorted((e.type, e.path) for e in events) == [("CHANGED", "/w"), ("CHILD", "/w"), ("CREATED", "/later")]
    del events[:]
    zk.get("/later", watch=events.append)
    other.delete("/later")
    wait_until(lambda: len(events) == 1)
    assert events[0].type == "DELETED"
    seen, children = [], []
    DataWatch(zk, "/w", lambda data, stat: seen.append(data))
    ChildrenWatch(zk, "/w", lambda names: children.append(sorted(names)))
    for value in (b"3", b"4", b"5"):
        other.set("/w", value)
        wait_until(lambda: seen[-1] == value)
    other.create("/w/second")
    wait_until(lambda: children[-1] == ["child", "second"])
    zk.stop()
    other.stop()


def recipes():
    zk, other = client(), client()
    held = []

    def take(who, name):
        with who.Lock("/lock", name):
            held.append(name)
            assert held == [name]
            time.sleep(0.05)
            held.remove(name)

    threads = [threading.Thread(target=take, args=(who, "%d" % i)) for i, who in enumerate([zk, other] * 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()

    led = []
    election = zk.Election("/election", "one")
    runner = threading.Thread(target=lambda: election.run(lambda: led.append("one")))
    runner.start()
    runner.join(10)
    assert led == ["one"]

    counter, same = zk.Counter("/counter"), other.Counter("/counter")
    for _ in range(10):
        counter += 1
        same += 2
    assert counter.value == 30

    queue = zk.LockingQueue("/queue")
    queue.put_all([b"a", b"b"])
    assert queue.get(5) == b"a" and queue.consume()
    barrier = zk.Barrier("/barrier")
    barrier.create()
    assert not other.Barrier("/barrier").wait(0.2)
    barrier.remove()
    assert other.Barrier("/barrier").wait(5)
    semaphore = zk.Semaphore("/semaphore", max_leases=1)
    semaphore.acquire()
    assert not other.Semaphore("/semaphore", max_leases=1).acquire(blocking=False)
    semaphore.release()
    party = zk.Party("/party", "me")
    party.join()
    assert list(other.Party("/party")) == ["me"]
    zk.stop()
    other.stop()


def drop(zk):
    """Cuts the client's connection under it."""
    zk._connection._socket.shutdown(socket.SHUT_RDWR)


def reconnect():
    zk, other = client(), client()
    states = []
    zk.add_listener(states.append)
    zk.create("/eph", b"x", ephemeral=True)
    session = zk.client_id[0]
    drop(zk)
    wait_until(lambda: states[-1:] == [KazooState.CONNECTED])
    assert zk.client_id[0] == session and KazooState.LOST not in states
    assert other.exists("/eph") is not None
    assert zk.get("/eph")[1].owner_session_id == session
    zk.stop()
    wait_until(lambda: other.exists("/eph") is None)
    other.stop()


def takeover():
    """Who knows number and password gets the session, and the connection before is closed; a guesser gets none."""
    first, welcome = greet(0, bytes(16))
    session, password = struct.unpack(">q", welcome[8:16])[0], welcome[20:36]
    second, again = greet(session, password)
    assert again[4:36] == welcome[4:36], "another session, timeout or password"
    assert first.recv(1) == b"", "the first connection stays open"
    guesser, refusal = greet(session, b"0123456789abcdef")
    assert refusal[4:36] == bytes(12) + struct.pack(">i", 16) + bytes(16)
    assert guesser.recv(1) == b"", "the guesser stays connected"
    ahead, answer = greet(0, bytes(16), last_zxid=1 << 40)
    assert answer == b"", "who has seen more than the server must not be served"
    second.close()


def expiry():
    """A client that goes silent loses its session and its nodes, within the timeout and two ticks."""
    other = client()
    silent, welcome = greet(0, bytes(16))
    session = struct.unpack(">q", welcome[8:16])[0]
    anyone = struct.pack(">ii", 1, 31) + text("world") + text("anyone")
    silent.sendall(frame(struct.pack(">ii", 1, 1) + text("/silent") + text("") + anyone + struct.pack(">i", 1)))
    receive(silent)
    started = time.time()
    assert other.exists("/silent").owner_session_id == session
    wait_until(lambda: other.exists("/silent") is None, 12)
    assert 3 < time.time() - started < 9
    assert silent.recv(1) == b"", "the connection of an expired session stays open"
    other.stop()


def greet(session, password, last_zxid=0):
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.settimeout(10)
    connection.sendall(frame(struct.pack(">iqiqi16s?", 0, last_zxid, 4000, session, 16, password, False)))
    return connection, receive(connection)


def text(value):
    return struct.pack(">i", len(value)) + value.encode()


def frame(content):
    return struct.pack(">i", len(content)) + content


def receive(connection):
    head = connection.recv(4, socket.MSG_WAITALL)
    if head == b"":
        return b""
    length = struct.unpack(">i", head)[0]
    return connection.recv(length, socket.MSG_WAITALL)


def restart_before():
    """First half of a restart: leaves a session and its node behind, and prints how to come back to it."""
    zk = client(timeout=20.0)
    zk.create("/kept", b"kept", ephemeral=True)
    zk.create("/plain", b"plain")
    for index in range(50):
        zk.create("/plain/n-", b"x" * 50, sequence=True)
    print("%d %s %d" % (zk.client_id[0], zk.client_id[1].hex(), zk.get("/plain")[1].mzxid), flush=True)
    os._exit(0)


def restart_after():
    session, password = int(sys.argv[3]), bytes.fromhex(sys.argv[4])
    zk = KazooClient(hosts=HOSTS, timeout=20.0, client_id=(session, password))
    zk.start(timeout=10)
    assert zk.client_id[0] == session, "the session did not survive"
    assert zk.get("/kept")[1].owner_session_id == session
    children = zk.get_children("/plain")
    assert len(children) == 50
    assert zk.create("/plain/n-", sequence=True) == "/plain/n-0000000050"
    zk.stop()


def populate():
    """Every kind of transaction, and enough of them for several snapshots. A session and its node are left behind."""
    seed = sys.argv[3]
    zk = client(timeout=30.0)
    zk.add_auth("digest", "alice:secret")
    root = "/from-" + seed
    zk.create(root, seed.encode())
    zk.create(root + "/private", b"x", acl=[make_digest_acl("alice", "secret", all=True), make_acl("ip", "127.0.0.1", read=True)])
    zk.set_acls(root + "/private", [make_digest_acl("alice", "secret", all=True), make_acl("world", "anyone", read=True)])
    zk.create(root + "/ephemeral", b"e", ephemeral=True)
    zk.create(root + "/empty", b"")
    zk.create(root + "/gr\u00fc\u00dfe-\u4e16\u754c", "\u4e16".encode())
    pending = []
    for index in range(900):
        pending.append(zk.create_async("%s/n-" % root, b"x" * (index % 300), sequence=True))
    names = [each.get(30) for each in pending]
    for each in [zk.set_async(name, b"changed") for name in names[::3]] + [zk.delete_async(name) for name in names[1::3]]:
        each.get(30)
    for index in range(20):
        t = zk.transaction()
        t.create("%s/t%d" % (root, index))
        t.check(root, version=0 if index % 2 else 9)
        t.delete(names[3 * index])
        t.commit()
    try:
        zk.create(root)
    except NodeExistsError:
        pass
    os._exit(0)


def dump_tree():
    """Prints every node with its data, stat and ACL."""
    zk = client()
    zk.add_auth("digest", "alice:secret")

    level = ["/"]
    while level:
        reads = [(path, zk.get_async(path), zk.get_acls_async(path), zk.get_children_async(path)) for path in level]
        level = []
        for path, data, acl, children in reads:
            value, stat = data.get(30)
            print(path, value, tuple(stat), sorted(str(each) for each in acl.get(30)[0]))
            level += [(path if path != "/" else "") + "/" + child for child in sorted(children.get(30))]
    zk.stop()


globals()[sys.argv[2]]()
