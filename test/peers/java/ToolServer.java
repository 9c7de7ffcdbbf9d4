import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.security.Permission;

/**
 * Runs one Java program after another in one JVM, since a JVM takes a second to start and a tool of Apache's a tenth.
 *
 * A request on standard input is a list of byte strings: the class, what the program finds on its standard input, and
 * its arguments. The answer is the exit code and what the program printed on its two outputs. Lengths and counts are
 * int32. A program's exit is caught by a security manager, which Java 17 still has; a program that takes that for a
 * failure of its own exits a second time, so the first code counts.
 */
public final class ToolServer {
    private static final class Exit extends SecurityException {
        @Override
        public synchronized Throwable fillInStackTrace() {
            return this;
        }
    }

    private static volatile Integer exitCode;

    /** Standard output as the programs see it: Scala keeps the stream that it found first, so only the sink moves. */
    private static final class Sink extends OutputStream {
        private ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        @Override
        public synchronized void write(int value) {
            bytes.write(value);
        }

        @Override
        public synchronized void write(byte[] chunk, int offset, int length) {
            bytes.write(chunk, offset, length);
        }

        synchronized byte[] take() {
            byte[] taken = bytes.toByteArray();
            bytes = new ByteArrayOutputStream();
            return taken;
        }
    }

    public static void main(String[] args) throws IOException {
        DataInputStream requests = new DataInputStream(System.in);
        DataOutputStream answers = new DataOutputStream(System.out);
        Sink out = new Sink();
        Sink err = new Sink();
        System.setSecurityManager(new SecurityManager() {
            @Override
            public void checkPermission(Permission permission) {}

            @Override
            public void checkPermission(Permission permission, Object context) {}

            @Override
            public void checkExit(int code) {
                if (exitCode == null) exitCode = code;
                throw new Exit();
            }
        });
        System.setOut(new PrintStream(out, true));
        System.setErr(new PrintStream(err, true));
        while (true) {
            byte[][] request = read(requests);
            if (request == null) Runtime.getRuntime().halt(0);
            System.setIn(new ByteArrayInputStream(request[1]));
            int code = run(new String(request[0], StandardCharsets.UTF_8), request);
            answers.writeInt(code);
            write(answers, out.take());
            write(answers, err.take());
            answers.flush();
        }
    }

    private static int run(String name, byte[][] request) {
        String[] args = new String[request.length - 2];
        for (int i = 0; i < args.length; i++) args[i] = new String(request[i + 2], StandardCharsets.UTF_8);
        exitCode = null;
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) args);
            return exitCode == null ? 0 : exitCode;
        } catch (InvocationTargetException failure) {
            if (exitCode != null) return exitCode;
            failure.getCause().printStackTrace();
            return 1;
        } catch (ReflectiveOperationException failure) {
            failure.printStackTrace();
            return 1;
        } finally {
            System.out.flush();
            System.err.flush();
        }
    }

    private static byte[][] read(DataInputStream requests) throws IOException {
        try {
            byte[][] request = new byte[requests.readInt()][];
            for (int i = 0; i < request.length; i++) {
                request[i] = new byte[requests.readInt()];
                requests.readFully(request[i]);
            }
            return request;
        } catch (EOFException end) {
            return null;
        }
    }

    private static void write(DataOutputStream answers, byte[] bytes) throws IOException {
        answers.writeInt(bytes.length);
        answers.write(bytes);
    }
}
