#!/usr/bin/python3
"""Holds docs/API.md equal to what scripts/api_doc.py makes, and shows that the script finds what is missing."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests"))
import api_calls_test  # noqa: E402
import api_doc  # noqa: E402

READ = ["proto", "docs/api", "kv/errors.cc", "server/http", "README.md"]


class PageTest(unittest.TestCase):
    def test_is_up_to_date(self):
        done = subprocess.run([ROOT / "scripts/api_doc.py", "--check"], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_names_every_rpc_field_and_reason(self):
        page = (ROOT / api_doc.PAGE).read_text(encoding="utf-8")
        elements = api_doc.elements_of(api_doc.read_descriptors(ROOT))
        self.assertGreater(len(elements), 60)
        for element in elements:
            self.assertRegex(page, rf"(?m)^#+ {element.name}$")
            for rpc in element.proto.method if element.kind == "service" else []:
                self.assertIn(f"\n### {element.name}.{rpc.name}\n", page)
            for field in element.proto.field if element.kind == "message" else []:
                self.assertIn(f"| {field.number} | ", page)
                self.assertIn(f"`{field.name}` |", page)
        for reason in api_doc.read_reasons((ROOT / "kv/errors.cc").read_text(encoding="utf-8")):
            self.assertIn(f"`{reason}`", page)

    def test_every_link_has_its_heading(self):
        page = (ROOT / api_doc.PAGE).read_text(encoding="utf-8")
        headings = {api_doc.anchor(heading) for heading in re.findall(r"(?m)^#+ (.*)$", page)}
        links = set(re.findall(r"\]\(#([^)]*)\)", page))
        self.assertGreater(len(links), 30)
        self.assertEqual(set(), links - headings)

    def test_kept_numbers_are_not_told_of_the_field_behind_them(self):
        self.assertEqual("Return it.", api_doc.prose("Number 9 (lease_id) is kept for leases.\nReturn it."))
        self.assertEqual("", api_doc.prose("Numbers 5 (max_staleness) and 6 (at_revision) are kept for\nsuch reads."))
        self.assertEqual("Number 9 is a field.", api_doc.prose("Number 9 is a field."))


class FaultTest(unittest.TestCase):
    """Each on a copy of what the script reads, in which one thing is wrong."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="raftkv_api_doc_")
        self.root = pathlib.Path(self._folder.name)
        for path in READ:
            source, target = ROOT / path, self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    def tearDown(self):
        self._folder.cleanup()

    def change(self, path, old, new):
        text = (self.root / path).read_text(encoding="utf-8")
        self.assertIn(old, text)
        (self.root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    def faults(self):
        with self.assertRaises(api_doc.Fault) as raised:
            api_doc.build(self.root)
        return str(raised.exception).splitlines()

    def test_nothing_is_wrong_with_the_copy(self):
        self.assertEqual((ROOT / api_doc.PAGE).read_text(encoding="utf-8"), api_doc.build(self.root))

    def test_an_rpc_without_a_call(self):
        self.change("proto/raftkv/v1/kv.proto", "  // Get reads one key.",
                    "  // Peek looks.\n  rpc Peek(GetRequest) returns (stream GetResponse);\n  // Get reads one key.")
        self.assertEqual(["docs/api/grpcurl.txt: KvService/Peek has no call; add one (the file's head says how) and "
                          "run tests/api_calls_test.py <raftkvd> --rewrite"], self.faults())

    def test_a_call_without_an_rpc(self):
        self.change(api_doc.CALLS, "KvService/Touch\n", "KvService/Touches\n")
        self.assertRegex("\n".join(self.faults()),
                         r"KvService/Touch has no call.*\n.*:\d+: there is no KvService/Touches")

    def test_elements_without_a_comment(self):
        for name, comment in (("kv", "  // Get reads one key. A missing key is a normal answer without `kv`.\n"),
                              ("kv", "// GetRequest names the key to read.\n"),
                              ("kv", "  // What to add; unset: 1. A sum that is no int64: OUT_OF_RANGE / "
                                     "INTEGER_OVERFLOW.\n"),
                              ("kv", "  // What selects the keys.\n"),
                              ("watch", "  // The key was written.\n"),
                              ("watch", "// EventType says what happened to a key.\n")):
            self.change(f"proto/raftkv/v1/{name}.proto", comment, "")
        self.assertEqual(["proto/raftkv/v1/kv.proto: service KvService: rpc Get has no comment",
                          "proto/raftkv/v1/kv.proto: message GetRequest has no comment",
                          "proto/raftkv/v1/kv.proto: message KeyRange: oneof selector has no comment",
                          "proto/raftkv/v1/kv.proto: message IncrementRequest: field delta has no comment",
                          "proto/raftkv/v1/watch.proto: enum EventType has no comment",
                          "proto/raftkv/v1/watch.proto: enum EventType: value EVENT_TYPE_PUT has no comment"],
                         self.faults())

    def test_a_proto_that_does_not_compile(self):
        self.change("proto/raftkv/v1/kv.proto", "message GetRequest {", "message GetRequest [")
        self.assertIn("kv.proto", self.faults()[0])

    def test_a_block_that_is_none(self):
        self.change(api_doc.CALLS, "\n->\n", "\n=>\n")
        self.assertRegex(self.faults()[0], r"grpcurl\.txt:\d+: a block must be")

    def test_a_request_that_is_no_json(self):
        self.change(api_doc.CALLS, '{"key": "greeting", "as_text": true}', '{"key": "greeting", as_text: true}')
        self.assertRegex(self.faults()[0], r"grpcurl\.txt:\d+: KvService/Get is no JSON")

    def test_an_error_that_nobody_tells_of(self):
        self.change("kv/errors.cc", '"BAD_GUARD"', '"BAD_WARD"')
        faults = self.faults()
        for fault in ("README.md: the table of errors lacks INVALID_ARGUMENT / BAD_WARD, which kv/errors.cc has",
                      "README.md: the table of errors has INVALID_ARGUMENT / BAD_GUARD, which kv/errors.cc lacks",
                      "proto/raftkv/v1/kv.proto: Guard names INVALID_ARGUMENT / BAD_GUARD, which kv/errors.cc lacks"):
            self.assertIn(fault, faults)

    def test_an_error_with_another_code(self):
        self.change("proto/raftkv/v1/kv.proto", "FAILED_PRECONDITION / NOT_AN_INTEGER", "ABORTED / NOT_AN_INTEGER")
        self.assertEqual(["proto/raftkv/v1/kv.proto: IncrementRequest names ABORTED / NOT_AN_INTEGER, which "
                          "kv/errors.cc lacks"], self.faults())

    def test_http_reasons(self):
        self.change("README.md", "`TOO_SLOW` 408", "`TOO_LATE` 408")
        self.assertEqual(["README.md: \"HTTP's own reasons\" lacks `TOO_SLOW` 408, which server/http has",
                          "README.md: \"HTTP's own reasons\" has `TOO_LATE`, which server/http lacks"], self.faults())


class ShapeTest(unittest.TestCase):
    """What the calls' test takes for the same answer, and what not."""

    def same(self, expected, actual):
        self.assertEqual([], api_calls_test.differences(api_doc.parse_values(expected), api_doc.parse_values(actual)))

    def different(self, expected, actual, *found):
        self.assertEqual(list(found),
                         api_calls_test.differences(api_doc.parse_values(expected), api_doc.parse_values(actual)))

    def test_what_may_differ(self):
        self.same('{"header": {...}, "data": "..."}', '{"header": {"a": "1"}, "data": "eA=="}')
        self.same('{"a": "1", "b": "1.5s", "c": "2026-01-01T00:00:00.5Z", "d": "0.1.0", "e": "n1:1"}',
                  '{"a": "-22", "b": "60s", "c": "2027-11-30T10:20:30Z", "d": "10.20.30~a", "e": "10.0.0.1:22"}')
        self.same('{"a": 3}', '{"a": 4}')

    def test_what_may_not(self):
        self.different('{"a": {...}}', '{"a": "x"}', "answer[0].a: is no object, but x")
        self.different('{"a": "1"}', '{"a": 1}', 'answer[0].a: is 1, not "1"')
        self.different('{"a": "1"}', '{"a": "1s"}', 'answer[0].a: is "1s", not "1"')
        self.different('{"a": "hello"}', '{"a": "hallo"}', 'answer[0].a: is "hallo", not "hello"')
        self.different('{"a": true}', '{"a": false}', "answer[0].a: is false, not true")
        self.different('{"a": 1, "b": 2}', '{"b": 2, "c": 3}', "answer[0]: lacks a", "answer[0]: has c besides")
        self.different('{"a": [1, 2]}', '{"a": [1]}', "answer[0].a: has 1 elements, not 2")
        self.different('{}{}', '{}', "answer: has 1 elements, not 2")
        self.different('{"a": null}', '{"a": 0}', "answer[0].a: is 0, not null")


if __name__ == "__main__":
    unittest.main()
