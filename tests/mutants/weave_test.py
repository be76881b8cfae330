#!/usr/bin/env python3
"""Tests of how the list of mutants is read and woven into the sources."""

import pathlib
import tempfile
import unittest

from mutant_list import ListError, read_list
from weave import find_problems, weave, write_if_changed

FILE = "raft/core/a.cc"
OTHER = "raft/core/b.cc"


def row(*codes, number=7, name="kForgets"):
    return f"{number} {name}, row 1: it forgets\n" + "".join(f"    {FILE}: {code}\n" for code in codes)


def woven(source, *codes):
    return weave(source, FILE, read_list(row(*codes)))


def messages(source, list_text):
    return [str(problem) for problem in find_problems(list_text, {FILE: source})]


class ListTest(unittest.TestCase):
    def test_reads_rows_between_comments(self):
        mutants = read_list("# Some.\n\n" + row("if (@is_open() => true@) {") + "\n# Others.\n"
                            "8 kKeeps, row 12: it keeps, for ever: all\n"
                            f"    {FILE}:\n      a();\n\n      @b(); =>@\n    {OTHER}: @=> c();@\n        d();\n")
        self.assertEqual([(mutant.line, str(mutant), mutant.row, mutant.breaks) for mutant in mutants],
                         [(3, "7 kForgets", 1, "it forgets"), (7, "8 kKeeps", 12, "it keeps, for ever: all")])
        self.assertEqual([edit[3:] for mutant in mutants for edit in mutant.edits],
                         [("if (", "is_open()", "true", ") {"), ("a();", "b();", "", ""), ("", "", "c();", "d();")])
        self.assertEqual([(edit.line, edit.file) for edit in mutants[1].edits], [(8, FILE), (12, OTHER)])

    def test_refuses_what_is_no_row_and_what_comes_twice(self):
        good = row("@a => b@")
        other = row("@a => b@", number=8)
        for bad in ("7 forgets\n", "8 kKeeps: it keeps\n", good + good, good + other, row("@a => b@", number=0),
                    good + row("@a => b@", name="kKeeps"), row(), row() + other.replace("kForgets", "kKeeps"),
                    f"    {FILE}: @a => b@\n", good.replace(".cc", ".h"), "      f();\n" + good):
            with self.assertRaises(ListError, msg=bad):
                read_list(bad)

    def test_refuses_code_that_says_no_change(self):
        for bad in ("f();", "@f(); => g();", "@f();@", "@=>@", "@a => b@ + @c => d@", "@=> a@", "@f(); => a@",
                    "@a => f();@", "@a =>@"):
            with self.assertRaises(ListError, msg=bad) as raised:
                read_list(row(bad))
            self.assertIn("tests/mutants/list.txt:2: ", str(raised.exception))


class WeaveTest(unittest.TestCase):
    def test_an_expression_is_chosen(self):
        self.assertEqual(woven("if (is_open()) {\n", "if (@is_open() => true@) {"),
                         "if ((::raftkv::IsMutant(7) ? (true) : (is_open()))) {\n")

    def test_statements_are_chosen_left_out_or_put_in(self):
        self.assertEqual(woven("a();\nb();\n", "@a(); => c();@"),
                         "if (::raftkv::IsMutant(7)) { c(); } else { a(); }\nb();\n")
        self.assertEqual(woven("a();\nb();\n", "@b(); =>@"), "a();\nif (::raftkv::IsMutant(7)) {  } else { b(); }\n")
        self.assertEqual(woven("a();  // Why.\nb();\n", "@=> return;@ b();"),
                         "a();  // Why.\nif (::raftkv::IsMutant(7)) { return; } b();\n")
        self.assertEqual(woven("void f() {\n  a();\n", "void f() { @=> return;@"),
                         "void f() {if (::raftkv::IsMutant(7)) { return; } \n  a();\n")

    def test_white_space_does_not_matter_but_words_are_whole(self):
        source = "f(\n    const a,   b);\nff(const a, b);\nf(consta, b);\n"
        self.assertEqual(woven(source, "f(const a, @b => c@)"),
                         source.replace("  b", "  (::raftkv::IsMutant(7) ? (c) : (b))"))
        self.assertEqual(messages(source, row("f(const a, @d => c@)"))[0].count("nowhere"), 1)

    def test_lines_stay_where_they_are(self):
        text = row() + f"    {FILE}:\n      @f(a,\n        b); => if (c) {{\n        g();\n      }}@\n"
        source = "one();\nf(\n    a, b);\nfour();\n"
        lines = weave(source, FILE, read_list(text)).splitlines()
        self.assertEqual((len(lines), lines[0], lines[3]), (4, "one();", "four();"))

    def test_several_mutants_change_the_same_and_what_is_next_to_it(self):
        mutants = read_list(row("if (@a => b@)") + row("@a => c@)", "@=> f();@ if (", number=8, name="kKeeps"))
        self.assertEqual(weave("if (a)", FILE, mutants), "if (::raftkv::IsMutant(8)) { f(); } if "
                         "((::raftkv::IsMutant(7) ? (b) : ::raftkv::IsMutant(8) ? (c) : (a)))")
        mutants = read_list(row("@f(); => g();@") + row("@f(); =>@", number=8, name="kKeeps"))
        self.assertEqual(weave("f();", FILE, mutants), "if (::raftkv::IsMutant(7)) { g(); } else "
                         "if (::raftkv::IsMutant(8)) {  } else { f(); }")

    def test_other_files_are_left_alone(self):
        self.assertEqual(weave("a", OTHER, read_list(row("@a => b@"))), "a")


class ProblemTest(unittest.TestCase):
    def test_none(self):
        self.assertEqual(messages("a + b\n", row("@a => b@ +")), [])

    def test_code_that_is_not_there(self):
        self.assertEqual(messages("a + c\n", row("@a => b@ + b")),
                         [f"tests/mutants/list.txt:2: mutant 7 kForgets: {FILE} must hold this once, and holds it "
                          "nowhere: follow what became of it: @a => b@ + b"])

    def test_code_that_is_there_twice(self):
        self.assertEqual(messages("a;\n\na;\n", row("@a => b@;")),
                         [f"tests/mutants/list.txt:2: mutant 7 kForgets: {FILE} must hold this once, and holds it "
                          "2 times, in lines 1, 3: @a => b@;"])

    def test_changes_that_overlap(self):
        for first, second in (("@a + b => c@", "@b + c => a@"), ("@a + b + c => c@", "@b => a@"),
                              ("@f(); g(); =>@", "@=> h();@ g();")):
            list_text = row(first) + row(second, number=8, name="kKeeps")
            self.assertEqual(messages("a + b + c; f(); g();", list_text),
                             ["tests/mutants/list.txt:4: mutant 8 kKeeps: changes a part of what 7 kForgets changes: "
                              f"{second}"])

    def test_files_that_are_not_there_and_lines_that_cannot_be_read(self):
        self.assertEqual([str(problem) for problem in find_problems(row("@a => b@"), {})],
                         [f"tests/mutants/list.txt:2: there is no {FILE}"])
        self.assertEqual(messages("a", "nonsense\n"), ["tests/mutants/list.txt:1: neither a mutant nor code: nonsense"])


class OutputTest(unittest.TestCase):
    def test_what_is_right_is_not_touched(self):
        with tempfile.TemporaryDirectory() as folder:
            output = pathlib.Path(folder) / "raft/core/a.cc"
            write_if_changed(output, "a")
            changed_at = output.stat().st_mtime_ns
            write_if_changed(output, "a")
            self.assertEqual(output.stat().st_mtime_ns, changed_at)
            write_if_changed(output, "b")
            self.assertEqual(output.read_text(encoding="utf-8"), "b")


if __name__ == "__main__":
    unittest.main()
