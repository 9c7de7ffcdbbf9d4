"""kazoo's recipes across the loss of the leader.

usage: recipes.py CONNECT RECIPE
Sets the recipe up, prints `ready`, waits for a line that says that the ensemble has lost its leader, and checks that
the recipe holds all the same. Prints `good` at the end, or ends with what was wrong.
"""
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, ConnectionLoss, OperationTimeoutError, SessionExpiredError
from kazoo.protocol.states import KazooState
from kazoo.retry import RetryFailedError

RETRY = {"max_tries": -1, "delay": 0.1, "backoff": 1, "max_delay": 0.5}


def client(**options):
    zk = KazooClient(
        hosts=sys.argv[1], timeout=10.0, connection_retry=RETRY, command_retry=options.pop("command_retry", RETRY)
    )
    zk.add_listener(lambda state: lost.append(state) if state == KazooState.LOST else None)
    zk.start(timeout=20)
    return zk


lost = []


def leader_is_lost():
    print("ready", flush=True)
    assert sys.stdin.readline() != ""


def wait_until(condition, seconds=30):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, "not in its time"
        time.sleep(0.02)


def background(action):
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def join(thread):
    thread.join(30)
    assert not thread.is_alive(), "it hangs"


def lock():
    """A lock that is held stays held, and is handed on to who waits."""
    one, other = client(), client()
    mine, theirs = one.Lock("/lock", "one"), other.Lock("/lock", "other")
    mine.acquire()
    order = []

    def wait():
        with theirs:
            order.append("other")

    waiting = background(wait)
    wait_until(lambda: len(one.retry(one.get_children, "/lock")) == 2)
    leader_is_lost()
    one.retry(one.ensure_path, "/lock-written")
    assert order == [] and mine.is_acquired
    order.append("one")
    mine.release()
    join(waiting)
    assert order == ["one", "other"]
    wait_until(lambda: one.retry(one.get_children, "/lock") == [])


def election():
    """One leads and goes on leading; when it resigns the other one does."""
    one, other = client(), client()
    events = []
    resign = threading.Event()

    def lead(name, until):
        events.append("%s begins" % name)
        assert until.wait(60)
        events.append("%s ends" % name)

    stays = threading.Event()
    stays.set()
    first = background(lambda: one.Election("/election", "one").run(lead, "one", resign))
    wait_until(lambda: events == ["one begins"])
    second = background(lambda: other.Election("/election", "other").run(lead, "other", stays))
    wait_until(lambda: len(one.retry(one.get_children, "/election")) == 2)
    assert other.retry(other.Election("/election").contenders) == ["one", "other"]
    leader_is_lost()
    one.retry(one.ensure_path, "/election-written")
    assert events == ["one begins"], events
    resign.set()
    join(first)
    join(second)
    assert events == ["one begins", "one ends", "other begins", "other ends"], events


def queue():
    """What was put in is taken out, each once, in order, whenever the loss came."""
    one, other = client(), client()
    plain, locking = one.Queue("/queue"), one.LockingQueue("/locking")
    for index in range(20):
        plain.put(b"%03d" % index)
        locking.put(b"%03d" % index)
    taken = [other.Queue("/queue").get() for _ in range(5)]
    consumer = other.LockingQueue("/locking")
    held = consumer.get(5)
    leader_is_lost()
    one.retry(one.ensure_path, "/queue-written")
    for index in range(20, 30):
        plain.put(b"%03d" % index)
        locking.put(b"%03d" % index)
    rest = other.Queue("/queue")
    while (item := other.retry(rest.get)) is not None:
        taken.append(item)
    assert taken == [b"%03d" % index for index in range(30)], taken
    consumed = [held]
    assert consumer.holds_lock() and consumer.consume()
    for _ in range(29):
        consumed.append(consumer.get(10))
        assert consumer.consume()
    assert consumed == [b"%03d" % index for index in range(30)], consumed
    assert len(locking) == 0


def barrier():
    """Who waits before a barrier waits on, and passes when it is lifted; a double barrier lets all in and all out.

    A waiting kazoo does not set its watch again at the next server, so it asks again and again.
    """
    one, other = client(), client()
    one.Barrier("/barrier").create()
    passed = []

    def wait():
        while not other.retry(other.Barrier("/barrier").wait, 0.5):
            pass
        passed.append(True)

    waiting = background(wait)
    doubles = [zk.DoubleBarrier("/double", 2, name) for zk, name in ((one, "one"), (other, "other"))]
    entering = [background(double.enter) for double in doubles]
    for thread in entering:
        join(thread)
    leader_is_lost()
    one.retry(one.ensure_path, "/barrier-written")
    assert passed == []
    one.retry(one.Barrier("/barrier").remove)
    join(waiting)
    assert passed == [True]
    leaving = [background(double.leave) for double in doubles]
    for thread in leaving:
        join(thread)
    assert not doubles[0].participating and not doubles[1].participating
    wait_until(lambda: one.retry(one.get_children, "/double") == [])


def counter():
    """Each step that was acknowledged counts once, also those that others took at the same time."""
    zks = [client(command_retry={"max_tries": 0, "delay": 0.1}) for _ in range(2)]
    done, in_doubt, stopped = [0, 0], [], threading.Event()
    for zk in zks:
        # One step of each may be under way when its connection breaks; whether it counted nobody says.
        zk.add_listener(lambda state: in_doubt.append(state) if state == KazooState.SUSPENDED else None)
    zks[0].Counter("/counter").value

    def count(index):
        steps = zks[index].Counter("/counter")
        while not stopped.is_set():
            try:
                steps += 1
                done[index] += 1
            except (ConnectionLoss, OperationTimeoutError, SessionExpiredError, RetryFailedError, BadVersionError):
                wait_until(lambda: zks[index].state == KazooState.CONNECTED)

    threads = [background(lambda index=index: count(index)) for index in range(2)]
    wait_until(lambda: min(done) > 20)
    leader_is_lost()
    wait_until(lambda: len(in_doubt) > 0)
    before = sum(done)
    wait_until(lambda: sum(done) > before + 50)
    stopped.set()
    for thread in threads:
        join(thread)
    zks[0].create("/counter-read")
    value = zks[0].Counter("/counter").value
    assert sum(done) <= value <= sum(done) + len(in_doubt), (value, done, in_doubt)


globals()[sys.argv[2]]()
assert lost == [], "a session was lost"
print("good", flush=True)
