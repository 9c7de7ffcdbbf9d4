import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.retry.RetryForever;

/**
 * Curator's recipes across the loss of the leader: `CuratorRecipes CONNECT RECIPE`. It sets the recipe up, prints
 * `ready`, waits for a line that says that the ensemble has lost its leader, and checks that the recipe holds all the
 * same. It prints `good` at the end, or what failed.
 */
public final class CuratorRecipes {
    private static final long WAIT_SECONDS = 30;
    private static final int SESSION_TIMEOUT_MS = 10_000;

    private static String connect;
    private static BufferedReader input;

    public static void main(String[] args) throws Exception {
        connect = args[0];
        input = new BufferedReader(new InputStreamReader(System.in));
        try (CuratorFramework one = client(); CuratorFramework other = client()) {
            switch (args[1]) {
                case "latch" -> latch(one, other);
                case "mutex" -> mutex(one, other);
                case "cache" -> cache(one, other);
                case "ttl" -> ttl(one, other);
                default -> throw new IllegalArgumentException(args[1]);
            }
        }
        System.out.println("good");
        System.exit(0);
    }

    /** Leadership stays with a session that lives on, and passes over when its holder leaves. */
    private static void latch(CuratorFramework one, CuratorFramework other) throws Exception {
        LeaderLatch first = new LeaderLatch(one, "/latch", "first", LeaderLatch.CloseMode.NOTIFY_LEADER);
        LeaderLatch second = new LeaderLatch(other, "/latch", "second", LeaderLatch.CloseMode.NOTIFY_LEADER);
        first.start();
        expect(first.await(WAIT_SECONDS, TimeUnit.SECONDS), "the first one leads");
        second.start();
        until("both take part", () -> second.getParticipants().size() == 2);
        leaderIsLost();
        until("somebody leads", () -> first.hasLeadership() || second.hasLeadership());
        until("both agree who leads", () -> first.getLeader().equals(second.getLeader()));
        expect(!(first.hasLeadership() && second.hasLeadership()), "only one leads");
        LeaderLatch leading = first.hasLeadership() ? first : second;
        LeaderLatch waiting = leading == first ? second : first;
        leading.close();
        expect(waiting.await(WAIT_SECONDS, TimeUnit.SECONDS), "the one who waited leads");
        waiting.close();
    }

    /** A lock that is held stays held, and is handed on when it is given back. */
    private static void mutex(CuratorFramework one, CuratorFramework other) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/mutex");
        InterProcessMutex theirs = new InterProcessMutex(other, "/mutex");
        mine.acquire();
        expect(!theirs.acquire(200, TimeUnit.MILLISECONDS), "the lock is held");
        Thread waiting = new Thread(() -> {
            try {
                theirs.acquire();
                theirs.release();
            } catch (Exception failure) {
                throw new IllegalStateException(failure);
            }
        });
        waiting.start();
        leaderIsLost();
        until("one can write again", () -> one.create().orSetData().forPath("/mutex-written") != null);
        expect(waiting.isAlive(), "the lock is still held");
        expect(mine.isAcquiredInThisProcess(), "and known to be held");
        mine.release();
        waiting.join(TimeUnit.SECONDS.toMillis(WAIT_SECONDS));
        expect(!waiting.isAlive(), "the lock is handed on");
        until("nobody queues", () -> one.getChildren().forPath("/mutex").isEmpty());
    }

    /** A cache holds what the tree holds, what was changed during the loss included. */
    private static void cache(CuratorFramework one, CuratorFramework other) throws Exception {
        other.create().creatingParentsIfNeeded().forPath("/cache/a", bytes("1"));
        ConcurrentHashMap<String, String> seen = new ConcurrentHashMap<>();
        CuratorCache cache = CuratorCache.build(one, "/cache");
        cache.listenable().addListener(CuratorCacheListener.builder()
            .forCreates(node -> seen.put(node.getPath(), text(node)))
            .forChanges((before, node) -> seen.put(node.getPath(), text(node)))
            .forDeletes(node -> seen.remove(node.getPath()))
            .build());
        cache.start();
        until("the cache is filled", () -> "1".equals(seen.get("/cache/a")));
        other.create().forPath("/cache/b", bytes("1"));
        until("the cache sees a new node", () -> seen.containsKey("/cache/b"));
        leaderIsLost();
        other.setData().forPath("/cache/a", bytes("2"));
        other.delete().forPath("/cache/b");
        other.create().creatingParentsIfNeeded().forPath("/cache/c/d", bytes("3"));
        until("the cache sees what came after the loss", () -> "2".equals(seen.get("/cache/a"))
            && !seen.containsKey("/cache/b") && "3".equals(seen.get("/cache/c/d")));
        expect(text(cache.get("/cache/a").orElseThrow()).equals("2"), "the cache answers");
        expect(cache.size() == 4, "the cache holds four nodes");
        cache.close();
    }

    /** A node with a time to live stays while its owner touches it, and goes afterwards. */
    private static void ttl(CuratorFramework one, CuratorFramework other) throws Exception {
        PersistentTtlNode node = new PersistentTtlNode(one, "/ttl", 3000, bytes("kept"));
        node.start();
        expect(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS), "the node is made");
        leaderIsLost();
        long version = other.checkExists().forPath("/ttl").getMzxid();
        Thread.sleep(Duration.ofSeconds(5).toMillis());
        expect(other.checkExists().forPath("/ttl") != null, "the node is kept while it is touched, since " + version);
        node.close();
        until("the node goes when nobody touches it", () -> other.checkExists().forPath("/ttl") == null);
    }

    private static CuratorFramework client() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
            .connectString(connect)
            .sessionTimeoutMs(SESSION_TIMEOUT_MS)
            .connectionTimeoutMs(SESSION_TIMEOUT_MS)
            .retryPolicy(new RetryForever(100))
            .build();
        client.start();
        expect(client.blockUntilConnected((int) WAIT_SECONDS, TimeUnit.SECONDS), "connected");
        return client;
    }

    private static void leaderIsLost() throws Exception {
        System.out.println("ready");
        System.out.flush();
        if (input.readLine() == null) System.exit(1);
    }

    private static void until(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (!condition.call()) {
            expect(System.nanoTime() < deadline, what);
            Thread.sleep(20);
        }
    }

    private static void expect(boolean holds, String what) {
        if (holds) return;
        System.out.println("failed: " + what);
        System.exit(1);
    }

    private static byte[] bytes(String text) {
        return text.getBytes();
    }

    private static String text(ChildData node) {
        return new String(node.getData());
    }
}
