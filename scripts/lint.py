#!/usr/bin/env python3
"""Checks the tree's own rules: who may include whom, comments, format, sizes, dead files, mutants, and small things.

Usage: lint.py [root]   Prints one line per finding; exit 0 when there is none, 1 otherwise. Warnings do not count.

clang-format-14, buf and shellcheck are used when they are there; a missing one is said on stderr.
"""

import pathlib
import posixpath
import re
import shutil
import subprocess
import sys
from typing import Dict, Iterator, List, NamedTuple, Set

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/mutants"))
import weave  # noqa: E402

SKIPPED_FOLDERS = {".git", "build", "__pycache__", "default.raftkv"}
VENDORED_PREFIXES = ("proto/google/", "proto/grpc/")
# These two speak about what they forbid.
ABOUT_THE_RULES = {"scripts/lint.py", "tests/lint_test.py"}

# Layer -> the layers that it may include besides itself. A file belongs to the longest layer that its path starts with.
LAYERS = {
    "base": set(),
    "raft/core": {"base"},
    "raft/runtime": {"base", "raft/core"},
    "raft/wire": {"base", "raft/core", "raft/runtime", "proto"},
    "kv": {"base", "raft/core", "raft/runtime", "proto"},
    "storage": {"base", "raft/core", "raft/runtime", "raft/wire", "kv", "proto"},
    "server": {"base", "raft/core", "raft/runtime", "raft/wire", "kv", "storage", "server/loop", "server/peer",
               "server/api", "server/http", "server/metrics", "server/tls", "proto"},
    "server/tls": {"base", "kv", "server"},
    "server/loop": {"base", "raft/core", "raft/runtime", "kv", "server", "server/tls", "proto"},
    "server/peer": {"base", "raft/core", "raft/runtime", "raft/wire", "kv", "storage", "server", "server/loop",
                    "server/tls", "proto"},
    "server/api": {"base", "raft/core", "raft/runtime", "kv", "server", "server/loop", "proto"},
    "server/http": {"base", "kv", "server", "server/loop", "server/tls", "proto"},
    "server/metrics": {"base", "raft/core", "raft/runtime", "kv", "storage", "server", "server/loop", "server/peer",
                       "server/tls", "proto"},
    "client": {"base", "proto"},
    "tests": {"base", "raft/core", "raft/runtime", "raft/wire", "kv", "storage", "server", "server/loop",
              "server/peer", "server/api", "server/http", "server/metrics", "server/tls", "client", "proto"},
}
# What an included header belongs to, by its path; the first match counts.
INCLUDE_OWNERS = [
    (re.compile(r"^(raftkv|google/rpc|grpc/health)/.*\.pb\.h$"), "proto"),
    (re.compile(r"^google/protobuf/"), "proto"),
    (re.compile(r"^(raft/core|raft/runtime|raft/wire|base|kv|storage|server|client|tests)/"), None),
]
# Pattern of an include -> the path prefixes that may have it.
RESTRICTED_INCLUDES = [
    (re.compile(r"^(grpcpp|grpc)/(?!health/)"), ("server/", "client/", "tests/")),
    (re.compile(r"\.grpc\.pb\.h$"), ("server/", "client/", "tests/")),
    (re.compile(r"^rocksdb/"), ("storage/", "tests/")),
    (re.compile(r"^gflags/"), ("server/flags.",)),
    (re.compile(r"^yaml-cpp/"), ("server/config_file.",)),
    (re.compile(r"^CLI/"), ("client/", "tests/")),
    (re.compile(r"^nlohmann/"), ("client/", "server/http/", "tests/")),
    (re.compile(r"^httplib\.h$"), ("server/http/http_server.",)),
    (re.compile(r"^prometheus/"), ("server/metrics/", "tests/")),
    (re.compile(r"^openssl/"), ("server/tls/", "server/http/http_connection.", "tests/")),
    (re.compile(r"^(gtest|gmock)/"), ("tests/",)),
]
# The core is a function of its inputs: nothing in it can block, wait, log or ask for the time.
CORE_FORBIDDEN_INCLUDES = {"thread", "mutex", "shared_mutex", "condition_variable", "chrono", "future", "fstream",
                           "iostream", "base/clock.h", "base/mutex.h", "base/waker.h"}
CORE_FORBIDDEN_TEXT = re.compile(r"\b(V?LOG(_IF|_EVERY_N|_FIRST_N)?|printf|fprintf)\s*\(")
UNREPEATABLE = re.compile(r"std::random_device|system_clock|\bs?rand\s*\(\s*\)|std::unordered_")
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(work|home|root|Users|workspace)/")
OPEN_ENDED_TODO = re.compile(r"\b(TODO(?!\(#\d+\): )|FIXME|XXX)\b")

LINE_WIDTH_MAX = {".h": 100, ".cc": 100, ".proto": 120, ".py": 120, ".sh": 120, ".go": 120, ".cmake": 120,
                  ".js": 120, ".css": 120, ".html": 120, "CMakeLists.txt": 120}
TEXT_SUFFIXES = {".h", ".cc", ".c", ".inc", ".proto", ".py", ".sh", ".go", ".cmake", ".md", ".txt", ".yaml", ".json",
                 ".js", ".css", ".html", ".in", ""}

PROTO_DECLARATION = re.compile(
    r"^(?:(message|enum|service|rpc|oneof)\s+(\w+)"
    r"|(?:optional\s+|repeated\s+)?(?:map\s*<[^>]*>|[\w.]+)\s+(\w+)\s*=\s*\d+"
    r"|([A-Z]\w*)\s*=\s*-?\d+)")
PROTO_OPTIONS = ("csharp_namespace", "go_package", "java_multiple_files", "java_package")

# What a reader can hold in mind. More is a finding, unless it is excused below.
HEADER_LINES_MAX = 250
SOURCE_LINES_MAX = 600
TEST_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
# Whose size has a reason: `path`, or `path: function`. An entry that is not needed any more is a finding, so the list
# gets shorter by itself.
EXCUSED_SIZES = {
    "server/options.cc: Option::Table": "one table of every option, a row each",
    "kv/store.h": "the whole face of the store; what its reads come to is in classes of their own",
    "raft/runtime/raft_driver.h": "the whole face of a member at work; its parts have classes of their own",
    "raft/core/raft_core.h": "the whole face of the core, and every handler behind it: one state, so one class",
    "server/peer/peer_stream.h": "a template, so its functions are here too",
    "tests/kv/errors_test.cc: ErrorTable": "one table of every error, a row each",
    "tests/raft/wire/convert_test.cc: ConvertTest.MalformedLeaderFramesAreRefused": "one table, a row each",
}
# A function may begin in these; elsewhere there are only statements.
SCOPE = re.compile(r"^(?:template\s*<.*>\s*)?(?:(?:inline\s+)?namespace|class|struct|union|enum|extern)\b")
FUNCTION_NAME = re.compile(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+), (\w+)\)|([\w:~]+|operator\W+)\s*\(")

# A line of a comment that ends within a clause, although the next word and this many columns more had room.
COMMENT_ROOM_MIN = 10
COMMENT_MARKS = {".h": "//", ".cc": "//", ".c": "//", ".inc": "//", ".proto": "//", ".go": "//", ".js": "//",
                 ".py": "#", ".sh": "#", ".cmake": "#"}
LIST_MARK = re.compile(r"^(\d+\.|[-*]) ")
CLAUSE_END = re.compile(r"[,.:;?!)][\"'`]?$")
DRAWN = re.compile(r"\S {2,}\S|--|\||::=|:=")

# What must be named by a CMakeLists.txt or an include, and in which folders.
CODE_SUFFIXES = (".h", ".cc", ".c", ".inc")
CODE_FOLDERS = tuple(sorted({layer.split("/", 1)[0] + "/" for layer in LAYERS}))
NAMED_FILE = re.compile(r"[\w./-]+\.(?:h|cc|c|inc)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')


# Mutants are woven into the product by tests/mutants; its own text knows nothing of them.
PRODUCT_SOURCE = re.compile(r"^(?!tests/).*\.(?:h|cc|c|proto)$")
MUTANT_WORD = re.compile(r"mutant", re.IGNORECASE)

# An option named in a text for people, and where each program's options are defined.
NAMED_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*)")
STRING_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
SERVER_OPTIONS_FILE = "server/options.cc"
SERVER_OPTION_DEFINITION = re.compile(r'^ +\{"\w+", "(\w+)",', re.MULTILINE)
CTL_OPTIONS_FILES = ("client/ctl/command_line.cc", "client/ctl/lease_arguments.cc")
CTL_OPTION_DEFINITION = re.compile(r'_(?:option|flag)\(\s*"(?:-\w,)?--([a-z_-]+)(?:,--[a-z-]+)?"')


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}{' warning' if self.is_warning else ''}] {self.message}"


class Function(NamedTuple):
    name: str
    line: int
    lines: int


def tree_files(root: pathlib.Path) -> List[str]:
    found = []
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if not SKIPPED_FOLDERS.intersection(relative.parts) and path.is_file():
            found.append(relative.as_posix())
    return sorted(found)


def layer_of(path: str) -> str:
    matching = [layer for layer in LAYERS if path.startswith(layer + "/")]
    return max(matching, key=len, default="")


def owner_of_include(included: str) -> str:
    for pattern, owner in INCLUDE_OWNERS:
        if pattern.search(included):
            return owner or layer_of(included)
    return ""


def without_comment(line: str) -> str:
    return line.split("//", 1)[0]


def check_includes(path: str, lines: List[str]) -> Iterator[Finding]:
    layer = layer_of(path)
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        included = match.group(1)
        owner = owner_of_include(included)
        if owner and layer and owner != layer and owner not in LAYERS[layer]:
            yield Finding(path, number, "layers", f"{layer} may not include {included}")
        for pattern, allowed in RESTRICTED_INCLUDES:
            if pattern.search(included) and not path.startswith(allowed):
                yield Finding(path, number, "libraries",
                              f"{included} may only be included in {', '.join(allowed)}")
        if layer == "raft/core" and included in CORE_FORBIDDEN_INCLUDES:
            yield Finding(path, number, "pure core", f"raft/core may not include {included}")


def check_determinism(path: str, lines: List[str]) -> Iterator[Finding]:
    layer = layer_of(path)
    for number, line in enumerate(lines, 1):
        code = without_comment(line)
        if layer == "raft/core" and CORE_FORBIDDEN_TEXT.search(code):
            yield Finding(path, number, "pure core", "raft/core may not log: it reports events")
        if layer in ("raft/core", "raft/runtime"):
            match = UNREPEATABLE.search(code)
            if match:
                yield Finding(path, number, "pure core", f"{match.group(0)} makes runs differ")


def check_header(path: str, lines: List[str]) -> Iterator[Finding]:
    code = [line for line in lines if line.strip() and not line.startswith("//")]
    if not code or code[0].strip() != "#pragma once":
        yield Finding(path, 1, "pragma once", "the first code of a header must be #pragma once")


def check_text(path: str, lines: List[str]) -> Iterator[Finding]:
    name = path.rsplit("/", 1)[-1]
    width_max = LINE_WIDTH_MAX.get(name, LINE_WIDTH_MAX.get(pathlib.PurePosixPath(path).suffix))
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield Finding(path, number, "whitespace", "ends in white space")
        if width_max and len(line) > width_max and "http" not in line:
            yield Finding(path, number, "width", f"{len(line)} columns; at most {width_max}")
        if path in ABOUT_THE_RULES:
            continue
        if OPEN_ENDED_TODO.search(line):
            yield Finding(path, number, "todo", "needs an issue: TODO" + "(#123): ...")
        match = MACHINE_PATH.search(line)
        if match:
            yield Finding(path, number, "machine path", f"{match.group(0)}... exists on one machine only")


def check_proto(path: str, lines: List[str]) -> Iterator[Finding]:
    if not lines or not lines[0].startswith("//"):
        yield Finding(path, 1, "proto comment", "the file must begin with a comment")
    documented = False
    continued = False  # The line belongs to a declaration that began above it.
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("//"):
            documented = True
            continue
        match = None if continued else PROTO_DECLARATION.match(text)
        if match and not text.startswith(("option ", "syntax ", "package ", "import ", "reserved ")):
            if not documented and "//" not in text:
                what = match.group(1) or ("field" if match.group(3) else "value")
                name = match.group(2) or match.group(3) or match.group(4)
                yield Finding(path, number, "proto comment", f"{what} {name} has no comment")
        code = without_comment(text).rstrip()
        continued = bool(code) and not code.endswith((";", "{", "}"))
        documented = False
    if path.startswith("proto/"):
        for option in PROTO_OPTIONS:
            if not any(re.match(rf"option {option}\s*=", line) for line in lines):
                yield Finding(path, 1, "proto options", f"option {option} is not set")


def check_shell(path: str, lines: List[str]) -> Iterator[Finding]:
    if "set -euo pipefail" not in lines:
        yield Finding(path, 1, "shell", "a script must set -euo pipefail")


def check_named_options(path: str, text: str, known: Set[str]) -> Iterator[Finding]:
    """A remedy that does not exist is worse than none."""
    for number, line in enumerate(text.splitlines(), 1):
        for literal in STRING_LITERAL.findall(line):
            for name in NAMED_OPTION.findall(literal):
                if name.replace("-", "_") not in known:
                    yield Finding(path, number, "named option", f"nobody has an option --{name}")


def known_options(server_options: str, command_line: str) -> Dict[str, Set[str]]:
    """Folder -> the options that its texts may name: a server's reader has the server at hand, raftkvctl's has both."""
    placeholder = "flag"
    server = {"help", "version", "check_config", placeholder, *SERVER_OPTION_DEFINITION.findall(server_options)}
    ctl = {name.replace("-", "_") for name in CTL_OPTION_DEFINITION.findall(command_line)}
    return {"server/": server, "storage/": server, "client/ctl/": server | ctl}


def functions_of(lines: List[str]) -> Iterator[Function]:
    """By the format alone: a function ends with the brace that stands as far left as its first line."""
    first = 0  # Where the declaration begins that is being read; 0: none is.
    closer = ""
    declaration = ""
    for number, line in enumerate(lines, 1):
        if closer:
            if line.startswith(closer):
                if "(" in declaration and not declaration.endswith("= {"):
                    match = FUNCTION_NAME.search(declaration)
                    name = ".".join(match.groups()[:2]) if match and match.group(1) else match and match.group(3)
                    yield Function(name or declaration, first, number - first + 1)
                first, closer = 0, ""
            continue
        text = without_comment(line).strip()
        if not text or text.startswith(("#", "}")) or text in ("public:", "protected:", "private:"):
            first = 0
            continue
        first = first or number
        if text.endswith("{"):
            declaration = " ".join(part.strip() for part in lines[first - 1:number])
            if SCOPE.match(declaration) and not re.search(r"\)[\w ]*\{$", declaration):
                first = 0
            else:
                closer = re.match(r"\s*", lines[first - 1]).group(0) + "}"
        elif text.endswith((";", "}")):
            first = 0


def check_sizes(texts: Dict[str, str], excused: Dict[str, str]) -> Iterator[Finding]:
    needed = set()
    for path, text in texts.items():
        if not path.endswith((".h", ".cc")) or path.startswith(VENDORED_PREFIXES):
            continue
        lines = text.splitlines()
        lines_max = TEST_LINES_MAX if path.startswith("tests/") else SOURCE_LINES_MAX
        if path.endswith(".h"):
            lines_max = HEADER_LINES_MAX
        excesses = []
        if len(lines) > lines_max:
            excesses.append((path, 1, f"{len(lines)} lines; at most {lines_max}"))
        for function in functions_of(lines):
            if function.lines > FUNCTION_LINES_MAX:
                excesses.append((f"{path}: {function.name}", function.line,
                                 f"{function.name} has {function.lines} lines; at most {FUNCTION_LINES_MAX}"))
        for key, number, message in excesses:
            if key in excused:
                needed.add(key)
                yield Finding(path, number, "size", f"{message}. Excused: {excused[key]}", is_warning=True)
            else:
                yield Finding(path, number, "size", message)
    for key in excused:
        if key not in needed:
            yield Finding(key.split(":", 1)[0], 1, "size", f"{key} needs no excuse any more: take it out of lint.py")


def check_comments(path: str, lines: List[str]) -> Iterator[Finding]:
    """Paragraphs that a new wrap broke: a short line that ends within a clause. Tables and drawings may be such."""
    suffix = pathlib.PurePosixPath(path).suffix
    mark = "#" if path.endswith("CMakeLists.txt") else COMMENT_MARKS.get(suffix)
    if mark is None or path in ABOUT_THE_RULES:
        return
    width = LINE_WIDTH_MAX.get(suffix, LINE_WIDTH_MAX["CMakeLists.txt"] if mark == "#" else LINE_WIDTH_MAX[".h"])
    comment = re.compile(rf"^(\s*{mark} )( *)(\S.*)$")
    for number, (line, following) in enumerate(zip(lines, lines[1:]), 1):
        first, second = comment.match(line), comment.match(following)
        if not first or not second or first.group(1) != second.group(1):
            continue
        if first.group(2) or LIST_MARK.match(second.group(3)):  # An example, or a list.
            continue
        if CLAUSE_END.search(first.group(3)) or DRAWN.search(first.group(3)) or DRAWN.search(second.group(3)):
            continue
        word = second.group(3).split()[0]
        if len(line) + 1 + len(word) + COMMENT_ROOM_MIN <= width:
            yield Finding(path, number, "comment wrap", f"ends in the middle of a clause; \"{word}\" has room there")


def check_dead_files(texts: Dict[str, str]) -> Iterator[Finding]:
    """A file of code that nothing includes and nothing builds: by its path, or by its bare name in its own folder."""
    named = set()
    for path, text in texts.items():
        folder = posixpath.dirname(path)
        if path.endswith(("CMakeLists.txt", ".cmake")):
            code = "\n".join(line.split("#", 1)[0] for line in text.splitlines())
            for name in NAMED_FILE.findall(code):
                name = name.lstrip("/")  # After a variable: the path from the root or from the folder.
                named.update((posixpath.normpath(posixpath.join(folder, name)), name))
            for word in re.findall(r"\w+", code):
                named.update((posixpath.join(folder, word + ".cc"), posixpath.join(folder, word + ".c")))
        elif path.endswith(CODE_SUFFIXES):
            named.update(match.group(1) for match in map(INCLUDE.match, text.splitlines()) if match)
    for path in texts:
        if path.startswith(CODE_FOLDERS) and path.endswith(CODE_SUFFIXES) and path not in named:
            yield Finding(path, 1, "dead file", "no CMakeLists.txt builds it and nothing includes it")


def check_mutants(texts: Dict[str, str]) -> Iterator[Finding]:
    """A mutant that its code ran away from would survive, or be gone, without anybody's notice."""
    if weave.LIST in texts:
        for problem in weave.find_problems(texts[weave.LIST], texts):
            yield Finding(weave.LIST, problem.line, "mutant", problem.message)
    for path, text in texts.items():
        if PRODUCT_SOURCE.match(path):
            for number, line in enumerate(text.splitlines(), 1):
                if MUTANT_WORD.search(line):
                    yield Finding(path, number, "mutant", f"belongs into {weave.LIST}")


def check_file(path: str, text: str) -> Iterator[Finding]:
    if path.startswith(VENDORED_PREFIXES):
        return
    lines = text.splitlines()
    yield from check_text(path, lines)
    yield from check_comments(path, lines)
    if text and not text.endswith("\n"):
        yield Finding(path, len(lines), "whitespace", "the last line has no end")
    suffix = pathlib.PurePosixPath(path).suffix
    if suffix in (".h", ".cc"):
        yield from check_includes(path, lines)
        yield from check_determinism(path, lines)
    if suffix == ".h":
        yield from check_header(path, lines)
    if suffix == ".proto":
        yield from check_proto(path, lines)
    if suffix == ".sh":
        yield from check_shell(path, lines)


def run_tool(command: List[str], root: pathlib.Path, rule: str) -> Iterator[Finding]:
    """Every line `path:line:column: message` that a tool prints is a finding; a failure without one is one as well."""
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return
    seen = set()
    for line in done.stdout.splitlines():
        match = re.match(r"^([^:\s]+):(\d+):(?:\d+:)?\s*(.*)$", line)
        if match and (match.group(1), match.group(2)) not in seen:
            seen.add((match.group(1), match.group(2)))
            yield Finding(match.group(1), int(match.group(2)), rule, match.group(3))
    if not seen:
        yield Finding(command[0], 0, rule, done.stdout.strip() or f"exit {done.returncode}")


def check_with_tools(root: pathlib.Path, files: List[str]) -> Iterator[Finding]:
    sources = [path for path in files if path.endswith((".h", ".cc"))]
    scripts = [path for path in files if path.endswith(".sh")]
    buf = root / "build/tools/buf"
    tools = [
        ("clang-format-14", sources, ["--dry-run", "-Werror"], "format"),
        ("shellcheck", scripts, ["-f", "gcc"], "shellcheck"),
    ]
    for tool, inputs, arguments, rule in tools:
        if not inputs:
            continue
        if shutil.which(tool) is None:
            print(f"lint: no {tool} here, not checked: {rule}", file=sys.stderr)
            continue
        yield from run_tool([tool, *arguments, *inputs], root, rule)
    if (root / "proto/buf.yaml").exists():
        buf_program = str(buf) if buf.exists() else shutil.which("buf")
        if buf_program is None:
            print("lint: no buf here, not checked: STANDARD rules of the protos", file=sys.stderr)
        else:
            yield from run_tool([buf_program, "lint", "proto"], root, "buf")


def check_tree(root: pathlib.Path, excused_sizes: Dict[str, str]) -> Iterator[Finding]:
    files = tree_files(root)
    texts = {path: (root / path).read_text(encoding="utf-8")
             for path in files if pathlib.PurePosixPath(path).suffix in TEXT_SUFFIXES}
    for path, text in texts.items():
        yield from check_file(path, text)
    yield from check_sizes(texts, excused_sizes)
    yield from check_dead_files(texts)
    yield from check_mutants(texts)
    if texts.keys() >= {SERVER_OPTIONS_FILE, *CTL_OPTIONS_FILES}:
        options = known_options(texts[SERVER_OPTIONS_FILE], "".join(texts[path] for path in CTL_OPTIONS_FILES))
        for path, text in texts.items():
            for folder, known in options.items():
                if path.startswith(folder) and path.endswith((".h", ".cc")):
                    yield from check_named_options(path, text, known)
    yield from check_with_tools(root, files)


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    everything = list(check_tree(root, EXCUSED_SIZES))
    for finding in everything:
        print(finding)
    findings = [finding for finding in everything if not finding.is_warning]
    print(f"lint: {len(findings)} findings, {len(everything) - len(findings)} warnings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
