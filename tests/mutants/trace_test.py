#!/usr/bin/env python3
"""Checks that mutants are where they belong: each listed one in the code, none in what is released.

Usage: trace_test.py <binary...>   The binaries are of a tree without mutants.
"""

import pathlib
import sys
from typing import List

from mutant_list import LIST, ROOT, Mutant, find_uses, read_list

# The variable that chooses a mutant, and what every name of chosen_mutant.h holds.
TELLTALES = [b"RAFTKV_MUTANT", b"ChosenMutant", b"6Mutant"]


def find_traces(content: bytes, mutants: List[Mutant]) -> List[str]:
    names = [mutant.name.encode() for mutant in mutants]
    return [trace.decode() for trace in TELLTALES + names if trace in content]


def check_uses(mutants: List[Mutant]) -> List[str]:
    uses = find_uses(ROOT)
    names = {mutant.name for mutant in mutants}
    findings = [f"{name} is listed, but nothing asks for it" for name in sorted(names - set(uses))]
    for name in sorted(set(uses) - names):
        findings.append(f"{uses[name][0]}: {name} is not listed")
    return findings


def check_binaries(paths: List[str], mutants: List[Mutant]) -> List[str]:
    findings = []
    for path in paths:
        traces = find_traces(pathlib.Path(path).read_bytes(), mutants)
        findings += [f"{path} holds {trace}" for trace in traces]
    return findings


def main() -> int:
    mutants = read_list(LIST.read_text(encoding="utf-8"))
    findings = check_uses(mutants)
    if not sys.argv[1:]:
        findings.append("no binary was given")
    findings += check_binaries(sys.argv[1:], mutants)
    for finding in findings:
        print(finding)
    print(f"{len(mutants)} mutants, {len(sys.argv) - 1} binaries, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
