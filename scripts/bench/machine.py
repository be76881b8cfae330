#!/usr/bin/env python3
"""Says what the figures depend on besides the stores: cores, kernel, what a sync costs here, and whether the machine is
quiet.

Usage: machine.py <folder on the disk that is measured>
"""

import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time

SYNCS = 300
APPENDED_BYTES = 4096
# More than this before the run means that others compute as well.
QUIET_LOAD_MAX = 1.0
# What was built just now counts in the load average for a while.
SETTLE_SECONDS_MAX = 180


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def sync_times_us(folder: str) -> list:
    """What an append with its fdatasync takes, as the log of each store does it."""
    times = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            started = time.perf_counter()
            file.write(b"x" * APPENDED_BYTES)
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    return times


def settled_load() -> float:
    """The load average, once it is low or has had its time to become so."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while os.getloadavg()[0] > QUIET_LOAD_MAX and time.monotonic() < deadline:
        time.sleep(1)
    return os.getloadavg()[0]


def load_line(load: float) -> str:
    verdict = ", not quiet: the figures are provisional" if load > QUIET_LOAD_MAX else ""
    return f"load average before the run: {load:.2f}{verdict}"


def main() -> None:
    load = settled_load()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    syncs = sync_times_us(sys.argv[1])
    print(f"{os.cpu_count()} cores of {processor()}, {memory_gib:.0f} GiB, Linux {platform.release()}; "
          f"append of 4 KiB with fdatasync: p50 {statistics.median(syncs):.0f} us, "
          f"p99 {statistics.quantiles(syncs, n=100)[98]:.0f} us")
    print(load_line(load))


if __name__ == "__main__":
    main()
