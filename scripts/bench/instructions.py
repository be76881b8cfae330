#!/usr/bin/env python3
"""Counts the instructions that a store of one member takes for a put and for a get, by callgrind.

    scripts/bench/instructions.py                 counts, and compares with instructions.json beside it
    scripts/bench/instructions.py --write         counts, and makes that file anew

Seconds differ from machine to machine and from run to run; instructions hardly do, so they show that something became
dearer when no clock could. Of one compiler and one set of libraries: Debian 12's. 256 bytes a value, 64 in flight over
8 connections. What the member does by itself in that time is measured first and taken off.

Exit 0: within 5 %, on another processor 10 %; 1: not; 2: could not be counted.
"""

import argparse
import glob
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIGURES = pathlib.Path(__file__).with_name("instructions.json")
TOLERANCE = 0.05
# Libraries choose some of their routines by the processor.
TOLERANCE_OF_ANOTHER_PROCESSOR = 0.10
KEYS = 4000
IDLE_SECONDS = 3.0
START_SECONDS_MAX = 60.0
READY = re.compile(r"ready .*client=(\S+) ")
# From then on it does not tell other members its version any more.
SETTLED = "is the cluster version now"


class CannotCount(Exception):
    pass


class CountedMember:
    """A store of one member under callgrind, which `folder` belongs to."""

    def __init__(self, raftkvd, folder):
        self.folder = folder
        self.log = folder / "log"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", raftkvd, "--name=n1",
                   f"--data_dir={folder}/data", "--listen_client=127.0.0.1:0", "--listen_peer=127.0.0.1:0",
                   "--listen_http="]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.dumps = 0

    def await_settled(self):
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            text = self.log.read_text(errors="replace")
            if SETTLED in text:
                return READY.search(text).group(1)
            time.sleep(0.1)
        raise CannotCount(f"no member: {self.log.read_text(errors='replace')[-2000:]}")

    def take(self):
        """What was counted since the last time."""
        subprocess.run(["callgrind_control", "--dump", str(self.process.pid)], check=True, capture_output=True)
        self.dumps += 1
        # The dump is there when its last line is.
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            for name in glob.glob(f"{self.folder}/out.{self.dumps}"):
                found = re.search(r"^totals: (\d+)$", pathlib.Path(name).read_text(), re.MULTILINE)
                if found:
                    return int(found.group(1))
            time.sleep(0.1)
        raise CannotCount(f"callgrind wrote no {self.folder}/out.{self.dumps}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def load(bench, endpoint, *arguments):
    command = [bench, "--endpoints", endpoint, "--in-flight", "64", "--connections", "8", "--keys", str(KEYS),
               "--warmup", "0s", "--timeout", "60s", "--json", *arguments]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if result["errors"]:
        raise CannotCount(f"calls failed: {result['errors']}")
    return result["all"]["ops"]


def count(raftkvd, bench):
    with tempfile.TemporaryDirectory(prefix="raftkv_instructions.") as folder:
        member = CountedMember(raftkvd, pathlib.Path(folder))
        try:
            endpoint = member.await_settled()
            member.take()
            time.sleep(IDLE_SECONDS)
            idle_per_second = member.take() / IDLE_SECONDS

            def per_operation(*arguments):
                begin = time.monotonic()
                operations = load(bench, endpoint, *arguments)
                seconds = time.monotonic() - begin
                return round((member.take() - idle_per_second * seconds) / operations)

            return {"put": per_operation("--workload", "fill", "--duration", "300s"),
                    "get": per_operation("--workload", "get", "--no-prefill", "--duration", "8s")}
        finally:
            member.stop()


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def compare(counted, expected, tolerance=TOLERANCE):
    """Lines to print, and how many operations are not what was expected."""
    lines, wrong = [], 0
    for operation, instructions in counted.items():
        change = instructions / expected[operation] - 1
        lines.append(f"{operation}: {instructions} instructions, {change:+.1%} to {expected[operation]}")
        if abs(change) > tolerance:
            wrong += 1
            lines.append(f"  more than {tolerance:.0%}: if it is meant, or became cheaper, say why in the commit that "
                         f"writes {FIGURES.relative_to(ROOT)} anew (--write)")
    return lines, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path, help="the tree of the programs")
    parser.add_argument("--write", action="store_true", help="make instructions.json anew")
    options = parser.parse_args()
    try:
        counted = count(options.build / "server/raftkvd", options.build / "client/bench/raftkv_bench")
    except (CannotCount, OSError, subprocess.CalledProcessError) as error:
        print(f"instructions.py: {error}", file=sys.stderr)
        return 2
    if options.write:
        FIGURES.write_text(json.dumps({"processor": processor(), **counted}, indent=2) + "\n")
    expected = json.loads(FIGURES.read_text())
    is_same = expected["processor"] == processor()
    lines, wrong = compare(counted, expected, TOLERANCE if is_same else TOLERANCE_OF_ANOTHER_PROCESSOR)
    print("\n".join(lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
