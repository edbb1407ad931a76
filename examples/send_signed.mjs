#!/usr/bin/env node
// Sends one signed report: send_signed.mjs ENDPOINT TOKEN PRIVATE_KEY.pem (Ed25519). Needs Node 18 or later alone.
import { createHash, createPrivateKey, createPublicKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const [endpoint, token, keyFile] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(keyFile));

// The key's id is the thumbprint of its public half (RFC 7638).
const { crv, kty, x } = createPublicKey(key).export({ format: "jwk" });
const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x })).digest("base64url");

// A signed report holds no client_id: the token goes into the Authorization header alone.
const report = {
  processId: randomUUID(),
  timestamp: Date.now(),
  duration: 12_000_000, // nanoseconds
  aws: { awsRequestId: randomUUID(), functionName: "signed-example" },
  labels: ["signed"],
};
const base64url = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
const signed = `${base64url({ alg: "EdDSA", kid })}.${base64url(report)}`;
const jws = `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;

const answer = await fetch(`${endpoint.replace(/\/$/, "")}/v0/event`, {
  method: "POST",
  headers: { authorization: `Bearer ${token}`, "content-type": "application/jose" },
  body: jws,
  signal: AbortSignal.timeout(5000),
});
const body = await answer.text();
console.log(answer.ok ? body : `${answer.status}: ${body}`);
process.exitCode = answer.ok ? 0 : 1;
