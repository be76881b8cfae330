#!/usr/bin/env python3
"""Runs raftkv_bench against a real single-node raftkvd: every workload finishes, without errors, with sane figures.

Usage: bench_smoke_test.py <raftkvd> <raftkv_bench>
"""

import json
import re
import subprocess
import sys
import tempfile
import unittest

RAFTKVD, BENCH = sys.argv.pop(1), sys.argv.pop(1)


class BenchSmokeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = subprocess.Popen(
            [RAFTKVD, "--data_dir", cls.folder.name + "/data", "--listen_client", "127.0.0.1:0",
             "--listen_peer", "127.0.0.1:0", "--listen_http", ""], stderr=subprocess.PIPE, text=True)
        for line in cls.server.stderr:
            ready = re.search(r"raftkvd ready .*\bclient=(\S+)", line)
            if ready:
                cls.endpoint = ready.group(1)
                return
        raise RuntimeError("raftkvd ended before it was ready")

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        try:
            cls.server.communicate(timeout=20)
        finally:
            cls.server.kill()
        cls.folder.cleanup()

    def bench(self, *arguments):
        settings = {"--endpoints": self.endpoint, "--warmup": "100ms", "--duration": "500ms", "--keys": "200",
                    "--in-flight": "16", "--connections": "2"}
        for name in settings.keys() - set(arguments):
            arguments += (name, settings[name])
        return subprocess.run([BENCH, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)

    def measure(self, *arguments):
        done = self.bench("--json", *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual({}, result["errors"])
        figures = result["all"]
        self.assertGreater(figures["ops"], 0)
        self.assertAlmostEqual(figures["ops_per_second"], figures["ops"] / 0.5)
        self.assertLess(0, figures["p50_ms"])
        self.assertLessEqual(figures["p50_ms"], figures["p99_ms"])
        self.assertLessEqual(figures["p99_ms"], figures["p999_ms"])
        self.assertLessEqual(figures["p999_ms"], figures["max_ms"])
        return result

    def test_put(self):
        self.assertNotIn("get", self.measure("--workload", "put"))

    def test_puts_by_batch_and_stream_with_and_without_request_ids(self):
        for via in (["--via", "unary"], ["--via", "batch", "--batch-puts", "4"], ["--via", "stream"]):
            for ids in ([], ["--request-ids"]):
                result = self.measure(*via, *ids)
                self.assertEqual(via[1], result["via"])
                self.assertEqual(bool(ids), result["request_ids"])

    def test_get_finds_the_keys_that_it_wrote(self):
        self.assertNotIn("put", self.measure("--workload", "get"))

    def test_stale_get_from_the_leader(self):
        self.measure("--workload", "get", "--consistency", "stale", "--leader-only")

    def test_mix_counts_both(self):
        result = self.measure("--workload", "mix", "--read-percent", "30")
        self.assertEqual(result["all"]["ops"], result["get"]["ops"] + result["put"]["ops"])
        self.assertLess(result["get"]["ops"], result["put"]["ops"])

    def test_missing_keys_are_errors(self):
        done = self.bench("--json", "--workload", "get", "--keys", "1000000", "--no-prefill")
        self.assertGreater(json.loads(done.stdout)["errors"]["KEY_MISSING"], 0)

    def test_text_output(self):
        done = self.bench("--workload", "mix")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^put +\d+ ops/s   p50 .* p99 .* p99\.9 .* max .* ms$")
        self.assertRegex(done.stdout, r"(?m)^get +\d+ ops/s ")
        self.assertIn("errors: none", done.stdout)

    def test_bad_arguments(self):
        for arguments in (["--workload", "scan"], ["--via", "carrier"], ["--duration", "soon"], ["--in-flight", "0"],
                          ["--read-percent", "5"]):
            done = self.bench(*arguments)
            self.assertGreater(done.returncode, 2, arguments)
            self.assertRegex(done.stderr, f"{arguments[0]}|{arguments[1]}")

    def test_nobody_there(self):
        done = subprocess.run([BENCH, "--endpoints", "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, check=False)
        self.assertEqual(2, done.returncode)
        self.assertIn("cannot connect to 127.0.0.1:1", done.stderr)


if __name__ == "__main__":
    unittest.main()
