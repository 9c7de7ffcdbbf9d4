import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * What Apache's own classes make of a message. Reads cases from a file and writes verdicts to another:
 *
 *   case:     class name (int32 length, UTF-8), version int16, JSON (same), our encoding (int32 length, bytes)
 *   verdict:  Apache's encoding of the JSON (int32 length, bytes), complaint (int32 length, UTF-8; empty if all is well)
 *
 * A complaint says that our encoding is refused, or read as another message than the JSON, or has bytes left over.
 */
public class MessageOracle {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws IOException {
        try (DataInputStream cases = new DataInputStream(new BufferedInputStream(new FileInputStream(args[0])));
             DataOutputStream verdicts = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(args[1])))) {
            while (true) {
                byte[] name;
                try {
                    name = readBytes(cases);
                } catch (EOFException end) {
                    return;
                }
                short version = cases.readShort();
                byte[] json = readBytes(cases);
                byte[] ours = readBytes(cases);
                judge(new String(name, StandardCharsets.UTF_8), version, json, ours, verdicts);
            }
        }
    }

    private static void judge(String name, short version, byte[] json, byte[] ours, DataOutputStream verdicts)
            throws IOException {
        byte[] theirs = new byte[0];
        String complaint = "";
        try {
            Message told = fromJson(name, JSON.readTree(json), version);
            theirs = MessageUtil.byteBufferToArray(MessageUtil.toByteBuffer(told, version));
            Message read = (Message) Class.forName(name).getConstructor().newInstance();
            ByteBuffer buffer = ByteBuffer.wrap(ours);
            read.read(new ByteBufferAccessor(buffer), version);
            if (buffer.hasRemaining()) complaint = buffer.remaining() + " bytes are left over";
            else if (!read.equals(told)) complaint = "read as " + read;
        } catch (ReflectiveOperationException | RuntimeException error) {
            Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
            StringWriter trace = new StringWriter();
            cause.printStackTrace(new PrintWriter(trace));
            complaint = trace.toString();
        }
        writeBytes(verdicts, theirs);
        writeBytes(verdicts, complaint.getBytes(StandardCharsets.UTF_8));
    }

    private static Message fromJson(String name, JsonNode node, short version) throws ReflectiveOperationException {
        Method read = Class.forName(name + "JsonConverter").getMethod("read", JsonNode.class, short.class);
        return (Message) read.invoke(null, node, version);
    }

    private static byte[] readBytes(DataInputStream input) throws IOException {
        byte[] bytes = new byte[input.readInt()];
        input.readFully(bytes);
        return bytes;
    }

    private static void writeBytes(DataOutputStream output, byte[] bytes) throws IOException {
        output.writeInt(bytes.length);
        output.write(bytes);
    }
}
