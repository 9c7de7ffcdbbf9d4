import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.internals.AbstractPartitionAssignor;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Answers each line `topic=rack+…/rack+…,…;member|topic,…|generation|topic-partition,…|rack;…` with what Java's assignors make of it, one
 * column each: `{member=topic-partition …, …}`, all sorted. A topic has as many partitions as there are lists of its replicas' racks; an
 * empty rack is none.
 */
public class AssignorOracle {
    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) System.out.println(answer(line));
    }

    private static String answer(String line) {
        String[] parts = line.split(";");
        Map<String, List<PartitionInfo>> topics = new HashMap<>();
        for (String topic : words(parts[0])) {
            String[] fields = topic.split("=", -1);
            List<PartitionInfo> partitions = new ArrayList<>();
            for (String racks : fields[1].split("/", -1)) partitions.add(partition(fields[0], partitions.size(), racks));
            topics.put(fields[0], partitions);
        }
        Map<String, Subscription> members = new HashMap<>();
        for (int index = 1; index < parts.length; index++) {
            String[] fields = parts[index].split("\\|", -1);
            List<TopicPartition> owned = new ArrayList<>();
            for (String word : words(fields[3])) {
                int dash = word.lastIndexOf('-');
                owned.add(new TopicPartition(word.substring(0, dash), Integer.parseInt(word.substring(dash + 1))));
            }
            Optional<String> rack = fields[4].isEmpty() ? Optional.empty() : Optional.of(fields[4]);
            members.put(fields[0], new Subscription(words(fields[1]), null, owned, Integer.parseInt(fields[2]), rack));
        }
        List<String> columns = new ArrayList<>();
        for (AbstractPartitionAssignor assignor : List.of(new RangeAssignor(), new RoundRobinAssignor(), new CooperativeStickyAssignor())) {
            Map<String, String> printed = new TreeMap<>();
            assignor.assignPartitions(new HashMap<>(topics), members).forEach((member, partitions) -> {
                TreeSet<String> sorted = new TreeSet<>();
                for (TopicPartition partition : partitions) sorted.add(partition.toString());
                printed.put(member, String.join(" ", sorted));
            });
            columns.add(printed.toString());
        }
        return String.join("\t", columns);
    }

    private static PartitionInfo partition(String topic, int number, String racks) {
        List<Node> nodes = new ArrayList<>();
        for (String rack : racks.split("\\+", -1)) nodes.add(new Node(nodes.size(), "host", 9092, rack.isEmpty() ? null : rack));
        Node[] replicas = nodes.toArray(new Node[0]);
        return new PartitionInfo(topic, number, replicas[0], replicas, replicas);
    }

    private static List<String> words(String text) {
        return text.isEmpty() ? List.of() : List.of(text.split(","));
    }
}
