#!/usr/bin/env python3
"""Runs nats_bench against a real single nats-server: every workload finishes, with raftkv_bench's figures.

Usage: nats_bench_smoke_test.py <folder of nats-server and nats_bench>   Exit 77 where they have not been built.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

FOLDER = pathlib.Path(sys.argv.pop(1))
SERVER, BENCH = str(FOLDER / "nats-server"), str(FOLDER / "nats_bench")
FIELDS = {"backend", "workload", "consistency", "in_flight", "connections", "value_size", "keys", "seconds", "all",
          "errors"}
FIGURES = {"ops", "ops_per_second", "mean_ms", "p50_ms", "p99_ms", "p999_ms", "max_ms"}


class NatsBenchSmokeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        config = pathlib.Path(cls.folder.name, "conf")
        config.write_text(f'server_name: n1\nlisten: "127.0.0.1:-1"\nhttp: "127.0.0.1:-1"\n'
                          f'jetstream {{ store_dir: "{cls.folder.name}/data", sync_interval: always }}\n',
                          encoding="utf-8")
        cls.server = subprocess.Popen([SERVER, "--config", str(config)], stderr=subprocess.PIPE, text=True)
        for line in cls.server.stderr:
            listening = re.search(r"Listening for client connections on (\S+)", line)
            if listening:
                cls.endpoint = listening.group(1)
            monitor = re.search(r"Starting http monitor on (\S+)", line)
            if monitor:
                cls.monitor = monitor.group(1)
            if "Server is ready" in line:
                return
        raise RuntimeError("nats-server ended before it was ready")

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        try:
            cls.server.communicate(timeout=20)
        finally:
            cls.server.kill()
        cls.folder.cleanup()

    def stream_config(self):
        with urllib.request.urlopen(f"http://{self.monitor}/jsz?streams=1&config=1", timeout=10) as answer:
            return json.load(answer)["account_details"][0]["stream_detail"][0]["config"]

    def bench(self, *arguments):
        settings = {"--endpoints": self.endpoint, "--replicas": "1", "--warmup": "100ms", "--duration": "500ms",
                    "--keys": "200", "--in-flight": "16", "--connections": "2"}
        for name in settings.keys() - set(arguments):
            arguments += (name, settings[name])
        return subprocess.run([BENCH, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)

    def measure(self, *arguments):
        done = self.bench(*arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual({}, result["errors"])
        self.assertEqual(FIELDS | {result["workload"]}, result.keys())
        figures = result["all"]
        self.assertEqual(FIGURES, figures.keys())
        self.assertGreater(figures["ops"], 0)
        self.assertAlmostEqual(figures["ops_per_second"], figures["ops"] / 0.5)
        self.assertLess(0, figures["p50_ms"])
        self.assertLessEqual(figures["p50_ms"], figures["p99_ms"])
        self.assertLessEqual(figures["p99_ms"], figures["p999_ms"])
        self.assertLessEqual(figures["p999_ms"], figures["max_ms"])
        return result

    def test_put(self):
        self.assertEqual("put", self.measure("--workload", "put")["workload"])

    def test_get_finds_the_keys_that_it_wrote(self):
        self.measure("--workload", "get")

    def test_how_gets_are_answered_is_as_asked_for(self):
        for consistency, direct in (("linearizable", False), ("stale", True), ("linearizable", False)):
            self.measure("--workload", "get", "--consistency", consistency, "--keys", "1")
            config = self.stream_config()
            self.assertEqual(direct, config.get("allow_direct", False))
            self.assertEqual(("file", 1), (config["storage"], config["max_msgs_per_subject"]))

    def test_stale_get_from_the_leader(self):
        self.measure("--workload", "get", "--consistency", "stale", "--leader-only")

    def test_missing_keys_are_errors(self):
        for consistency in ("linearizable", "stale"):
            done = self.bench("--workload", "get", "--consistency", consistency, "--keys", "1000000", "--no-prefill")
            self.assertGreater(json.loads(done.stdout)["errors"]["KEY_MISSING"], 0)

    def test_bad_arguments(self):
        for arguments in (["--workload", "scan"], ["--duration", "soon"], ["--in-flight", "0"], ["--keys", "0"]):
            done = self.bench(*arguments)
            self.assertEqual(3, done.returncode, arguments)
            self.assertIn(arguments[0].lstrip("-"), done.stderr)

    def test_nobody_there(self):
        done = self.bench("--endpoints", "127.0.0.1:1")
        self.assertEqual(2, done.returncode)
        self.assertIn("cannot connect to 127.0.0.1:1", done.stderr)


if __name__ == "__main__":
    if not (pathlib.Path(SERVER).exists() and pathlib.Path(BENCH).exists()):
        print("not built: scripts/bench/build_nats.sh")
        sys.exit(77)
    unittest.main()
