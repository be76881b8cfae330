#!/usr/bin/env python3
"""Checks that no mutant is in what is released.

Usage: trace_test.py <binary...>   The binaries are of a tree without mutants.
"""

import pathlib
import sys
from typing import List

# The variable that chooses a mutant, and what asks for it: chosen_mutant.h.
TELLTALES = [b"RAFTKV_MUTANT", b"IsMutant"]


def find_traces(content: bytes) -> List[str]:
    return [trace.decode() for trace in TELLTALES if trace in content]


def main() -> int:
    paths = sys.argv[1:]
    findings = [f"{path} holds {trace}" for path in paths for trace in find_traces(pathlib.Path(path).read_bytes())]
    if not paths:
        findings.append("no binary was given")
    for finding in findings:
        print(finding)
    print(f"{len(paths)} binaries, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
