#!/usr/bin/env python3
"""Shows that each rule of scripts/lint.py catches what it forbids and lets the rest pass."""

import importlib.util
import pathlib
import shutil
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("lint", ROOT / "scripts/lint.py")
lint = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lint)


def rules(path, text):
    return [finding.rule for finding in lint.check_file(path, text)]


def header(body):
    return "// What it is.\n#pragma once\n\n" + body


PROTO_HEAD = """// What the file is for.
syntax = "proto3";

package raftkv.v1;

option csharp_namespace = "Raftkv.V1";
option go_package = "raftkv.dev/raftkv/v1;raftkvv1";
option java_multiple_files = true;
option java_package = "dev.raftkv.v1";

"""


class NamedOptionTest(unittest.TestCase):
    OPTIONS = lint.known_options(
        '      {"Member", "data_dir", "", Text{}},\n      {"Limits", "value_bytes_max",\n       "", Number{}}};\n',
        'app.add_option("-w,--write-out", x, "");\n  app.add_flag("--prefix", x);\n')

    def findings(self, folder, text):
        return [str(finding) for finding in lint.check_named_options(folder + "a.cc", text, self.OPTIONS[folder])]

    def test_a_text_names_options_that_exist(self):
        self.assertEqual([], self.findings("server/", '"--data_dir=", x, ": see --help" // --limit'))
        self.assertEqual([], self.findings("storage/", 'Remedy("use --value-bytes-max", i--);'))
        self.assertEqual([], self.findings("client/ctl/", '"-w,--write-out with --prefix, or --data_dir"'))

    def test_others_are_found(self):
        self.assertEqual(1, len(self.findings("client/ctl/", '"use --limit"')))
        self.assertEqual(1, len(self.findings("server/", '"use --prefix"')))


class IncludeTest(unittest.TestCase):
    def test_layers_point_downwards_only(self):
        forbidden = [
            ("base/a.h", "raft/core/types.h"),
            ("raft/core/a.h", "raft/runtime/log_store.h"),
            ("raft/core/a.cc", "raftkv/peer/v1/raft.pb.h"),
            ("raft/runtime/a.cc", "storage/storage.h"),
            ("raft/runtime/a.cc", "raftkv/log/v1/command.pb.h"),
            ("raft/wire/a.cc", "storage/storage.h"),
            ("storage/a.cc", "server/limits.h"),
            ("server/a.cc", "client/client.h"),
            ("client/a.cc", "server/limits.h"),
            ("client/ctl/a.cc", "storage/storage.h"),
            ("client/bench/a.cc", "raft/core/types.h"),
            ("base/a.cc", "tests/support/temp_dir.h"),
        ]
        for path, included in forbidden:
            text = f'#include "{included}"\n'
            self.assertIn("layers", rules(path, header(text) if path.endswith(".h") else text), (path, included))

    def test_layers_downwards_are_fine(self):
        allowed = [
            ("raft/core/a.cc", "base/strong_int.h"),
            ("raft/runtime/a.cc", "raft/core/types.h"),
            ("raft/wire/a.cc", "raftkv/peer/v1/raft.pb.h"),
            ("storage/a.cc", "raft/runtime/log_store.h"),
            ("server/a.cc", "storage/storage.h"),
            ("client/ctl/a.cc", "client/client.h"),
            ("tests/server/a.cc", "server/limits.h"),
        ]
        for path, included in allowed:
            self.assertEqual([], rules(path, f'#include "{included}"\n'), (path, included))

    def test_libraries_stay_where_they_belong(self):
        forbidden = [
            ("storage/a.cc", "<grpcpp/grpcpp.h>"),
            ("raft/wire/a.cc", '"raftkv/peer/v1/raft.grpc.pb.h"'),
            ("server/a.cc", "<rocksdb/db.h>"),
            ("server/main.cc", "<gflags/gflags.h>"),
            ("server/a.cc", "<CLI/CLI.hpp>"),
            ("base/a.cc", "<gtest/gtest.h>"),
        ]
        for path, included in forbidden:
            self.assertIn("libraries", rules(path, f"#include {included}\n"), (path, included))
        allowed = [
            ("server/a.cc", "<grpcpp/grpcpp.h>"),
            ("client/a.cc", '"raftkv/v1/kv.grpc.pb.h"'),
            ("storage/a.cc", "<rocksdb/db.h>"),
            ("server/flags.cc", "<gflags/gflags.h>"),
            ("tests/storage/a.cc", "<rocksdb/db.h>"),
        ]
        for path, included in allowed:
            self.assertEqual([], rules(path, f"#include {included}\n"), (path, included))

    def test_the_core_neither_waits_nor_logs(self):
        for included in ("<thread>", "<mutex>", "<chrono>", '"base/clock.h"'):
            self.assertIn("pure core", rules("raft/core/a.cc", f"#include {included}\n"), included)
            self.assertEqual([], rules("raft/runtime/a.cc", f"#include {included}\n"), included)
        for line in ("LOG(INFO) << 1;", "VLOG(1) << 1;", 'printf("x");'):
            self.assertIn("pure core", rules("raft/core/a.cc", line + "\n"), line)
        for line in ("CHECK(ok);", "// Never LOG(INFO) here.", "CATALOG(x);"):
            self.assertEqual([], rules("raft/core/a.cc", line + "\n"), line)

    def test_runs_repeat(self):
        for line in ("std::random_device device;", "std::chrono::system_clock::now();", "int i = rand();",
                     "std::unordered_map<int, int> m;"):
            self.assertIn("pure core", rules("raft/core/a.cc", line + "\n"), line)
            self.assertIn("pure core", rules("raft/runtime/a.cc", line + "\n"), line)
            self.assertEqual([], rules("server/a.cc", line + "\n"), line)


class TextTest(unittest.TestCase):
    def test_headers_have_pragma_once(self):
        self.assertIn("pragma once", rules("base/a.h", "// A.\nint f();\n"))
        self.assertIn("pragma once", rules("base/a.h", "#include <string>\n#pragma once\n"))
        self.assertEqual([], rules("base/a.h", header("int f();\n")))

    def test_whitespace(self):
        self.assertIn("whitespace", rules("base/a.cc", "int a; \n"))
        self.assertIn("whitespace", rules("docs/a.md", "text\t\n"))
        self.assertIn("whitespace", rules("base/a.cc", "int a;"))
        self.assertEqual([], rules("base/a.cc", "int a;\n"))

    def test_width(self):
        for path, width_max in (("base/a.cc", 100), ("client/bench/a.proto", 120), ("scripts/a.py", 120),
                                ("client/bench/a.go", 120), ("tests/CMakeLists.txt", 120)):
            self.assertIn("width", rules(path, "// " + "x" * (width_max - 2) + "\n"), path)
            self.assertNotIn("width", rules(path, "// " + "x" * (width_max - 3) + "\n"), path)

    def test_todo_needs_an_issue(self):
        self.assertIn("todo", rules("base/a.cc", "// TODO: later\n"))
        self.assertIn("todo", rules("base/a.cc", "// TODO(someone): later\n"))
        self.assertIn("todo", rules("base/a.cc", "// FIXME\n"))
        self.assertEqual([], rules("base/a.cc", "// TODO(#12): later\n"))

    def test_machine_paths(self):
        self.assertIn("machine path", rules("docs/a.md", "see /home/me/raftkv\n"))
        self.assertIn("machine path", rules("scripts/a.sh", "set -euo pipefail\ncd /work/main\n"))
        self.assertEqual([], rules("docs/a.md", "see docs/work/plan and https://example.com/home/x\n"))

    def test_scripts_stop_at_the_first_failure(self):
        self.assertIn("shell", rules("scripts/a.sh", "#!/bin/bash\nls\n"))
        self.assertEqual([], rules("scripts/a.sh", "#!/bin/bash\nset -euo pipefail\nls\n"))

    def test_vendored_files_are_left_alone(self):
        self.assertEqual([], rules("proto/google/rpc/a.proto", "message A {} \n"))


class CommentTest(unittest.TestCase):
    def test_a_line_may_not_break_off_within_a_clause(self):
        self.assertIn("comment wrap", rules("base/a.cc", "// It is said with the words that follow\n// here.\n"))
        self.assertIn("comment wrap", rules("base/a.cc", "  // 1. Hand over: what must\n  //    wait is held.\n"))
        self.assertIn("comment wrap", rules("scripts/a.sh", "set -euo pipefail\n# It is a\n# sentence.\n"))
        self.assertIn("comment wrap", rules("tests/CMakeLists.txt", "# It is a\n# sentence.\n"))

    def test_other_short_lines_are_fine(self):
        for text in ("// It ends here.\n// The next one begins.\n",
                     "// Three things:\n// one after the other,\n// and no more.\n",
                     "// " + "x" * 80 + " and\n// extraordinarily wide.\n",
                     "// It is a\n//\n// paragraph.\n",
                     "// Things\n// - one\n// - two\n",
                     "//   Example()\n//       .Follows();\n",
                     "// key | value\n// one more | row\n",
                     "// key := byte\n// value := byte\n",
                     "// one   1\n// two   2\n",
                     "int a;  // It is a\n// sentence.\n",
                     "#if defined(A)\n#define B\n"):
            self.assertEqual([], rules("base/a.cc", text), text)


class SizeTest(unittest.TestCase):
    @staticmethod
    def function(lines, head="int F() {"):
        return head + "\n" + "  f();\n" * (lines - 2) + "}\n"

    def found(self, path, text, excused=None):
        return [(finding.line, finding.rule, finding.is_warning)
                for finding in lint.check_sizes({path: text}, excused or {})]

    def test_files(self):
        for path, lines_max in (("base/a.h", 250), ("base/a.cc", 600), ("tests/base/a.h", 250),
                                ("tests/base/a_test.cc", 800)):
            self.assertEqual([], self.found(path, "int a;\n" * lines_max), path)
            self.assertEqual([(1, "size", False)], self.found(path, "int a;\n" * (lines_max + 1)), path)

    def test_functions(self):
        for head in ("int F() {", "TEST(Some, Thing) {", "A::A(int a)\n    : a_(a) {",
                     "Very<Long>\nF(int a,\n  int b) {"):
            height = head.count("\n")
            self.assertEqual([], self.found("base/a.cc", self.function(70 - height, head)), head)
            self.assertEqual([(1, "size", False)], self.found("base/a.cc", self.function(71 - height, head)), head)

    def test_functions_within_scopes(self):
        inner = "".join("  " + line + "\n" for line in self.function(71).splitlines())
        outer = "namespace a {\n\nclass A : public B {\n public:\n"
        self.assertEqual([(5, "size", False)], self.found("base/a.h", outer + inner + "};\n}\n"))

    def test_scopes_and_tables_may_be_long(self):
        for head in ("namespace a {", "class A final : public B {", "enum class A {", "constexpr A kTable[] = {"):
            self.assertEqual([], self.found("base/a.cc", self.function(100, head).replace("f()", "int a")), head)

    def test_functions_one_after_the_other_are_told_apart(self):
        text = "struct A {\n  int a() const { return a_; }\n  int a_;\n};\n\n" + self.function(40) * 2
        self.assertEqual([], self.found("base/a.cc", text))
        self.assertEqual([("F", 40), ("F", 40)],
                         [(found.name, found.lines) for found in lint.functions_of(text.splitlines())])

    def test_names(self):
        for head, name in (("TEST_F(SomeTest, Thing) {", "SomeTest.Thing"), ("A::~A() {", "A::~A"),
                           ("static std::map<int, int> Some(int a) {", "Some"),
                           ("bool operator==(A a, A b) {", "operator==")):
            self.assertEqual([name], [found.name for found in lint.functions_of(self.function(3, head).splitlines())])

    def test_an_excuse_makes_it_a_warning_while_it_is_needed(self):
        self.assertEqual([(1, "size", True)], self.found("base/a.h", "int a;\n" * 251, {"base/a.h": "why"}))
        self.assertEqual([(1, "size", False)], self.found("base/a.h", "int a;\n" * 250, {"base/a.h": "why"}))
        self.assertEqual([(1, "size", False)], self.found("base/b.h", "int a;\n", {"base/a.h": "why"}))
        self.assertEqual([(1, "size", True)], self.found("base/a.cc", self.function(71), {"base/a.cc: F": "why"}))
        self.assertEqual([(1, "size", False)] * 2,
                         self.found("base/a.cc", self.function(71), {"base/a.cc: G": "why"}))


class DeadFileTest(unittest.TestCase):
    def dead(self, texts):
        return [finding.path for finding in lint.check_dead_files(texts) if finding.rule == "dead file"]

    def test_what_is_built_or_included_lives(self):
        self.assertEqual([], self.dead({
            "base/CMakeLists.txt": "f(SOURCES a.cc x/b.cc)\n",
            "base/a.cc": '#include "base/a.h"\n#include "base/list.inc"\n',
            "base/a.h": "", "base/x/b.cc": "", "base/list.inc": "",
            "tests/base/CMakeLists.txt": "t(a_test ../lab/c.cc ${CMAKE_SOURCE_DIR}/tests/d.cc ${HERE}/../e.cc)\n",
            "tests/base/a_test.cc": "", "tests/lab/c.cc": "", "tests/d.cc": "", "tests/e.cc": "",
            "cmake/A.cmake": 'set(A "tests/chosen.h")\n',
            "tests/chosen.h": "",
            "tests/support/CMakeLists.txt": "foreach(preload some_library)\n",
            "tests/support/some_library.c": "",
            "findings/tried.cc": "",
        }))

    def test_the_rest_is_dead(self):
        dead = {"base/a.cc": "", "base/a.h": "", "base/x/b.cc": "", "tests/base/a_test.cc": "", "tests/c.c": ""}
        self.assertEqual(list(dead), self.dead({
            **dead, "base/CMakeLists.txt": "f(SOURCES b.cc)  # a.cc\n", "tests/CMakeLists.txt": "t(a_test)\n"}))


class ProtoTest(unittest.TestCase):
    def findings(self, body):
        return [finding.message for finding in lint.check_file("proto/raftkv/v1/a.proto", PROTO_HEAD + body)]

    def test_everything_commented_is_fine(self):
        self.assertEqual([], self.findings("""// A service.
service KvService {
  // A call.
  rpc Get(GetRequest)
      returns (GetResponse);
}

// An enum.
enum Kind {
  // None.
  KIND_UNSPECIFIED = 0;
  KIND_SOME = 1;  // Some.
}

// A message.
message GetRequest {
  // A key.
  string key = 1;
  // One of two.
  oneof value {
    // Bytes.
    bytes data = 2;
  }
  // Pairs.
  map<string, int64> pairs = 3;
  // Number 4 is kept.
  // Many.
  repeated google.protobuf.Duration times = 5;
  reserved 6;
}

// Nothing in it.
message GetResponse {}
"""))

    def test_each_kind_of_element_needs_a_comment(self):
        cases = {
            "service S {\n}\n": "service S",
            "// S.\nservice S {\n  rpc Get(A) returns (B);\n}\n": "rpc Get",
            "enum Kind {\n}\n": "enum Kind",
            "// K.\nenum Kind {\n  KIND_UNSPECIFIED = 0;\n}\n": "KIND_UNSPECIFIED",
            "message M {}\n": "message M",
            "// M.\nmessage M {\n  string key = 1;\n}\n": "field key",
            "// M.\nmessage M {\n  repeated int64 ids = 1;\n}\n": "field ids",
            "// M.\nmessage M {\n  map<string, string> m = 1;\n}\n": "field m",
            "// M.\nmessage M {\n  oneof value {\n    // D.\n    bytes data = 1;\n  }\n}\n": "oneof value",
            "// M.\nmessage M {\n  // A.\n  string a = 1;\n  string b = 2;\n}\n": "field b",
            "// M.\n\nmessage M {}\n": "message M",
        }
        for body, named in cases.items():
            messages = self.findings(body)
            self.assertTrue(any(named in message and "no comment" in message for message in messages), (body, messages))

    def test_file_comment_and_options(self):
        self.assertIn("proto comment", rules("client/bench/a.proto", 'syntax = "proto3";\n'))
        without = PROTO_HEAD.replace('option java_package = "dev.raftkv.v1";\n', "")
        self.assertIn("proto options", rules("proto/raftkv/v1/a.proto", without))


class TreeTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def found(self):
        return list(lint.check_tree(self.root, {}))

    def test_build_folders_are_skipped(self):
        self.write("build/dev/a.cc", "// TODO\n")
        self.assertEqual([], self.found())

    def test_sizes_and_dead_files_are_looked_at(self):
        self.write("base/a.h", header("int a;\n" * 250))
        self.assertEqual(["size", "dead file"], [finding.rule for finding in self.found()])

    def test_mutants_are_where_the_list_has_them_and_not_in_the_product(self):
        self.write("base/CMakeLists.txt", "f(a.cc)\n")
        self.write("base/a.cc", "int f() { return 1; }\n")
        self.write("tests/mutants/list.txt", "7 kForgets, row 1: it forgets\n    base/a.cc: return @1 => 2@;\n")
        self.assertEqual([], self.found())
        self.write("base/a.cc", "// But for a mutant.\nint f() { return 3; }\n")
        self.assertEqual(
            ["tests/mutants/list.txt:2: [mutant] mutant 7 kForgets: base/a.cc must hold this once, and holds it "
             "nowhere: follow what became of it: return @1 => 2@;",
             "base/a.cc:1: [mutant] belongs into tests/mutants/list.txt"], [str(finding) for finding in self.found()])

    def test_a_finding_names_file_line_and_rule(self):
        self.write("docs/a.md", "fine\nnot fine \n")
        self.assertEqual(["docs/a.md:2: [whitespace] ends in white space"],
                         [str(finding) for finding in self.found()])

    @unittest.skipUnless(shutil.which("clang-format-14"), "needs clang-format-14")
    def test_format(self):
        shutil.copy(ROOT / ".clang-format", self.root)
        self.write("base/CMakeLists.txt", "f(good.cc bad.cc)\n")
        self.write("base/good.cc", "int f() { return 1; }\n")
        self.write("base/bad.cc", "int f() {return 1;}\n")
        found = [(finding.path, finding.rule) for finding in self.found()]
        self.assertEqual([("base/bad.cc", "format")], found)

    @unittest.skipUnless((ROOT / "build/tools/buf").exists() or shutil.which("buf"), "needs buf")
    def test_buf(self):
        shutil.copytree(ROOT / "proto", self.root / "proto")
        if (ROOT / "build/tools/buf").exists():
            (self.root / "build/tools").mkdir(parents=True)
            (self.root / "build/tools/buf").symlink_to(ROOT / "build/tools/buf")
        self.assertNotIn("buf", [finding.rule for finding in self.found()])
        path = self.root / "proto/raftkv/v1/types.proto"
        path.write_text(path.read_text(encoding="utf-8").replace("CONSISTENCY_STALE", "STALE"), encoding="utf-8")
        self.assertIn("buf", [finding.rule for finding in self.found()])

    @unittest.skipUnless(shutil.which("shellcheck"), "needs shellcheck")
    def test_shellcheck(self):
        self.write("scripts/a.sh", "#!/usr/bin/env bash\nset -euo pipefail\nrm $1\n")
        self.assertEqual(["shellcheck"], [finding.rule for finding in self.found()])


if __name__ == "__main__":
    unittest.main()
