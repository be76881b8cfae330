#!/usr/bin/env python3
"""Fills a cluster of three nodes on this machine with far more than memory holds, and measures how it bears it.

    scripts/bench_scale.py [--keys 20000000] [--value-size 512] [--binaries build/release] [--folder build/scale]

Values are text as applications store it. Prints, one line each: the fill with its rate over time, puts and gets over
all keys, memory and disk at the most and after a rest, a restart after kill -9, a member that was away for longer than
the log reaches back, a list of a prefix, and whether the members' states are equal. The folder gets samples.csv, a row
for every ten seconds. With the default of 10 GB of values it takes about an hour on two cores, and 60 GB of disk.
"""
import argparse
import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENDPOINTS = ["127.0.0.1:23791", "127.0.0.1:23792", "127.0.0.1:23793"]
SAMPLE_SECONDS = 10
MIB = 1 << 20


class Cluster:
    """Three servers, by number from 0."""

    def __init__(self, binaries, folder, flags):
        self.binaries, self.folder, self.flags = binaries, folder, flags
        self.servers = [None] * 3

    def start(self, number):
        """Starts one and returns the seconds until it says that it is ready."""
        log_path = self.folder / f"n{number + 1}.log"
        begin = log_path.stat().st_size if log_path.exists() else 0
        members = ",".join(f"n{i + 1}=127.0.0.1:2380{i + 1}" for i in range(3))
        began = time.monotonic()
        with open(log_path, "a", encoding="utf-8") as log:
            self.servers[number] = subprocess.Popen(
                [self.binaries / "server/raftkvd", "--name", f"n{number + 1}", "--data_dir",
                 self.folder / f"n{number + 1}", "--listen_client", ENDPOINTS[number], "--listen_peer",
                 f"127.0.0.1:2380{number + 1}", "--listen_http=", "--initial_cluster", members, *self.flags],
                stderr=log)
        while True:
            if self.servers[number].poll() is not None:
                sys.exit(f"bench_scale.py: n{number + 1} ended, see {log_path}")
            with open(log_path, encoding="utf-8") as log:
                log.seek(begin)
                if "raftkvd ready" in log.read():
                    return time.monotonic() - began
            time.sleep(0.01)

    def kill(self, number):
        self.servers[number].send_signal(signal.SIGKILL)
        self.servers[number].wait()
        self.servers[number] = None

    def stop(self):
        for server in filter(None, self.servers):
            server.terminate()
        for server in filter(None, self.servers):
            server.wait()

    def ctl(self, *arguments, timeout="60s", check=True):
        done = subprocess.run(
            [self.binaries / "client/ctl/raftkvctl", "--endpoints", ",".join(ENDPOINTS), "--command-timeout", timeout,
             *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            sys.exit(f"bench_scale.py: raftkvctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def statuses(self):
        """Of the members that answer, by name."""
        text = self.ctl("endpoint", "status", "-w", "json", timeout="5s", check=False)
        return {status["name"]: status for status in json.loads(text or "[]") if "name" in status}

    def leader(self):
        """The number of the member that leads."""
        while True:
            for name, status in self.statuses().items():
                if status["raft_state"] == "leader":
                    return int(name[1:]) - 1
            time.sleep(0.2)

    def bench(self, *arguments):
        line = subprocess.run(
            [self.binaries / "client/bench/raftkv_bench", "--endpoints",
             ",".join(ENDPOINTS[i] for i in range(3) if self.servers[i]), "--json", "--connections", "9",
             "--in-flight", "256", *arguments], capture_output=True, text=True, check=False)
        if line.returncode != 0:
            sys.exit(f"bench_scale.py: raftkv_bench {' '.join(arguments)}: {line.stderr}")
        return json.loads(line.stdout)


class Sampler(threading.Thread):
    """Notes every ten seconds what the members have."""

    def __init__(self, cluster, path):
        super().__init__(daemon=True)
        self.cluster, self.path = cluster, path
        self.ended = threading.Event()
        self.rows = []

    def run(self):
        began = time.monotonic()
        with open(self.path, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["seconds", "revision", "keys", "resident_mib", "disk_mib"])
            while not self.ended.wait(SAMPLE_SECONDS):
                statuses = self.cluster.statuses().values()
                if not statuses:
                    continue
                row = [round(time.monotonic() - began), max(s["header"]["revision"] for s in statuses),
                       max(s["key_count"] for s in statuses),
                       max(s["memory"]["resident_bytes"] for s in statuses) // MIB,
                       max(s["disk_bytes"] for s in statuses) // MIB]
                self.rows.append(row)
                writer.writerow(row)
                out.flush()


def say(what, text):
    print(f"{what:32} {text}", flush=True)


def describe(load):
    return f"{load['ops_per_second']:8.0f}/s   p50 {load['p50_ms']:7.2f} ms   p99 {load['p99_ms']:7.2f} ms"


def wait_until(what, holds, seconds):
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            sys.exit(f"bench_scale.py: {what}: not within {seconds} s")
        time.sleep(0.1)
    return time.monotonic() - began


def caught_up(cluster, name):
    statuses = cluster.statuses()
    return name in statuses and len(statuses) == 3 and statuses[name]["applied_index"] + 1000 >= max(
        status["applied_index"] for status in statuses.values())


def rest(cluster):
    """Waits until nothing changes on the disks any more; returns the bytes of the largest member."""
    last = []
    while len(last) < 4 or max(last[-4:]) > 1.002 * min(last[-4:]):
        time.sleep(5)
        last.append(max(status["disk_bytes"] for status in cluster.statuses().values()))
    return last[-1]


def measure(cluster, sampler, arguments):
    sizes = ["--keys", str(arguments.keys), "--value-size", str(arguments.value_size), "--values", "json"]
    raw = arguments.keys * (arguments.value_size + len("bench-0000000000"))
    filled = cluster.bench("--workload", "fill", *sizes)["put"]
    say("fill", f"{describe(filled)}   {arguments.keys} keys, {raw / 1e9:.2f} GB of keys and values")
    rates = [(b[2] - a[2]) / (b[0] - a[0]) for a, b in zip(sampler.rows, sampler.rows[1:]) if b[2] > a[2]]
    if len(rates) >= 5:
        fifth = len(rates) // 5
        say("  rate, first and last fifth",
            f"{sum(rates[:fifth]) / fifth:8.0f}/s   {sum(rates[-fifth:]) / fifth:8.0f}/s")
    healthy = cluster.bench("--workload", "put", *sizes, "--duration", "30s")["put"]
    say("puts over all keys", describe(healthy))
    gets = cluster.bench("--workload", "get", "--no-prefill", *sizes, "--duration", "30s")["get"]
    say("gets over all keys", describe(gets))
    say("memory of a member, at most", f"{max(row[3] for row in sampler.rows)} MiB")
    say("disk of a member, at most", f"{max(row[4] for row in sampler.rows)} MiB")
    settled = rest(cluster)
    say("disk of a member, after a rest",
        f"{settled / MIB:.0f} MiB, {settled / raw:.2f} of the keys and values, log included")

    victim = (cluster.leader() + 1) % 3
    name = f"n{victim + 1}"
    cluster.kill(victim)
    say("ready after kill -9", f"{cluster.start(victim):.2f} s")
    wait_until("catching up after the restart", lambda: caught_up(cluster, name), 600)

    cluster.kill(victim)
    before = cluster.statuses()
    terms = {status["header"]["raft_term"] for status in before.values()}
    away = cluster.bench("--workload", "put", *sizes, "--duration", f"{arguments.away}s")["put"]
    say("puts while a member is away", describe(away))
    load = {}
    beside = threading.Thread(target=lambda: load.update(
        cluster.bench("--workload", "put", *sizes, "--warmup", "0s", "--duration", f"{arguments.away}s")["put"]))
    beside.start()
    cluster.start(victim)
    seconds = wait_until("catching up after an absence", lambda: caught_up(cluster, name), 3600)
    beside.join()
    with open(cluster.folder / f"{name}.log", encoding="utf-8") as log:
        by_snapshot = "snapshot" in log.read()
    say("catching up after an absence", f"{seconds:.1f} s, {'by a snapshot' if by_snapshot else 'from the log'}")
    say("  puts beside it", f"{describe(load)}   {load['ops_per_second'] / away['ops_per_second']:.2f} of those before")
    after = {status["header"]["raft_term"] for status in cluster.statuses().values()}
    say("  changes of the leader", "none" if after == terms else f"terms {sorted(terms)} to {sorted(after)}")

    began = time.monotonic()
    keys = cluster.ctl("get", "bench-00000", "--prefix", "--keys-only", "--limit", "100000", timeout="600s").count("\n")
    say("list of a prefix", f"{keys} keys in {time.monotonic() - began:.2f} s")
    wait_until("equal applied indexes", lambda: len({status["applied_index"]
                                                     for status in cluster.statuses().values()}) == 1, 120)
    print(cluster.ctl("endpoint", "hashkv", "--cluster", timeout="600s"), end="")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=20_000_000)
    parser.add_argument("--value-size", type=int, default=512)
    parser.add_argument("--away", type=int, default=60, metavar="SECONDS", help="of load while a member is away")
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build/scale")
    parser.add_argument("flags", nargs="*", help="for the servers, after --")
    arguments = parser.parse_args()
    need = 6 * arguments.keys * (arguments.value_size + 64)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(arguments.folder).free < need:
        sys.exit(f"bench_scale.py: {arguments.folder} needs {need / 1e9:.0f} GB free")
    shutil.rmtree(arguments.folder)
    arguments.folder.mkdir()
    cluster = Cluster(arguments.binaries.resolve(), arguments.folder.resolve(), arguments.flags)
    try:
        say("machine", f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}; servers' flags: "
                       f"{' '.join(arguments.flags) or 'none'}")
        starts = [threading.Thread(target=cluster.start, args=[i]) for i in range(3)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        cluster.leader()
        sampler = Sampler(cluster, arguments.folder / "samples.csv")
        sampler.start()
        measure(cluster, sampler, arguments)
        sampler.ended.set()
    finally:
        cluster.stop()
        for i in range(3):
            shutil.rmtree(arguments.folder / f"n{i + 1}", ignore_errors=True)


if __name__ == "__main__":
    main()
