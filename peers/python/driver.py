"""Drives the published Python agent through the scenarios of `cargo xtask peers`, as one Lambda function in one warm
container would. What it did is written, one JSON object a line, to the file PEERS_OUT: scenario, request_id, started and
ended (RFC 3339, milliseconds, UTC) around the invocation, raised (the message of what the function raised, or null), and
facts that the expectation depends on.

The agent reads IOPIPE_TOKEN and IOPIPE_TIMEOUT_WINDOW itself; it has no variable for the collector's address, so
PEERS_COLLECTOR (host:port) is given to it in code.
"""

import datetime
import http.server
import json
import os
import threading
import time
import uuid

import requests
from iopipe import IOpipe

FUNCTION = os.environ["PEERS_FUNCTION"]
# The function's time limit, ms. The timeout scenario would outlast its limit, so the agent reports it 150 ms (its
# window) before.
TIME_LIMIT_MS = 10000
TIME_LIMIT_TIMEOUT_MS = 500

iopipe = IOpipe(host=os.environ["PEERS_COLLECTOR"], path="/v0/event")

with open(os.environ["PEERS_EVENT"], encoding="utf-8") as source:
    EVENT = json.load(source)


class LambdaContext:
    """What Lambda's Python runtime hands to a function."""

    def __init__(self, time_limit_ms):
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = FUNCTION
        self.function_version = "7"
        self.invoked_function_arn = "arn:aws:lambda:%s:123456789012:function:%s" % (
            os.environ["AWS_REGION"],
            FUNCTION,
        )
        self.log_group_name = "/aws/lambda/" + FUNCTION
        self.log_stream_name = "2026/11/21/[7]0123456789abcdef0123456789abcdef"
        self.memory_limit_in_mb = "256"
        self._deadline = time.monotonic() + time_limit_ms / 1000

    def get_remaining_time_in_millis(self):
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class CartError(Exception):
    """What the function of the error scenario raises."""


class Shop(http.server.BaseHTTPRequestHandler):
    """A shop of one page, which the function under trace calls."""

    def do_GET(self):
        self.send_response(201)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"ordered")

    def log_message(self, *arguments):
        pass


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def invoke(scenario, handler, event=None, time_limit_ms=TIME_LIMIT_MS, facts=None):
    """Runs one invocation and records it.

    An error that the handler raises belongs to the scenario and is recorded, not raised: the agent must have passed it
    on unchanged.
    """
    context = LambdaContext(time_limit_ms)
    started = now()
    raised = None
    try:
        iopipe(handler)({} if event is None else event, context)
    except Exception as error:  # pylint: disable=broad-except
        raised = str(error)
    line = {
        "scenario": scenario,
        "request_id": context.aws_request_id,
        "started": started,
        "ended": now(),
        "raised": raised,
        "facts": facts or {},
    }
    with open(os.environ["PEERS_OUT"], "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def serve(event, context):
    return "served"


def load_cart(event, context):
    raise CartError("cart 42 has no items")


def outlast(event, context):
    deadline = time.monotonic() + TIME_LIMIT_TIMEOUT_MS / 1000
    while time.monotonic() < deadline:
        time.sleep(0.01)


def measure(event, context):
    context.iopipe.metric("cart_total", 129.5)
    context.iopipe.metric("cart_items", 3)
    context.iopipe.metric("cart_currency", "EUR")


def label(event, context):
    context.iopipe.label("vip")
    context.iopipe.label("größe 🚀")


def mark(event, context):
    context.iopipe.mark.start("database")
    sum(range(1000))
    context.iopipe.mark.end("database")


def gateway(event, context):
    return {"statusCode": 200, "body": "served"}


def trace_http():
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, args=(0.01,), daemon=True).start()
    url = "http://127.0.0.1:%d/orders?cart=42" % shop.server_address[1]
    try:
        invoke("HTTP trace", lambda event, context: requests.get(url, timeout=5).text, facts={"url": url})
    finally:
        shop.shutdown()


def main():
    invoke("cold start", serve)
    invoke("warm", serve)
    invoke("thrown error", load_cart)
    invoke("timeout window", outlast, time_limit_ms=TIME_LIMIT_TIMEOUT_MS)
    invoke("custom metrics", measure)
    invoke("labels", label)
    invoke("trace marks", mark)
    trace_http()
    invoke("event info", gateway, event=EVENT)


main()
