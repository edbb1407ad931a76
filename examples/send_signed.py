#!/usr/bin/env python3
"""Sends one signed report: send_signed.py ENDPOINT TOKEN PRIVATE_KEY.pem (Ed25519). Needs `pip install cryptography`."""
import base64, hashlib, json, sys, time, urllib.error, urllib.request, uuid

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


endpoint, token, key_file = sys.argv[1:]
with open(key_file, "rb") as file:
    key = load_pem_private_key(file.read(), password=None)

# The key's id is the thumbprint of its public half (RFC 7638).
x = base64url(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
members = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
header = {"alg": "EdDSA", "kid": base64url(hashlib.sha256(members.encode()).digest())}

# A signed report holds no client_id: the token goes into the Authorization header alone.
report = {
    "processId": str(uuid.uuid4()),
    "timestamp": time.time_ns() // 1_000_000,
    "duration": 12_000_000,  # nanoseconds
    "aws": {"awsRequestId": str(uuid.uuid4()), "functionName": "signed-example"},
    "labels": ["signed"],
}
signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, report))
jws = f"{signed}.{base64url(key.sign(signed.encode()))}"

headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/jose"}
request = urllib.request.Request(f"{endpoint.rstrip('/')}/v0/event", jws.encode(), headers)
try:
    with urllib.request.urlopen(request, timeout=5) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code}: {error.read().decode()}")
