#!/usr/bin/env python3
"""Prints the table of a comparison: medians over the runs, the span of the throughput, raftkv's ratios to the others.

Usage: report.py <results.jsonl>

Each line of the file is one run: {"name": workload, "warmup": "3s", "server_cpu_ticks": what the three servers used
over warm-up and duration, "server_rss_kib": what they hold after it, "result": what the load generator printed}.
"""

import collections
import json
import os
import statistics
import sys
from typing import Dict, Iterable, Iterator, List

NODES = 3
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
RATIOS = {"ops_per_second": "ops/s", "p50_ms": "p50", "p99_ms": "p99"}
HEADER = (f"{'workload':<20}{'store':<8}{'ops/s':>8}{'min..max':>15}{'p50 ms':>8}{'p99 ms':>8}{'p99.9 ms':>10}"
          f"{'CPU us/op':>11}{'MiB/node':>10}{'errors':>8}")


def seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text[: -len(unit)]) * units[unit]


class Runs:
    """All runs of one workload on one store."""

    def __init__(self) -> None:
        self.runs: List[dict] = []

    def values(self, column: str) -> List[float]:
        return [run["result"]["all"][column] for run in self.runs]

    def median(self, column: str) -> float:
        return statistics.median(self.values(column))

    def cpu_us_per_op(self) -> float:
        def of(run: dict) -> float:
            counted = run["result"]["seconds"] / (run["result"]["seconds"] + seconds(run["warmup"]))
            return run["server_cpu_ticks"] / TICKS_PER_SECOND * counted / run["result"]["all"]["ops"] * 1e6
        return statistics.median(map(of, self.runs))

    def mib_per_node(self) -> float:
        return statistics.median(run["server_rss_kib"] / 1024 / NODES for run in self.runs)

    def errors(self) -> int:
        return sum(sum(run["result"]["errors"].values()) for run in self.runs)

    def row(self, workload: str, store: str) -> str:
        rates = self.values("ops_per_second")
        span = f"{min(rates):.0f}..{max(rates):.0f}"
        return (f"{workload:<20}{store:<8}{self.median('ops_per_second'):>8.0f}{span:>15}{self.median('p50_ms'):>8.2f}"
                f"{self.median('p99_ms'):>8.2f}{self.median('p999_ms'):>10.2f}{self.cpu_us_per_op():>11.0f}"
                f"{self.mib_per_node():>10.0f}{self.errors():>8}")


def report(lines: Iterable[str]) -> Iterator[str]:
    workloads: Dict[str, Dict[str, Runs]] = {}
    for line in lines:
        run = json.loads(line)
        stores = workloads.setdefault(run["name"], collections.defaultdict(Runs))
        stores[run["result"]["backend"]].runs.append(run)
    yield HEADER
    for workload, stores in workloads.items():
        for store, runs in stores.items():
            yield runs.row(workload, store)
    for other in dict.fromkeys(store for stores in workloads.values() for store in stores if store != "raftkv"):
        ratios = []
        for workload, stores in workloads.items():
            if "raftkv" in stores and other in stores:
                ratios.append(f"{workload}: " + ", ".join(
                    f"{stores['raftkv'].median(column) / stores[other].median(column):.2f}x {words}"
                    for column, words in RATIOS.items()))
        if ratios:
            yield f"raftkv / {other}: " + "; ".join(ratios)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as lines:
        print("\n".join(report(lines)))


if __name__ == "__main__":
    main()
