#!/usr/bin/env python3
"""Tests of what judges mutants: the search for traces, and the runner's verdicts."""

import pathlib
import tempfile
import unittest

from mutant_list import Mutant
from run_proof import Step, read_caught_by, run_mutant, run_step, which_test
from trace_test import find_traces

def mutant(number):
    return Mutant(1, number, "kForgets", 1, "it forgets", [])


class TraceTest(unittest.TestCase):
    def test_finds_the_variable_and_the_question(self):
        self.assertEqual(find_traces(b"\0RAFTKV_MUTANT\0_ZN6raftkv8IsMutantEi\0"), ["RAFTKV_MUTANT", "IsMutant"])
        self.assertEqual(find_traces(b"\0raftkv\0"), [])


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

    def test_a_step_ends_with_its_first_failure(self):
        self.program.write_text("#!/bin/sh\necho fail fast: $GTEST_FAIL_FAST\n")
        self.assertEqual(run_step(self.build, Step("proof"), 7, 30, 30).output, "fail fast: 1\n")

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
        self.assertEqual(run_mutant(self.build, proof, mutant(7)).caught_by, "proof Suite.Case")
        self.assertIsNone(run_mutant(self.build, proof, mutant(9)).caught_by)

    def test_the_step_that_caught_it_last_comes_first(self):
        other = self.build / "other"
        other.write_text("#!/bin/sh\nexit 1\n")
        other.chmod(0o755)
        proof = [Step("other"), Step("proof")]
        self.assertEqual(run_mutant(self.build, proof, mutant(7)).caught_by, "other")
        caught_by = read_caught_by("# 7\n7 proof Suite.Case\n9 other\n")
        self.assertEqual(caught_by, {7: "proof Suite.Case", 9: "other"})
        self.assertEqual(run_mutant(self.build, proof, mutant(7), caught_by[7]).caught_by, "proof Suite.Case")


if __name__ == "__main__":
    unittest.main()
