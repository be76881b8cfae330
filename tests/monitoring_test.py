#!/usr/bin/env python3
"""Tests docker/monitoring: its rules and their tests by promtool, and that all it names is in docs/METRICS.md.

promtool comes by scripts/install_deps.sh --tests; without it what needs it is skipped.
"""

import json
import pathlib
import re
import shutil
import subprocess
import unittest
from typing import Iterator, Set

ROOT = pathlib.Path(__file__).resolve().parent.parent
MONITORING = ROOT / "docker/monitoring"
METRICS_DOC = ROOT / "docs/METRICS.md"
NAME = re.compile(r"\b(?:raftkv|grpc_server|process)_[a-z0-9_]+")
HISTOGRAM_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def documented() -> Set[str]:
    """Metrics by name, histograms by those of their samples as well."""
    names = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", METRICS_DOC.read_text(), re.MULTILINE):
        names.add(name)
        if kind == "histogram":
            names.update(f"{name}_{suffix}" for suffix in ("bucket", "sum", "count"))
    return names


def undocumented(text: str) -> Set[str]:
    return set(NAME.findall(text)) - documented()


def expressions(dashboard: dict) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]


def alerts() -> Set[str]:
    return set(re.findall(r"^ +- alert: (\w+)$", (MONITORING / "alerts.yml").read_text(), re.MULTILINE))


def promtool(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    program = shutil.which("promtool", path=str(ROOT / "build/tools")) or shutil.which("promtool")
    if program is None:
        raise unittest.SkipTest("no promtool: scripts/install_deps.sh --tests gets it")
    return subprocess.run([program, *arguments], cwd=MONITORING, input=stdin, capture_output=True, text=True,
                          timeout=60, check=False)


class NamesTest(unittest.TestCase):
    def test_a_name_that_is_not_documented_is_found(self):
        self.assertEqual(undocumented("rate(raftkv_no_such_total[1m]) / raftkv_raft_term"), {"raftkv_no_such_total"})
        self.assertEqual(undocumented("raftkv_raft_term_bucket"), {"raftkv_raft_term_bucket"})
        self.assertEqual(undocumented("raftkv_disk_wal_fsync_duration_seconds_bucket"), set())

    def test_rules_name_what_is_documented(self):
        text = (MONITORING / "alerts.yml").read_text()
        self.assertEqual(undocumented(text), set())
        self.assertGreater(len(NAME.findall(text)), 20)

    def test_the_dashboard_names_what_is_documented(self):
        dashboard = json.loads((MONITORING / "dashboard.json").read_text())
        shown = list(expressions(dashboard))
        self.assertGreater(len(shown), 30)
        for expression in shown:
            self.assertEqual(undocumented(expression), set(), expression)
            self.assertTrue(NAME.search(expression) or "up{" in expression, expression)

    def test_examples_name_what_is_documented(self):
        self.assertEqual(undocumented(METRICS_DOC.read_text()) - {"grpc_server_", "process_"}, set())


class RulesTest(unittest.TestCase):
    def test_rules_are_well_formed(self):
        result = promtool("check", "rules", "alerts.yml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_the_configuration_is_well_formed(self):
        result = promtool("check", "config", "prometheus.yml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_rules_fire_when_they_should(self):
        result = promtool("test", "rules", "alerts_test.yml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_each_rule_has_a_test_of_both_kinds(self):
        text = (MONITORING / "alerts_test.yml").read_text()
        quiet = set(re.findall(r"^ +- \{alertname: (\w+), eval_time: \w+, exp_alerts: \[\]\}$", text, re.MULTILINE))
        firing = set(re.findall(r"^ +- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels:", text,
                                re.MULTILINE))
        self.assertEqual(quiet, alerts())
        self.assertEqual(firing, alerts())

    def test_each_rule_says_how_bad_it_is_and_what_to_do(self):
        rules = re.split(r"^ +- alert: ", (MONITORING / "alerts.yml").read_text(), flags=re.MULTILINE)[1:]
        self.assertEqual(len(rules), len(alerts()))
        for rule in rules:
            self.assertRegex(rule, r"severity: (warning|critical)")
            self.assertRegex(rule, r"\n +summary: ")
            self.assertRegex(rule, r"\n +runbook: ")

    def test_expressions_of_the_dashboard_are_well_formed(self):
        dashboard = json.loads((MONITORING / "dashboard.json").read_text())
        records = [f"  - record: shown:{number}\n    expr: {json.dumps(expression.replace('$instance', '.*'))}"
                   for number, expression in enumerate(expressions(dashboard))]
        path = ROOT / "build/dashboard_rules.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("groups:\n- name: dashboard\n  rules:\n" + "\n".join(records) + "\n")
        result = promtool("check", "rules", str(path))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(f"{len(records)} rules found", result.stdout)


if __name__ == "__main__":
    unittest.main()
