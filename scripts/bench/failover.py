#!/usr/bin/env python3
"""Measures how long writes stop when the leader is killed: three nodes on loopback, a writer for each of the members,
kill -9 of the leader, and the time until a put that began later is acknowledged. raftkv and etcd in turns.

    scripts/bench/failover.py [--kills 20] [--binaries build/release] [--etcd <program>]

Each prints a line, the end medians and their ratio. All flags are those that the stores ship with. The leader that was
killed is started again, and the next one is killed when all three have served for some seconds.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDPOINTS = [f"127.0.0.1:2379{number}" for number in (1, 2, 3)]
# A put that goes to nobody is asked again soon, so that the store's time is measured and not the client's patience.
PUT_SECONDS_MAX = 0.1
# Puts of one writer a second: enough to see a gap of some milliseconds, too few to keep the machine busy.
PUTS_PER_SECOND = 500
SERVE_SECONDS = 3.0
GAP_SECONDS_MAX = 30.0
PUT_METHODS = {"raftkv": "/raftkv.v1.KvService/Put", "etcd": "/etcdserverpb.KV/Put"}
# Both have the key in field 1 and the value in field 2.
PUT = b"\x0a\x03key\x12\x05value"


class Writer(threading.Thread):
    """Puts at one member, one after another."""

    def __init__(self, store, endpoint):
        super().__init__(daemon=True)
        # A member that comes back is to be noticed at once.
        self.channel = grpc.insecure_channel(endpoint, options=[("grpc.max_reconnect_backoff_ms", 100),
                                                                ("grpc.initial_reconnect_backoff_ms", 50)])
        self.put = self.channel.unary_unary(PUT_METHODS[store])
        self.ended = threading.Event()
        self.acknowledged = []  # (begin, end) of the puts since the last kill.

    def run(self):
        while not self.ended.is_set():
            begin = time.monotonic()
            try:
                self.put(PUT, timeout=PUT_SECONDS_MAX)
                self.acknowledged.append((begin, time.monotonic()))
            except grpc.RpcError:
                pass
            time.sleep(max(0.0, begin + 1 / PUTS_PER_SECOND - time.monotonic()))
        self.channel.close()


class Cluster:
    """Three nodes of a store, by number from 0."""

    def __init__(self, store, program, ctl, folder):
        self.store, self.program, self.ctl, self.folder = store, program, ctl, folder
        self.servers = [self.start(number) for number in range(3)]

    def start(self, number):
        log = open(self.folder / f"n{number + 1}.log", "ab")
        with log:
            return subprocess.Popen([ROOT / "scripts/bench/node.sh", self.store, str(number + 1), self.program,
                                     self.folder / f"n{number + 1}"], stderr=log)

    def leader_of_raftkv(self):
        text = subprocess.run([self.ctl, "--endpoints", ",".join(ENDPOINTS), "endpoint", "status", "-w", "json"],
                              capture_output=True, text=True, check=False).stdout
        for status in json.loads(text or "[]"):
            if status.get("raft_state") == "leader":
                return int(status["name"][1:]) - 1
        return None

    def leader_of_etcd(self):
        for number, endpoint in enumerate(ENDPOINTS):
            request = urllib.request.Request(f"http://{endpoint}/v3/maintenance/status", data=b"{}")
            try:
                with urllib.request.urlopen(request, timeout=1) as response:
                    status = json.load(response)
            except OSError:
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return number
        return None

    def leader(self):
        end = time.monotonic() + GAP_SECONDS_MAX
        while time.monotonic() < end:
            number = self.leader_of_raftkv() if self.store == "raftkv" else self.leader_of_etcd()
            if number is not None:
                return number
            time.sleep(0.1)
        sys.exit(f"failover.py: nobody leads {self.store}, see {self.folder}")

    def stop(self):
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.wait()


def await_serving(writers):
    """Until each member has acknowledged puts for a while."""
    end = time.monotonic() + GAP_SECONDS_MAX
    for writer in writers:
        writer.acknowledged.clear()
    while not all(writer.acknowledged for writer in writers):
        if time.monotonic() > end:
            sys.exit("failover.py: a member does not serve")
        time.sleep(0.05)
    time.sleep(SERVE_SECONDS)


def kill_leader(cluster, writers):
    """Returns the seconds from the kill of the leader to the next acknowledgement, and starts it again."""
    await_serving(writers)
    leader = cluster.leader()
    killed = time.monotonic()
    os.kill(cluster.servers[leader].pid, signal.SIGKILL)
    cluster.servers[leader].wait()
    gap = None
    while gap is None:
        time.sleep(0.01)
        ends = [end for writer in writers for begin, end in list(writer.acknowledged) if begin > killed]
        if ends:
            gap = min(ends) - killed
        elif time.monotonic() > killed + GAP_SECONDS_MAX:
            sys.exit(f"failover.py: no put is acknowledged {GAP_SECONDS_MAX} s after the kill")
    cluster.servers[leader] = cluster.start(leader)
    return gap


def measure(store, program, ctl, kills):
    gaps = []
    with tempfile.TemporaryDirectory(prefix="raftkv_failover.") as folder:
        cluster = Cluster(store, program, ctl, pathlib.Path(folder))
        writers = [Writer(store, endpoint) for endpoint in ENDPOINTS]
        try:
            for writer in writers:
                writer.start()
            while len(gaps) < kills:
                gaps.append(kill_leader(cluster, writers))
        finally:
            for writer in writers:
                writer.ended.set()
            for writer in writers:
                writer.join()
            cluster.stop()
    milliseconds = [round(gap * 1000) for gap in gaps]
    print(f"{store:<7} {' '.join(map(str, milliseconds))} ms", flush=True)
    return milliseconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--etcd", help="its program; scripts/bench/build_etcd.sh builds it otherwise")
    options = parser.parse_args()
    etcd = options.etcd or subprocess.run([ROOT / "scripts/bench/build_etcd.sh"], check=True, capture_output=True,
                                          text=True, cwd=ROOT).stdout.strip()
    programs = {"raftkv": options.binaries / "server/raftkvd", "etcd": ROOT / etcd}
    gaps = {store: [] for store in programs}
    # In two turns, so that a machine that gets slower meets both.
    for kills in (options.kills - options.kills // 2, options.kills // 2):
        for store, program in programs.items():
            gaps[store] += measure(store, program, options.binaries / "client/ctl/raftkvctl", kills)
    for store, milliseconds in gaps.items():
        print(f"{store:<7} median {statistics.median(milliseconds):.0f} ms, from {min(milliseconds)} to "
              f"{max(milliseconds)}")
    print(f"raftkv / etcd: {statistics.median(gaps['raftkv']) / statistics.median(gaps['etcd']):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
