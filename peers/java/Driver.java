import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyRequestEvent;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.iopipe.IOpipeConfiguration;
import com.iopipe.IOpipeConfigurationBuilder;
import com.iopipe.IOpipeExecution;
import com.iopipe.IOpipeService;
import com.iopipe.plugin.trace.TraceMeasurement;
import com.iopipe.plugin.trace.TraceUtils;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/**
 * Drives the published Java agent through the scenarios of {@code cargo xtask peers}, as one Lambda function in one warm
 * container would. What it did is written, one JSON object a line, to the file PEERS_OUT: scenario, request_id, started
 * and ended (RFC 3339, milliseconds, UTC) around the invocation, raised (the message of what the function threw, or
 * null), and facts that the expectation depends on.
 *
 * <p>The agent reads IOPIPE_TOKEN and IOPIPE_TIMEOUT_WINDOW itself. Version 1.3.0 has no variable for the collector's
 * address, so PEERS_COLLECTOR (a whole URL) is given to it in code.
 */
public final class Driver {
    private static final String FUNCTION = System.getenv("PEERS_FUNCTION");

    /** The function's time limit. The timeout scenario would outlast its own, so the agent reports it 150 ms before. */
    private static final int TIME_LIMIT_MS = 10_000;

    private static final int TIME_LIMIT_TIMEOUT_MS = 500;

    private static final DateTimeFormatter MILLISECONDS =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    private static final ObjectMapper JSON =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);

    private final IOpipeService agent;

    private Driver(IOpipeService agent) {
        this.agent = agent;
    }

    /** What Lambda's Java runtime hands to a function. */
    private static final class LambdaContext implements Context {
        private final String requestId = UUID.randomUUID().toString();
        private final long deadlineNanos;

        LambdaContext(int timeLimitMs) {
            deadlineNanos = System.nanoTime() + timeLimitMs * 1_000_000L;
        }

        @Override
        public String getAwsRequestId() {
            return requestId;
        }

        @Override
        public String getLogGroupName() {
            return "/aws/lambda/" + FUNCTION;
        }

        @Override
        public String getLogStreamName() {
            return "2026/11/21/[7]0123456789abcdef0123456789abcdef";
        }

        @Override
        public String getFunctionName() {
            return FUNCTION;
        }

        @Override
        public String getFunctionVersion() {
            return "7";
        }

        @Override
        public String getInvokedFunctionArn() {
            return "arn:aws:lambda:" + System.getenv("AWS_REGION") + ":123456789012:function:" + FUNCTION;
        }

        @Override
        public CognitoIdentity getIdentity() {
            return null;
        }

        @Override
        public ClientContext getClientContext() {
            return null;
        }

        @Override
        public int getRemainingTimeInMillis() {
            return (int) Math.max(0, (deadlineNanos - System.nanoTime()) / 1_000_000L);
        }

        @Override
        public int getMemoryLimitInMB() {
            return 256;
        }

        @Override
        public LambdaLogger getLogger() {
            return null;
        }
    }

    private static String now() {
        return MILLISECONDS.format(Instant.now());
    }

    /**
     * Runs one invocation and records it. An error that the handler throws belongs to the scenario and is recorded, not
     * thrown: the agent must have passed it on unchanged.
     */
    private void invoke(String scenario, int timeLimitMs, Object input, Function<IOpipeExecution, Object> handler)
            throws Exception {
        LambdaContext context = new LambdaContext(timeLimitMs);
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("scenario", scenario);
        line.put("request_id", context.getAwsRequestId());
        line.put("started", now());
        String raised = null;
        try {
            agent.run(context, handler, input);
        } catch (RuntimeException error) {
            raised = error.getMessage();
        }
        line.put("ended", now());
        line.put("raised", raised);
        line.put("facts", new LinkedHashMap<>());
        Files.write(
                Path.of(System.getenv("PEERS_OUT")),
                (JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8),
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }

    private void invoke(String scenario, Function<IOpipeExecution, Object> handler) throws Exception {
        invoke(scenario, TIME_LIMIT_MS, null, handler);
    }

    private static Object loadCart(IOpipeExecution execution) {
        throw new IllegalStateException("cart 42 has no items");
    }

    private static Object outlast(IOpipeExecution execution) {
        while (execution.context().getRemainingTimeInMillis() > 0) {
            LockSupport.parkNanos(5_000_000);
        }
        return "too late";
    }

    private static Object measure(IOpipeExecution execution) {
        execution.customMetric("cart_total", 129L);
        execution.customMetric("cart_items", 3L);
        execution.customMetric("cart_currency", "EUR");
        return "served";
    }

    private static Object label(IOpipeExecution execution) {
        execution.label("vip");
        execution.label("größe 🚀");
        return "served";
    }

    private static Object mark(IOpipeExecution execution) {
        try (TraceMeasurement database = TraceUtils.measure(execution, "database")) {
            return "served";
        }
    }

    public static void main(String[] arguments) throws Exception {
        IOpipeConfigurationBuilder configuration = new IOpipeConfigurationBuilder(IOpipeConfiguration.byDefault());
        configuration.setServiceUrl(System.getenv("PEERS_COLLECTOR"));
        Driver driver = new Driver(new IOpipeService(configuration.build()));
        Object gateway = JSON.readValue(new File(System.getenv("PEERS_EVENT")), APIGatewayProxyRequestEvent.class);

        driver.invoke("cold start", execution -> "served");
        driver.invoke("warm", execution -> "served");
        driver.invoke("thrown error", Driver::loadCart);
        driver.invoke("timeout window", TIME_LIMIT_TIMEOUT_MS, null, Driver::outlast);
        driver.invoke("custom metrics", Driver::measure);
        driver.invoke("labels", Driver::label);
        driver.invoke("trace marks", Driver::mark);
        driver.invoke("event info", TIME_LIMIT_MS, gateway, execution -> "served");
        // The agent's threads must not keep the process alive.
        System.exit(0);
    }
}
