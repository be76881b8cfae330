#!/usr/bin/env python3
"""Tests of what judges mutants: the list, the search for traces, and the runner's verdicts."""

import pathlib
import tempfile
import unittest

from mutant_list import Mutant, find_uses, read_list
from run_proof import Step, run_mutant, run_step, which_test
from trace_test import find_traces

ROW = 'MUTANT(7, kForgets, 1, "it forgets")\n'


class ListTest(unittest.TestCase):
    def test_reads_rows_between_comments(self):
        self.assertEqual(read_list("// Some.\n\n" + ROW), [Mutant(7, "kForgets", 1, "it forgets")])

    def test_refuses_what_is_no_row_and_what_comes_twice(self):
        for bad in ("MUTANT(x)\n", ROW + ROW, 'MUTANT(0, kNone, 1, "nothing")\n', ROW + ROW.replace("7", "8")):
            with self.assertRaises(ValueError, msg=bad):
                read_list(bad)

    def test_finds_uses_in_code_only(self):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "raft/core"
            source.mkdir(parents=True)
            (source / "a.cc").write_text("// RAFTKV_MUTANT(kTalkedOf)\nif (x || RAFTKV_MUTANT(kForgets)) {\n")
            self.assertEqual(find_uses(pathlib.Path(folder)), {"kForgets": ["raft/core/a.cc:2"]})


class TraceTest(unittest.TestCase):
    def test_finds_names_and_the_variable(self):
        mutants = read_list(ROW)
        self.assertEqual(find_traces(b"\0Check failed: x || kForgets\0", mutants), ["kForgets"])
        self.assertEqual(find_traces(b"\0RAFTKV_MUTANT\0", mutants), ["RAFTKV_MUTANT"])
        self.assertEqual(find_traces(b"\0raftkv\0", mutants), [])


class VerdictTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = pathlib.Path(folder.name)
        # Fails under mutant 7, does not end under mutant 8.
        self.program = self.build / "proof"
        self.program.write_text("#!/bin/sh\n"
                                "[ $RAFTKV_MUTANT = 8 ] && sleep 60\n"
                                "echo '[ RUN      ] Suite.Case'\n"
                                "[ $RAFTKV_MUTANT != 7 ]\n")
        self.program.chmod(0o755)

    def test_names_the_test_that_failed(self):
        step = Step("tests/raft/some_test")
        self.assertEqual(which_test(step, "[ RUN      ] A.B\n[  FAILED  ] A.B (1 ms)\n[ RUN      ] A.C\n"),
                         "some_test A.B")
        self.assertEqual(which_test(step, "[ RUN      ] A.B\nSegmentation fault\n"), "some_test A.B")
        self.assertEqual(which_test(step, "two leaders\nFAILED seed=12\noptions\n"), "some_test seed=12")
        self.assertEqual(which_test(step, ""), "some_test")

    def test_a_failure_is_a_catch_and_a_pass_is_none(self):
        self.assertEqual(run_step(self.build, Step("proof"), 7, 30, 30).caught_by, "proof Suite.Case")
        self.assertIsNone(run_step(self.build, Step("proof"), 0, 30, 30).caught_by)

    def test_a_step_that_hangs_is_a_catch_but_the_end_of_the_time_is_none(self):
        self.assertEqual(run_step(self.build, Step("proof"), 8, 0.2, 30).caught_by, "proof (hangs)")
        verdict = run_step(self.build, Step("proof"), 8, 30, 0.2)
        self.assertIsNone(verdict.caught_by)
        self.assertTrue(verdict.out_of_time)

    def test_a_mutant_survives_only_all_steps(self):
        other = self.build / "other"
        other.write_text("#!/bin/sh\n")
        other.chmod(0o755)
        proof = [Step("other"), Step("proof")]
        self.assertEqual(run_mutant(self.build, proof, Mutant(7, "kForgets", 1, "")).caught_by, "proof Suite.Case")
        self.assertIsNone(run_mutant(self.build, proof, Mutant(9, "kHarmless", 1, "")).caught_by)


if __name__ == "__main__":
    unittest.main()
