#!/usr/bin/python3
"""Makes the calls of docs/api/grpcurl.txt with grpcurl against real servers, and compares what comes back.

Usage: api_calls_test.py <raftkvd> [--rewrite]

--rewrite writes the answers that differ into docs/api/grpcurl.txt. Exit 77 where there is no grpcurl.
"""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import api_doc  # noqa: E402

START_TIMEOUT_S = 30
# What passes by itself: a cluster of a second ago, a member that does not have all of the log yet.
PASSING = re.compile(r"\b(MEMBER_TOO_OLD|NOT_CAUGHT_UP|MEMBERSHIP_CHANGE_PENDING|NO_LEADER)\b")
PASSING_TIMEOUT_S = 30
DEADLINE_EXCEEDED_EXIT = 64 + 4
# Texts that need not be the same, only of the same kind.
KINDS = [("number", r"-?\d+"), ("duration", r"-?\d+(\.\d+)?s"), ("time", r"\d{4}-\d\d-\d\dT[\d:.]+Z"),
         ("version", r"\d+\.\d+\.\d+[\w~+-]*"), ("address", r"[\w.]+:\d+")]
WIDTH = 110
FIRST_CALL = api_doc.Call("WatchService/Watch", "-max-time 0.1", '{"ranges": [{"key": "none"}]}', [], "", 0)
MEMBERS_CALL = api_doc.Call("ClusterService/ListMembers", "", "{}", [], "", 0)


def find_grpcurl():
    built = ROOT / "build/tools/grpcurl"
    return str(built) if built.exists() else shutil.which("grpcurl")


class Node:
    """A raftkvd on ports of its own choice; `name` stands for it in addresses of the page."""

    def __init__(self, raftkvd, folder, name, address, *flags):
        self.address = address
        self._process = subprocess.Popen(
            [raftkvd, f"--name={name}", f"--data_dir={folder}/{name}", "--listen_client=127.0.0.1:0",
             "--listen_peer=127.0.0.1:0", "--listen_http=", "--memory_bytes_max=64MiB", *flags],
            stderr=subprocess.PIPE, text=True)
        self.ports = self._wait_until_ready()
        # Nobody may wait for a reader of the log.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def _wait_until_ready(self):
        timer = threading.Timer(START_TIMEOUT_S, self._process.kill)
        timer.start()
        log = []
        for line in self._process.stderr:
            log.append(line)
            match = re.search(r"raftkvd ready .*client=(\S+) peer=(\S+)", line)
            if match:
                timer.cancel()
                return {"2379": match.group(1), "2380": match.group(2)}
        sys.exit("api_calls_test: raftkvd did not start:\n" + "".join(log))

    def localise(self, text):
        """The page's addresses -> real ones."""
        for port, real in self.ports.items():
            text = text.replace(f"{self.address}:{port}", real)
        return text

    def generalise(self, text):
        for port, real in self.ports.items():
            text = re.sub(rf"{re.escape(real)}(?!\d)", f"{self.address}:{port}", text)
        return text

    def stop(self):
        self._process.kill()
        self._process.wait()


def kind_of(text):
    return next((name for name, pattern in KINDS if re.fullmatch(pattern, text)), None)


def differences(expected, actual, path="answer"):
    """What is of another shape; nothing when all is as it should be."""
    if expected == {api_doc.ANY_TEXT: api_doc.ANY_TEXT}:
        return [] if isinstance(actual, dict) else [f"{path}: is no object, but {actual}"]
    if type(expected) is not type(actual):
        return [f"{path}: is {json.dumps(actual)}, not {json.dumps(expected)}"]
    if isinstance(expected, dict):
        found = [f"{path}: lacks {name}" for name in expected if name not in actual]
        found += [f"{path}: has {name} besides" for name in actual if name not in expected]
        for name in expected.keys() & actual.keys():
            found += differences(expected[name], actual[name], f"{path}.{name}")
        return found
    if isinstance(expected, list):
        if len(expected) != len(actual):
            return [f"{path}: has {len(actual)} elements, not {len(expected)}"]
        return [text for index, pair in enumerate(zip(expected, actual))
                for text in differences(*pair, f"{path}[{index}]")]
    if isinstance(expected, str):
        if expected == api_doc.ANY_TEXT or (kind_of(expected) and kind_of(expected) == kind_of(actual)):
            return []
    elif not isinstance(expected, bool) and expected is not None:
        return []  # A number.
    return [] if expected == actual else [f"{path}: is {json.dumps(actual)}, not {json.dumps(expected)}"]


def pretty(value, indent=0):
    """JSON in as few lines as have room."""
    flat = json.dumps(value, ensure_ascii=False).replace('{"...": "..."}', api_doc.ANY_OBJECT)
    if indent + len(flat) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(name)}: {pretty(part, indent + 2)}" for name, part in value.items()]
    else:
        parts = [inner + pretty(part, indent + 2) for part in value]
    ends = "{}" if isinstance(value, dict) else "[]"
    return ends[0] + "\n" + ",\n".join(parts) + "\n" + " " * indent + ends[1]


def shortened(value):
    """As the page shows it: without what differs each time and tells nothing."""
    if isinstance(value, dict):
        return {name: {api_doc.ANY_TEXT: api_doc.ANY_TEXT} if name in ("header", "memory", "requests") and part
                else api_doc.ANY_TEXT if name == "data" and "checksum" in value else shortened(part)
                for name, part in value.items()}
    return [shortened(part) for part in value] if isinstance(value, list) else value


def make_call(grpcurl, nodes, call):
    """(values that grpcurl printed, its words when it failed)"""
    request = call.request
    for node in nodes:
        request = node.localise(request)
    command = [grpcurl, "-plaintext", *call.options.split(), "-d", request, nodes[0].ports["2379"],
               f"{api_doc.PACKAGE}.{call.method}"]
    deadline = time.monotonic() + PASSING_TIMEOUT_S
    while True:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=60)
        passed = done.returncode == 0 or ("-max-time" in call.options and done.returncode == DEADLINE_EXCEEDED_EXIT)
        if passed or not PASSING.search(done.stderr) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    answer = done.stdout
    for node in nodes:
        answer = node.generalise(answer)
    return api_doc.parse_values(answer), "" if passed else f"exit {done.returncode}: {done.stderr.strip()}"


def wait_until_published(grpcurl, nodes):
    """Members say by themselves where clients reach them, soon after they have come."""
    deadline = time.monotonic() + PASSING_TIMEOUT_S
    while True:
        answer, problem = make_call(grpcurl, nodes, MEMBERS_CALL)
        if not problem and all("version" in member for member in answer[0]["members"]):
            return
        if time.monotonic() > deadline:
            sys.exit(f"api_calls_test: not every member has published its address: {answer} {problem}")
        time.sleep(0.1)


def rewritten(text, call, answer):
    """The file's text with another answer of one call."""
    lines = text.splitlines()
    first = lines.index("->", call.line) + 1
    last = next((number for number in range(first, len(lines)) if not lines[number].strip()), len(lines))
    lines[first:last] = "\n".join(pretty(shortened(value)) for value in answer).splitlines()
    return "\n".join(lines) + "\n"


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[1:] not in ([], ["--rewrite"]):
        print(__doc__, file=sys.stderr)
        return 1
    grpcurl = find_grpcurl()
    if grpcurl is None:
        print("api_calls_test: no grpcurl: scripts/install_deps.sh --tests makes it where Go is installed")
        return 77
    path = ROOT / api_doc.CALLS
    text = path.read_text(encoding="utf-8")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="raftkv_api_") as folder, contextlib.ExitStack() as stack:
        nodes = [Node(arguments[0], folder, "n1", "10.0.0.1"),
                 Node(arguments[0], folder, "n2", "10.0.0.2", "--wait_for_invite=true")]
        for node in nodes:
            stack.callback(node.stop)
        # A history begins once the member knows that it is alone: before, revision 1 might not be in it.
        _, problem = make_call(grpcurl, nodes, FIRST_CALL)
        if problem:
            sys.exit(f"api_calls_test: the store does not answer: {problem}")
        answers = []
        for call in api_doc.read_calls(text):
            if call.method.startswith("ClusterService/"):
                wait_until_published(grpcurl, nodes)
            answer, problem = make_call(grpcurl, nodes, call)
            found = [problem] if problem else differences(call.answer, answer)
            for line in found:
                print(f"{api_doc.CALLS}:{call.line}: {call.method}: {line}")
            if found and not problem:
                answers.append((call, answer))
            failed += bool(found)
    if arguments[1:]:
        # From the last one on, so that the lines of those before stay where they are.
        for call, answer in reversed(answers):
            text = rewritten(text, call, answer)
        path.write_text(text, encoding="utf-8")
    print(f"api_calls_test: {failed} calls of {len(api_doc.read_calls(text))} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
