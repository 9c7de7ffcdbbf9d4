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
import org.apache.kafka.common.TopicPartition;

/**
 * Answers each line `topic=count,…;member|topic,…|generation|topic-partition,…;…` with what Java's assignors make of it, one column each:
 * `{member=topic-partition …, …}`, all sorted.
 */
public class AssignorOracle {
    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) System.out.println(answer(line));
    }

    private static String answer(String line) {
        String[] parts = line.split(";");
        Map<String, Integer> counts = new HashMap<>();
        for (String count : words(parts[0])) counts.put(count.split("=")[0], Integer.parseInt(count.split("=")[1]));
        Map<String, Subscription> members = new HashMap<>();
        for (int index = 1; index < parts.length; index++) {
            String[] fields = parts[index].split("\\|", -1);
            List<TopicPartition> owned = new ArrayList<>();
            for (String word : words(fields[3])) {
                int dash = word.lastIndexOf('-');
                owned.add(new TopicPartition(word.substring(0, dash), Integer.parseInt(word.substring(dash + 1))));
            }
            members.put(fields[0], new Subscription(words(fields[1]), null, owned, Integer.parseInt(fields[2]), Optional.empty()));
        }
        List<String> columns = new ArrayList<>();
        for (AbstractPartitionAssignor assignor : List.of(new RangeAssignor(), new RoundRobinAssignor(), new CooperativeStickyAssignor())) {
            Map<String, String> printed = new TreeMap<>();
            assignor.assign(new HashMap<>(counts), members).forEach((member, partitions) -> {
                TreeSet<String> sorted = new TreeSet<>();
                for (TopicPartition partition : partitions) sorted.add(partition.toString());
                printed.put(member, String.join(" ", sorted));
            });
            columns.add(printed.toString());
        }
        return String.join("\t", columns);
    }

    private static List<String> words(String text) {
        return text.isEmpty() ? List.of() : List.of(text.split(","));
    }
}
