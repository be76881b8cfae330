#!/usr/bin/env python3
"""Shows what the scripts that measure refuse, what they do without Go, and how their report counts."""

import importlib.util
import json
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/bench/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


machine, report, instructions = load("machine"), load("report"), load("instructions")


def run(backend, rate, name="put, 256 in flight", p50=1.0, ticks=0, rss_kib=0, errors=None):
    result = {"backend": backend, "seconds": 10.0, "errors": errors or {},
              "all": {"ops": rate * 10, "ops_per_second": rate, "p50_ms": p50, "p99_ms": 4 * p50, "p999_ms": 8 * p50}}
    return json.dumps({"name": name, "warmup": "2500ms", "server_cpu_ticks": ticks, "server_rss_kib": rss_kib,
                       "result": result})


def lines(*runs):
    return [" ".join(line.split()) for line in report.report(runs)]


class InstructionsTest(unittest.TestCase):
    def test_within_the_tolerance(self):
        self.assertEqual((["put: 10499 instructions, +5.0% to 10000"], 0),
                         instructions.compare({"put": 10499}, {"put": 10000}))

    def test_dearer_and_cheaper_are_both_news(self):
        lines, wrong = instructions.compare({"put": 10600, "get": 9400}, {"put": 10000, "get": 10000})
        self.assertEqual(2, wrong)
        self.assertEqual(4, len(lines))
        self.assertIn("scripts/bench/instructions.json", lines[1])


class ReportTest(unittest.TestCase):
    def test_medians_span_and_errors(self):
        self.assertEqual(
            ["put, 256 in flight raftkv 200 100..900 2.00 8.00 16.00 0 0 5"],
            lines(run("raftkv", 100, p50=1.0, errors={"UNAVAILABLE": 2}), run("raftkv", 900, p50=3.0),
                  run("raftkv", 200, p50=2.0, errors={"OUT_OF_RANGE": 2, "KEY_MISSING": 1}))[1:])

    def test_cpu_is_that_of_the_time_that_counts(self):
        ticks = 125 * report.TICKS_PER_SECOND // 10  # 12.5 s, of them 10 s within the duration, for 100,000 requests.
        self.assertEqual("100", lines(run("etcd", 10_000, ticks=ticks))[1].split()[-3])

    def test_memory_is_that_of_one_node(self):
        self.assertEqual("7", lines(run("etcd", 1, rss_kib=3 * 7 * 1024))[1].split()[-2])

    def test_ratios_to_each_other_store(self):
        self.assertEqual(
            ["raftkv / etcd: put, 256 in flight: 2.00x ops/s, 0.50x p50, 0.50x p99; "
             "get: 3.00x ops/s, 1.00x p50, 1.00x p99",
             "raftkv / nats: put, 256 in flight: 0.80x ops/s, 2.00x p50, 2.00x p99"],
            lines(run("raftkv", 400, p50=2.0), run("etcd", 200, p50=4.0), run("nats", 500, p50=1.0),
                  run("raftkv", 300, name="get"), run("etcd", 100, name="get"))[-2:])

    def test_no_ratios_without_raftkv(self):
        self.assertEqual(3, len(lines(run("etcd", 1), run("nats", 1))))

    def test_columns_stand_below_their_names(self):
        wide = list(report.report([run("raftkv", 123_456, name="put, 256 in flight", p50=1234.5, rss_kib=9 << 20)]))
        self.assertEqual(len(wide[0]), len(wide[1]))


class MachineTest(unittest.TestCase):
    def test_figures_of_a_busy_machine_are_provisional(self):
        self.assertEqual("load average before the run: 1.00", machine.load_line(1.0))
        self.assertIn("provisional", machine.load_line(1.01))

    def test_a_sync_takes_time(self):
        with tempfile.TemporaryDirectory() as folder:
            times = machine.sync_times_us(folder)
        self.assertEqual(machine.SYNCS, len(times))
        self.assertLess(0, min(times))


class ScriptTest(unittest.TestCase):
    def fails(self, command, env=None):
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        return done.stderr

    def test_unknown_arguments(self):
        self.assertIn("unknown argument --fast; allowed: --pairs",
                      self.fails(["scripts/bench_vs_etcd.sh", "--fast", "1"]))
        for backends in ("redis", "nats,redis", "nats,nats"):
            self.assertIn("there are raftkv, etcd, nats",
                          self.fails(["scripts/bench_vs_etcd.sh", "--without", backends]))

    def test_costs_are_those_of_programs_and_known_ways_to_run_them(self):
        for arguments in ([], ["no/such/raftkvd"], ["/bin/true", "no/such/raftkvd"]):
            self.assertIn("is no raftkvd to measure", self.fails(["scripts/bench/cost.sh", *arguments]))
        self.assertIn('"fast" is no way to run it; allowed: scraped, tls',
                      self.fails(["scripts/bench/cost.sh", "/bin/true", "/bin/true,fast"]))
        self.assertIn('"0" is no number of pairs',
                      self.fails(["scripts/bench/cost.sh", "/bin/true", "/bin/true,tls", "0"]))

    def test_http_is_measured_with_numbers_and_programs(self):
        self.assertIn('"0" is no number of pairs', self.fails(["scripts/bench/http.sh", "0"]))
        self.assertIn('"8" is no duration in seconds', self.fails(["scripts/bench/http.sh", "1", "8"]))
        self.assertIn("no/such/server/raftkvd is not built", self.fails(["scripts/bench/http.sh", "1", "8s", "no/such"]))

    def test_nats_is_not_built_without_go(self):
        with tempfile.TemporaryDirectory() as folder:
            for tool in ("bash", "dirname", "env"):
                pathlib.Path(folder, tool).symlink_to(f"/usr/bin/{tool}")
            self.assertIn("no Go here", self.fails(["scripts/bench/build_nats.sh"], env={"PATH": folder}))


if __name__ == "__main__":
    unittest.main()
