#!/usr/bin/env bash
# Prints the CPU time that these processes have used together, in ticks of the system.
#
#   scripts/bench/cpu_ticks.sh <pid>...
set -euo pipefail

total=0
for pid in "$@"; do
  # The name in parentheses may hold blanks; what follows it does not.
  read -ra fields <<<"$(sed 's/.*) //' "/proc/$pid/stat")"
  total=$((total + fields[11] + fields[12]))
done
echo "$total"
