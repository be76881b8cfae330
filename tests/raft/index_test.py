#!/usr/bin/env python3
"""Checks tests/raft/testdata/INDEX.md: what it names exists, and it names every transcript."""

import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent
TRANSCRIPTS = TESTS / "testdata"


def main() -> int:
    index = (TRANSCRIPTS / "INDEX.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`\s]+)`", index))
    transcripts = {path.name for path in TRANSCRIPTS.glob("*.txt")}
    tests = set()
    for path in TESTS.rglob("*_test.cc"):
        for suite, name in re.findall(r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", path.read_text(encoding="utf-8"), re.M):
            tests.add(f"{suite}.{name}")

    findings = [f"no transcript {name}" for name in sorted(named - transcripts) if name.endswith(".txt")]
    findings += [f"no test {name}" for name in sorted(named - tests) if re.fullmatch(r"[A-Z]\w*\.[A-Z]\w*", name)]
    findings += [f"{name} is not listed" for name in sorted(transcripts - named)]
    for suite_and_name in sorted(name for name in tests - named if name.startswith("Thesis")):
        findings.append(f"{suite_and_name} is not listed")
    for finding in findings:
        print(f"INDEX.md: {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
