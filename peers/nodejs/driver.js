// Drives the published JavaScript agent through the scenarios of `cargo xtask peers`, as one Lambda function in one
// warm container would. What it did is written, one JSON object a line, to the file PEERS_OUT:
// scenario, request_id, started and ended (RFC 3339, milliseconds, UTC) around the invocation, raised (the message of what
// the function threw, or null), and facts that the expectation depends on.
// The agent reads IOPIPE_TOKEN, IOPIPE_COLLECTOR_URL and IOPIPE_TIMEOUT_WINDOW itself.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const iopipe = require('@iopipe/iopipe')();

const FUNCTION = process.env.PEERS_FUNCTION;
const EVENT = JSON.parse(fs.readFileSync(process.env.PEERS_EVENT, 'utf8'));
// The function's time limit, ms. The timeout scenario never ends by itself, so the agent reports it 150 ms (its window)
// before its limit.
const TIME_LIMIT_MS = 10000;
const TIME_LIMIT_TIMEOUT_MS = 500;

function lambdaContext(requestId, timeLimitMs, end) {
  const deadline = Date.now() + timeLimitMs;
  return {
    awsRequestId: requestId,
    functionName: FUNCTION,
    functionVersion: '7',
    invokedFunctionArn: `arn:aws:lambda:${process.env.AWS_REGION}:123456789012:function:${FUNCTION}`,
    logGroupName: `/aws/lambda/${FUNCTION}`,
    logStreamName: '2026/11/21/[7]0123456789abcdef0123456789abcdef',
    memoryLimitInMB: '256',
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    succeed: () => end(null),
    fail: error => end(error),
    done: error => end(error)
  };
}

// Runs one invocation as Lambda does: it ends when the agent says so, which is after its report was answered, or at the
// deadline. An error that the handler throws belongs to the scenario and is recorded, not raised: the agent must have
// passed it on unchanged.
async function invoke(scenario, handler, { event = {}, timeLimitMs = TIME_LIMIT_MS, facts = {} } = {}) {
  const requestId = crypto.randomUUID();
  const started = new Date().toISOString();
  let deadline;
  const raised = await new Promise(end => {
    deadline = setTimeout(() => end(new Error('the time limit was reached')), timeLimitMs);
    iopipe(handler)(event, lambdaContext(requestId, timeLimitMs, end), end);
  });
  clearTimeout(deadline);
  const line = {
    scenario,
    request_id: requestId,
    started,
    ended: new Date().toISOString(),
    raised: raised ? raised.message : null,
    facts
  };
  fs.appendFileSync(process.env.PEERS_OUT, `${JSON.stringify(line)}\n`);
}

function loadCart() {
  throw new RangeError('cart 42 has no items');
}

// The agent's tracer knows the forms (options, callback) and (url, callback) only, and only the first records a method.
// From the options it takes `pathname` and `search`, which Node itself does not read.
function get(url) {
  const { hostname, port, pathname, search } = new URL(url);
  const headers = { 'User-Agent': 'peers/1' };
  const options = { hostname, port, path: pathname + search, pathname, search, method: 'GET', headers };
  return new Promise((resolve, reject) => {
    http.get(options, response => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    }).on('error', reject);
  });
}

// A shop of one page, which the function under trace calls.
async function withShop(use) {
  const shop = http.createServer((request, response) => {
    response.writeHead(201, { 'Content-Type': 'text/plain' });
    response.end('ordered');
  });
  await new Promise(resolve => shop.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${shop.address().port}/orders?cart=42`);
  } finally {
    shop.close();
  }
}

async function main() {
  await invoke('cold start', async () => 'served');
  await invoke('warm', async () => 'served');
  await invoke('thrown error', async () => loadCart());
  await invoke('timeout window', () => new Promise(() => {}), {
    timeLimitMs: TIME_LIMIT_TIMEOUT_MS
  });
  await invoke('custom metrics', async (event, context) => {
    context.iopipe.metric('cart_total', 129.5);
    context.iopipe.metric('cart_items', 3);
    context.iopipe.metric('cart_currency', 'EUR');
  });
  await invoke('labels', async (event, context) => {
    context.iopipe.label('vip');
    context.iopipe.label('größe 🚀');
  });
  await invoke('trace marks', async (event, context) => {
    context.iopipe.mark.start('database');
    await new Promise(resolve => setImmediate(resolve));
    context.iopipe.mark.end('database');
  });
  await withShop(url => invoke('HTTP trace', async () => {
    // The tracer hooks `http` some promise turns after the invocation began; an earlier call would go unseen.
    await new Promise(resolve => setImmediate(resolve));
    await get(url);
  }, { facts: { url } }));
  await invoke('event info', async () => ({ statusCode: 200, body: 'served' }), { event: EVENT });
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
