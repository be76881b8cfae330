#!/usr/bin/env python3
"""Runs the proof of raftkv against mutants. For scripts/mutants.sh.

Usage: run_proof.py [--skip-sound] [--only <step>] [--write] <build directory of the preset `mutants`> [number...]

First the whole proof without a mutant, which must pass. Then, for each mutant, its steps in turn until one fails: that
is a catch. The step that caught it last, by caught_by.txt, comes first. A mutant that nothing caught within its time
has survived.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, NamedTuple, Optional

from mutant_list import LIST, ROOT, Mutant, read_list
from trace_test import find_traces

MUTANT_SECONDS_MAX = 300.0
# A step that takes so long does not come to an end. Without a mutant there is no hurry.
STEP_SECONDS_MAX = 75.0
SOUND_STEP_SECONDS_MAX = 300.0
RUNS_AT_ONCE = 2
CAUGHT_BY = "tests/mutants/caught_by.txt"
CAUGHT_BY_HEAD = """\
# The number of each mutant, and what caught it last: the step, and the test in it. Written by run_proof.py --write.
"""
# Where a run of the simulator finds something, it mostly finds it soon; thousands belong to raftkv_sim itself.
SIMULATED_SEEDS = 600


class Step(NamedTuple):
    program: str  # Below the build directory.
    arguments: List[str] = []

    @property
    def name(self) -> str:
        """The program's, or that of the one file of tests that it runs."""
        for argument in self.arguments:
            if argument.startswith("--file="):
                return argument[len("--file="):-len(".cc")]
        return self.program.rsplit("/", 1)[-1]


def files(program: str, *names: str) -> List[Step]:
    return [Step(program, [f"--file={name}.cc"]) for name in names]


# The quick ones first. Of the crash lab only the samples: all of it takes minutes, and shows no more of a mutant.
PROOF = [
    Step("tests/raft/core/raft_core_test"),
    Step("tests/raft/core/raft_transcript_test"),
    Step("tests/raft/runtime/raft_runtime_test"),
    Step("tests/raft/core/raft_random_cluster_test"),
    Step("tests/raft/wire/convert_test"),
    Step("tests/server/server_test", ["--gtest_filter=Snapshot*:Founding*:MemberChanges*"]),
    Step("tests/kv/kv_test"),
    *files("tests/storage/storage_test", "wal_gap_filter_test", "wal_survey_test", "disk_failure_test",
           "snapshot_chunk_test", "past_state_test", "ballast_test", "backup_test", "recover_alone_test",
           "rocksdb_log_store_test", "kv_view_test", "newer_version_test", "history_test", "data_directory_test"),
    *files("tests/storage/storage_crash_test", "durability_fence_test", "fence_following_test"),
    Step("tests/storage/expirer_test"),
    Step("tests/storage/storage_test",
         ["--file=snapshot_test.cc", "--gtest_filter=-SnapshotTest.LargeValues*:SnapshotTest.TheOldStatesSpace*"]),
    Step("tests/storage/crash_points_test", ["--gtest_filter=Sampled*"]),
    Step("tests/storage/damaged_files_test", ["--gtest_filter=Sampled*"]),
    *files("tests/storage/storage_test", "kv_state_machine_test", "kv_state_machine_cold_test",
           "kv_state_machine_dead_rows_test", "kv_state_machine_determinism_test", "kv_state_machine_expiry_test",
           "kv_state_machine_lease_test", "kv_state_machine_requests_test", "kv_state_machine_txn_test"),
    Step("tests/storage/recovery_test"),
    Step("tests/storage/failing_disk_test", ["--gtest_filter=Sampled*"]),
    Step("tests/integration/integration_test", ["--gtest_filter=DamagedLeaderTest.*"]),
    Step("tests/simulation/raftkv_sim", [f"--seeds={SIMULATED_SEEDS}"]),
]


class Verdict(NamedTuple):
    caught_by: Optional[str]  # None when everything passed.
    seconds: float
    output: str
    out_of_time: bool = False


def which_test(step: Step, output: str) -> str:
    """What in a failed step's output failed: a test of gtest, a seed, or all that is known."""
    failed = re.search(r"^\[  FAILED  \] (\S+?)(?:,| \(|$)", output, re.MULTILINE)
    if failed:
        return f"{step.name} {failed.group(1)}"
    begun = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    if begun:
        return f"{step.name} {begun[-1]}"
    seed = re.search(r"^FAILED (seed=\d+)", output, re.MULTILINE)
    return f"{step.name} {seed.group(1)}" if seed else step.name


def run_step(build: pathlib.Path, step: Step, number: int, hangs_after: float, seconds_left: float) -> Verdict:
    """One step under a mutant. Its end is awaited for the smaller of the two times; only the first is a verdict."""
    begin = time.monotonic()
    # Of its own, since a process that is killed leaves its temporary directories behind.
    with tempfile.TemporaryDirectory(prefix="raftkv_mutants.") as folder, tempfile.TemporaryFile() as log:
        # One failure says all, and what would follow it may take long.
        environment = {**os.environ, "RAFTKV_MUTANT": str(number), "TMPDIR": folder, "GTEST_FAIL_FAST": "1"}
        process = subprocess.Popen([build / step.program, *step.arguments], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        ended = True
        try:
            process.wait(timeout=min(hangs_after, seconds_left))
        except subprocess.TimeoutExpired:
            ended = False
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # Its children, too.
            except ProcessLookupError:
                pass
            process.wait()
        log.seek(0)
        output = log.read().decode(errors="replace")
    seconds = time.monotonic() - begin
    if ended:
        return Verdict(None if process.returncode == 0 else which_test(step, output), seconds, output)
    if hangs_after <= seconds_left:
        return Verdict(f"{which_test(step, output)} (hangs)", seconds, output)
    return Verdict(None, seconds, output, out_of_time=True)


def run_sound(build: pathlib.Path, proof: List[Step], pool: concurrent.futures.Executor) -> bool:
    """The whole proof without a mutant. Returns whether all of it passed."""
    begin = time.monotonic()
    passed = True
    seconds = 0.0
    for step, verdict in zip(proof, pool.map(
            lambda step: run_step(build, step, 0, SOUND_STEP_SECONDS_MAX, SOUND_STEP_SECONDS_MAX), proof)):
        seconds += verdict.seconds
        if verdict.caught_by is not None:
            passed = False
            print(f"{verdict.output}\nfails without any mutant: {verdict.caught_by}", file=sys.stderr)
    print(f"without a mutant: {'all passed' if passed else 'FAILED'}; {len(proof)} steps, {seconds:.0f} s of tests, "
          f"{time.monotonic() - begin:.0f} s", flush=True)
    return passed


def read_caught_by(text: str) -> Dict[int, str]:
    rows = (line.split(maxsplit=1) for line in text.splitlines() if not line.startswith("#"))
    return {int(number): caught_by for number, caught_by in rows}


def run_mutant(build: pathlib.Path, proof: List[Step], mutant: Mutant, caught_last_by: str = "") -> Verdict:
    begin = time.monotonic()
    first = caught_last_by.split(" ", 1)[0]
    for step in sorted(proof, key=lambda step: step.name != first):
        left = MUTANT_SECONDS_MAX - (time.monotonic() - begin)
        verdict = run_step(build, step, mutant.number, STEP_SECONDS_MAX, left)
        seconds = time.monotonic() - begin
        if verdict.caught_by is not None or verdict.out_of_time:
            return verdict._replace(seconds=seconds)
    return Verdict(None, seconds, "")


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the proof of raftkv against mutants.")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("numbers", type=int, nargs="*")
    parser.add_argument("--skip-sound", action="store_true", help="leave out the run without a mutant")
    parser.add_argument("--write", action="store_true", help=f"note what caught each in {CAUGHT_BY}")
    parser.add_argument("--only", help="run the steps of this name alone, to see what they catch by themselves")
    arguments = parser.parse_args()
    build = arguments.build.resolve()

    mutants = read_list((ROOT / LIST).read_text(encoding="utf-8"))
    unknown = set(arguments.numbers) - {mutant.number for mutant in mutants}
    if unknown:
        parser.error(f"no such mutant: {sorted(unknown)}")
    if arguments.numbers:
        mutants = [mutant for mutant in mutants if mutant.number in arguments.numbers]

    proof = [step for step in PROOF if arguments.only in (None, step.name)]
    if not proof:
        parser.error(f"no such step: {arguments.only}")
    if not find_traces((build / proof[0].program).read_bytes()):
        parser.error(f"{build} has no mutants in it, or trace_test.py does not see them")

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    caught_by = read_caught_by((ROOT / CAUGHT_BY).read_text(encoding="utf-8"))
    begin = time.monotonic()
    caught = 0
    with concurrent.futures.ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        if not arguments.skip_sound and not run_sound(build, proof, pool):
            return 1
        print(f"{'':>3}  {'mutant':<28} {'row':>3}  {'':<8} {'time':>6}  caught by")
        for mutant, verdict in zip(mutants, pool.map(
                lambda mutant: run_mutant(build, proof, mutant, caught_by.get(mutant.number, "")), mutants)):
            if verdict.caught_by is not None:
                caught += 1
                caught_by[mutant.number] = verdict.caught_by
            outcome = "caught" if verdict.caught_by else "SURVIVED"
            reason = verdict.caught_by or ("out of time" if verdict.out_of_time else mutant.breaks)
            print(f"{mutant.number:>3}  {mutant.name:<28} {mutant.row:>3}  {outcome:<8} {verdict.seconds:>4.1f} s  "
                  f"{reason}", flush=True)
    print(f"caught {caught} of {len(mutants)} in {time.monotonic() - begin:.0f} s")
    if arguments.write:
        rows = (f"{number} {name}\n" for number, name in sorted(caught_by.items()))
        (ROOT / CAUGHT_BY).write_text(CAUGHT_BY_HEAD + "".join(rows), encoding="utf-8")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
