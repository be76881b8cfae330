#!/usr/bin/env python3
"""Sends malformed HTTP to a real server: it must live, answer others meanwhile, and hold no more than before.

Usage: http_fuzz.py <raftkvd> [seconds=60] [seed]

Requests that make sense are bent: bytes, lines, lengths, encodings, JSON, the moments at which they are cut. Exit 1
when the server ends, answers 500, INTERNAL or what is no HTTP, does not answer a good request within CHECK_TIMEOUT_S,
has more than RSS_GROWTH_MAX more memory at the end than after a quarter of the time, keeps connections, or does not
stop.
"""

import contextlib
import http.client
import json
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

THREADS = 12
START_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 2
CHECK_TIMEOUT_S = 5
CHECK_INTERVAL_S = 0.2
RSS_GROWTH_MAX = 48 << 20
# Connections that are left are closed by then.
CALM_TIMEOUT_S = 40
STOP_TIMEOUT_S = 15

JSON_HEAD = "Content-Type: application/json"
BODIES = [
    b'{"value": "v", "ttl": "1m30s"}', b'{"key": "f/1", "value": "v"}', b'{"key": "f/1", "text": "v", "ttl": "5s"}',
    b'{"range": {"prefix": "f/"}, "page_size": 10, "as_text": true}',
    b'{"guards": [{"range": {"key": "f/1"}, "mod_revision": "7"}], "then_ops": [{"get": {"key": "f/1"}}]}',
    b'{"ops": [{"put": {"key": "f/2", "data": "AAEC"}}, {"increment": {"key": "f/3", "delta": "-5"}}]}',
    b'{"node_id": "n9", "raft_address": "127.0.0.1:1"}', b'{"consistency": "CONSISTENCY_STALE", "min_revision": 1}',
    b"[" * 2000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"key": "\xff\xfe"}', b'{"value": 1e999}',
    b'{"value": "\\ud800"}',
    b'{"value": "v", "value": "w"}', b'{"page_size": 99999999999999999999}', b"", b"\x00" * 64, b"v" * 100_000,
]
TARGETS = [
    "PUT /v1/kv/f/1", "GET /v1/kv/f/1", "DELETE /v1/kv/f/1", "GET /v1/kv?prefix=f/&page_size=3&keys_only", "PUT /kv/f1",
    "GET /key/f1", "GET /get?key=f1", "POST /set", "DELETE /delete?key=f1", "PUT /v1/kv/f/raw?raw&ttl=5s", "POST /join",
    "GET /v1/kv/f%2F1?raw", "GET /status", "GET /health", "GET /livez", "GET /readyz?verbose", "GET /version",
    "GET /metrics", "GET /members", "GET /config", "GET /", "HEAD /", "OPTIONS /v1/kv/f", "GET /index.html",
    "POST /raftkv.v1.KvService/Put", "POST /raftkv.v1.KvService/Get", "POST /raftkv.v1.KvService/List",
    "POST /raftkv.v1.KvService/Txn", "POST /raftkv.v1.KvService/Batch", "POST /raftkv.v1.KvService/Increment",
    "POST /raftkv.v1.ClusterService/GetStatus", "POST /raftkv.v1.WatchService/Watch", "PATCH /v1/kv/f", "TRACE /",
    "GET /v1/kv/f%", "GET /v1/kv/%00", "GET /v1/kv/%ff%fe", "GET /../../etc/passwd", "GET //v1//kv", "CONNECT x:1",
    "GET http://other/v1/kv/f", "GET /v1/kv/" + "k" * 9000, "GET /v1/kv?page_size=-1&timeout=99999999999h", "GET *",
]
HEADS = [
    JSON_HEAD, "Content-Type: application/json; charset=\"", "Content-Type: application/proto",
    "Connection: keep-alive", "Connection: close", "Connection: upgrade, HTTP2-Settings",
    "Upgrade: h2c", "Expect: 100-continue", "Expect: x",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip", "Range: bytes=9-1,0-",
    "Content-Length: -1", "Content-Length: 18446744073709551616", "Content-Length: 5, 6", "Content-Length: 0x10",
    "Content-Length:", "Origin: http://evil.example", "Host:", "Host: a\x00b", "X: " + "y" * 9000, "X" * 9000 + ": y",
    ": no name", "no colon", " folded: yes", "X:\ty\x0b", "Accept: " + "text/html;q=0." * 400, "Cookie: \xff\xfe",
    "Content-Type: multipart/form-data; boundary=--a", "Content-Length: 5\r\nContent-Length: 5",
    "Connect-Timeout-Ms: x",
    "X-HTTP-Method-Override: DELETE", "Sec-Fetch-Site: cross-site", "If-None-Match: *",
]
WHOLE = [
    b"", b"\r\n" * 50, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, b"GET /health\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n", b"\x00" * 4096,
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", b"G" * 70_000, b"GET / HTTP/1.0\n\n", b"\xff" * 1000,
]


def chunked(rng, body):
    """In chunks, some of which have lengths that are none."""
    parts = []
    while body:
        size = rng.randint(1, max(1, min(len(body), 500)))
        wrong = [f"{size:X};ext=1", "-1", "ffffffffffffffff", f"{size + 1:x}", "", "zz"]
        length = rng.choice([f"{size:x}"] * 8 + wrong)
        parts.append(length.encode() + b"\r\n" + body[:size] + b"\r\n")
        body = body[size:]
    return b"".join(parts) + rng.choice([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\n", b""])


def bend(rng, request):
    """Some bytes of it changed, doubled or gone."""
    data = bytearray(request)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 8])):
        if not data:
            break
        at = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:at + rng.choice([1, 1, 4, 40])]
        elif kind == 2:
            data[at:at] = data[at:at + rng.choice([1, 2, 30])] * rng.choice([1, 2, 20])
        elif kind == 3:
            data[at:at] = rng.choice([b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\"", b"%", b"\xc0\xaf", b"{", b"}"])
        else:
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def make_request(rng):
    if rng.random() < 0.08:
        return bend(rng, rng.choice(WHOLE))
    body = bend(rng, rng.choice(BODIES)) if rng.random() < 0.7 else b""
    heads = [f"Host: {rng.choice(['localhost', '127.0.0.1:1', ''])}"]
    heads += rng.sample(HEADS, rng.choice([0, 0, 1, 1, 2, 4]))
    heads += [JSON_HEAD] if rng.random() < 0.6 else []
    if any(head.startswith("Transfer-Encoding") for head in heads):
        body = chunked(rng, body)
    elif rng.random() < 0.9:
        heads.append(f"Content-Length: {len(body) + rng.choice([0] * 12 + [1, -1, 1000, 10 ** 9])}")
    version = rng.choice(["HTTP/1.1"] * 9 + ["HTTP/1.0", "HTTP/2.0", "HTTP/1.1 x", "http/1.1"])
    text = f"{rng.choice(TARGETS)} {version}\r\n" + "".join(head + "\r\n" for head in heads) + "\r\n"
    return bend(rng, text.encode("latin-1") + body) if rng.random() < 0.7 else text.encode("latin-1") + body


def send_request(rng, port):
    """What came back, as far as it was waited for."""
    request = b"".join(make_request(rng) for _ in range(rng.choice([1, 1, 1, 2, 5])))
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pieces = sorted(rng.randrange(len(request) + 1) for _ in range(rng.choice([0, 0, 1, 3])))
        for begin, end in zip([0, *pieces], [*pieces, len(request)]):
            connection.sendall(request[begin:end])
        ending = rng.random()
        if ending < 0.15:
            # Gone without a word.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return request, b""
        if ending < 0.3:
            return request, b""
        if ending < 0.7:
            connection.shutdown(socket.SHUT_WR)
        else:
            connection.settimeout(0.05)
        answer = b""
        while len(answer) < 1 << 20:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return request, answer


class Fuzz:
    """One run: its server, what it found, and how much was sent."""

    def __init__(self, raftkvd, folder, seed):
        self._seed = seed
        self._lock = threading.Lock()
        self._log = pathlib.Path(folder) / "log"
        self._over = threading.Event()
        self.findings = []
        self.requests = 0
        self.statuses = {}
        self.checks = 0
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [raftkvd, f"--data_dir={folder}/data", "--listen_client=127.0.0.1:0", "--listen_peer=127.0.0.1:0",
                 "--listen_http=127.0.0.1:0", "--memory_bytes_max=64MiB", "--request_timeout_ms=2000"], stderr=log)
        self._port = self._await_ready()

    def _text(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _await_ready(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            match = re.search(r"raftkvd ready .*http=\S*:(\d+)", self._text())
            if match:
                return int(match.group(1))
            time.sleep(0.05)
        sys.exit("http_fuzz: raftkvd did not start")

    def find(self, text):
        with self._lock:
            self.findings.append(text)

    def _attack(self, number):
        rng = random.Random(f"{self._seed}.{number}")
        while not self._over.is_set() and not self.findings:
            answer = b""
            # A server may close, or say nothing to what is not whole.
            with contextlib.suppress(OSError):
                request, answer = send_request(rng, self._port)
            with self._lock:
                self.requests += 1
            if not answer:
                continue
            match = re.match(rb"HTTP/1\.[01] (\d{3})[ \r]", answer)
            status = match.group(1).decode() if match else "none"
            with self._lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
            # Whatever comes, it is not the server's fault.
            if status in ("none", "500") or b'"code":"INTERNAL"' in answer:
                self.find(f"answer {answer[:300]!r} to {request[:3000]!r}")

    def check(self):
        """A good request among the others."""
        self.checks += 1
        begin = time.monotonic()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=CHECK_TIMEOUT_S)
            with contextlib.closing(connection):
                value = f"value {self.checks}"
                connection.request("PUT", "/v1/kv/check", json.dumps({"value": value}))
                put = connection.getresponse()
                put.read()
                connection.request("GET", "/v1/kv/check")
                got = connection.getresponse()
                answer = json.load(got)
            if (put.status, got.status) != (200, 200) or answer["value"] != value:
                self.find(f"a good request was answered {put.status}, {got.status}: {answer}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.find(f"a good request was not answered after {time.monotonic() - begin:.1f} s: {error!r}; the server "
                      f"{'is gone' if self._server.poll() is not None else 'is there'}")

    def rss(self):
        status = pathlib.Path(f"/proc/{self._server.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) << 10

    def sockets(self):
        """How many it has. Files come and go with what is stored."""
        links = []
        for link in pathlib.Path(f"/proc/{self._server.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(str(link.readlink()))
        return sum(link.startswith("socket:") for link in links)

    def run(self, seconds):
        self.check()
        calm = self.sockets()
        threads = [threading.Thread(target=self._attack, args=(number,)) for number in range(THREADS)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        settled = None
        while time.monotonic() < begin + seconds and not self.findings:
            self.check()
            if settled is None and time.monotonic() > begin + seconds / 4 and not self.findings:
                settled = self.rss()
            time.sleep(CHECK_INTERVAL_S)
        self._over.set()
        for thread in threads:
            thread.join()
        if not self.findings:
            self._look_after(calm, settled)
        self._stop()

    def _look_after(self, calm, settled):
        deadline = time.monotonic() + CALM_TIMEOUT_S
        while self.sockets() > calm and time.monotonic() < deadline:
            time.sleep(0.2)
        if self.sockets() > calm:
            self.find(f"{self.sockets()} sockets are open, {calm} were before")
        self.check()
        grown = self.rss() - settled
        print(f"http_fuzz: memory {settled >> 20} MiB after a quarter, {(settled + grown) >> 20} MiB at the end")
        if grown > RSS_GROWTH_MAX:
            self.find(f"memory has grown by {grown >> 20} MiB")

    def _stop(self):
        if self._server.poll() is None:
            self._server.terminate()
        try:
            code = self._server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            code = self._server.wait()
        if code != 0:
            self.find(f"the server ended with {code}; its log ends:\n" +
                      self._log.read_text(encoding="utf-8", errors="replace")[-3000:])


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 1
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = sys.argv[3] if len(sys.argv) > 3 else str(random.SystemRandom().randrange(1 << 32))
    print(f"http_fuzz: {seconds:g} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="raftkv_http_fuzz_") as folder:
        fuzz = Fuzz(sys.argv[1], folder, seed)
        fuzz.run(seconds)
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(fuzz.statuses.items()))
    print(f"http_fuzz: {fuzz.requests} connections; answers {statuses}; {fuzz.checks} good requests between them")
    for finding in fuzz.findings:
        print(f"http_fuzz: {finding}", file=sys.stderr)
    return 1 if fuzz.findings else 0


if __name__ == "__main__":
    sys.exit(main())
