#!/usr/bin/python3
"""Writes docs/API.md: services, RPCs, messages and errors, out of the comments of proto/raftkv/v1.

Usage: api_doc.py            writes docs/API.md
       api_doc.py --check    only says whether docs/API.md is what would be written

Besides the protos it reads docs/api/introduction.md, docs/api/grpcurl.txt (a call of each RPC, which
tests/api_calls_test.py makes), README.md's table of errors and, to prove that table, kv/errors.cc and server/http.

Exit 1, with a line for each fault, when an element has no comment, an RPC no call, or an error no words; and with
--check when the page is another one. The shebang is Debian's Python, which has Debian's python3-protobuf.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = "docs/API.md"
INTRODUCTION = "docs/api/introduction.md"
CALLS = "docs/api/grpcurl.txt"
PACKAGE = "raftkv.v1"
PROTO_FOLDER = "raftkv/v1"

# What grpcurl.txt writes for what differs from run to run.
ANY_OBJECT = "{...}"
ANY_TEXT = "..."

CODES = ("CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
         "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
         "UNAUTHENTICATED").split()
# In a comment: the code and the reason of an error.
NAMED_ERROR = re.compile(rf"\b({'|'.join(CODES)}) / ([A-Z][A-Z_]+)\b")
# Of a number that a later version will use. It stands above the field behind it, and is not about that one.
KEPT_NUMBER = re.compile(r"Numbers? \d+ [^.]*\b(?:is|are) kept [^.]*\.\s*")

# How kv/errors.cc makes an error: the helper's name, where its first argument is no code, implies one.
ERROR_FUNCTION = re.compile(r"^absl::Status (\w+)\([^;{]*\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
MADE_ERROR = re.compile(r"\b(MakeError|Retryable|InvalidArgument|Unavailable)\(\s*"
                        r"(?:absl::StatusCode::k(\w+),\s*)?\"([A-Z_]+)\"")
IMPLIED_CODES = {"InvalidArgument": "INVALID_ARGUMENT", "Unavailable": "UNAVAILABLE"}
RETRIED = {"Retryable", "Unavailable"}
METADATA_KEY = re.compile(r"\{\"([a-z_]+)\", ")
HTTP_REFUSAL = re.compile(r"\bRefusalAnswer\(\s*(\d+), absl::StatusCode::k\w+,\s*\"([A-Z_]+)\"")


class Fault(Exception):
    """The page cannot be written; the text has a line for each reason."""


class Call(NamedTuple):
    """A call that grpcurl makes, from grpcurl.txt."""
    method: str        # service/rpc, without the package.
    options: str       # Of grpcurl, besides -plaintext and -d.
    request: str       # JSON, one line for each message.
    answer: List[Any]  # JSON values, with ANY_... for what differs.
    answer_text: str
    line: int


class Reason(NamedTuple):
    codes: Set[str]
    metadata: Set[str]
    retried: Set[str]  # The codes with which a RetryInfo comes.


class Element(NamedTuple):
    """A message, enum or service of the package with the comments of all that is in it."""
    name: str
    file: str
    kind: str
    proto: Any
    comments: Dict[Tuple[int, ...], str]


# ---- What is read.

def read_descriptors(root: pathlib.Path) -> List[descriptor_pb2.FileDescriptorProto]:
    """The files of the package with their comments, keys first and then in the order of their names."""
    paths = (root / "proto" / PROTO_FOLDER).glob("*.proto")
    files = [path.relative_to(root / "proto").as_posix()
             for path in sorted(paths, key=lambda path: (path.name != "kv.proto", path.name))]
    with tempfile.NamedTemporaryFile(suffix=".pb") as out:
        done = subprocess.run(["protoc", "-I", str(root / "proto"), "--include_source_info",
                               f"--descriptor_set_out={out.name}", *files],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Fault(done.stdout.strip())
        described = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    return sorted(described.file, key=lambda file: files.index(file.name))


def comments_of(file: descriptor_pb2.FileDescriptorProto) -> Dict[Tuple[int, ...], str]:
    comments = {}
    for location in file.source_code_info.location:
        text = (location.leading_comments or location.trailing_comments).strip()
        text = "\n".join(line.strip() for line in text.split("\n"))
        comments[tuple(location.path)] = text
    return comments


def elements_of(files: Iterable[descriptor_pb2.FileDescriptorProto]) -> List[Element]:
    """In the order of files and their lines."""
    elements = []
    for file in files:
        comments = comments_of(file)
        found = []
        for kind, number, protos in (("service", 6, file.service), ("enum", 5, file.enum_type),
                                     ("message", 4, file.message_type)):
            for index, proto in enumerate(protos):
                if kind == "message" and (proto.nested_type or proto.enum_type):
                    raise Fault(f"proto/{file.name}: {proto.name} has a type within it, which {PAGE} cannot show")
                path = (number, index)
                own = {key[2:]: text for key, text in comments.items() if key[:2] == path}
                line = next(location.span[0] for location in file.source_code_info.location
                            if tuple(location.path) == path)
                found.append((line, Element(proto.name, file.name, kind, proto, own)))
        elements += [element for _, element in sorted(found, key=lambda pair: pair[0])]
    return elements


def read_calls(text: str) -> List[Call]:
    """Blocks of `Service/Rpc [options]`, the request, `->`, and the answer, with an empty line between two."""
    calls = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        if not lines[number].strip() or lines[number].startswith("#"):
            number += 1
            continue
        first = number
        while number < len(lines) and lines[number].strip():
            number += 1
        block = lines[first:number]
        if "->" not in block or not re.fullmatch(r"\w+/\w+( .*)?", block[0]):
            raise Fault(f"{CALLS}:{first + 1}: a block must be Service/Rpc, the request, -> and the answer")
        arrow = block.index("->")
        method, _, options = block[0].partition(" ")
        answer_text = "\n".join(block[arrow + 1:])
        try:
            answer = parse_values(answer_text)
            parse_values("\n".join(block[1:arrow]))
        except ValueError as error:
            raise Fault(f"{CALLS}:{first + 1}: {method} is no JSON: {error}") from error
        calls.append(Call(method, options, "\n".join(block[1:arrow]), answer, answer_text, first + 1))
    return calls


def parse_values(text: str) -> List[Any]:
    """JSON values one behind the other, as grpcurl prints the answers of a stream."""
    text = text.replace(ANY_OBJECT, f'{{"{ANY_TEXT}": "{ANY_TEXT}"}}').strip()
    values = []
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return values


def to_code(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()


def read_reasons(source: str) -> Dict[str, Reason]:
    """What kv/errors.cc can answer with."""
    reasons: Dict[str, Reason] = {}
    for _, body in ERROR_FUNCTION.findall(source):
        metadata = set(METADATA_KEY.findall(body))
        for helper, code, reason in MADE_ERROR.findall(body):
            known = reasons.setdefault(reason, Reason(set(), set(), set()))
            code = to_code(code) if code else IMPLIED_CODES[helper]
            known.codes.add(code)
            known.retried.update([code] if helper in RETRIED else [])
            known.metadata.update(metadata | ({"field"} if helper == "InvalidArgument" else set()))
    return reasons


def read_error_rows(readme: str) -> List[Tuple[str, List[str], str]]:
    """(code, reasons, meaning) of each row below README's "## Errors"; no reasons: the error has none."""
    rows = []
    code = ""
    section = readme.split("\n## Errors\n", 1)[-1].split("\n## ", 1)[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 3 or cells[0] in ("code", "---"):
            continue
        code = cells[0] or code
        rows.append((code, re.findall(r"`([A-Z_]+)`", cells[1]), cells[2]))
    return rows


def read_http_reasons(readme: str) -> Dict[str, str]:
    """Reason -> status of README's sentence "HTTP's own reasons: ..."."""
    match = re.search(r"HTTP's own reasons:\s(.*?)\.\n", readme, re.DOTALL)
    reasons: Dict[str, str] = {}
    waiting: List[str] = []
    for reason, status in re.findall(r"`([A-Z_]+)`|\b(\d{3})\b", match.group(1) if match else ""):
        if reason:
            waiting.append(reason)
        else:
            reasons.update({name: status for name in waiting})
            waiting = []
    return reasons


# ---- What must be so.

def missing_comments(elements: Iterable[Element]) -> Iterator[str]:
    for element in elements:
        where = f"proto/{element.file}: {element.kind} {element.name}"
        if not element.comments.get(()):
            yield f"{where} has no comment"
        members = {"service": (2, "rpc"), "message": (2, "field"), "enum": (2, "value")}
        number, kind = members[element.kind]
        protos = {"service": "method", "message": "field", "enum": "value"}[element.kind]
        for index, proto in enumerate(getattr(element.proto, protos)):
            if not element.comments.get((number, index)):
                yield f"{where}: {kind} {proto.name} has no comment"
        if element.kind == "message":
            for index, oneof in enumerate(element.proto.oneof_decl):
                if not oneof.name.startswith("_") and not element.comments.get((8, index)):
                    yield f"{where}: oneof {oneof.name} has no comment"


def call_faults(elements: Iterable[Element], calls: Iterable[Call]) -> Iterator[str]:
    methods = [f"{element.name}/{rpc.name}" for element in elements if element.kind == "service"
               for rpc in element.proto.method]
    called = {call.method for call in calls}
    for method in methods:
        if method not in called:
            yield f"{CALLS}: {method} has no call; add one (the file's head says how) and run " \
                  "tests/api_calls_test.py <raftkvd> --rewrite"
    for call in calls:
        if call.method not in methods:
            yield f"{CALLS}:{call.line}: there is no {call.method}"


def error_faults(elements: Iterable[Element], reasons: Dict[str, Reason],
                 rows: Iterable[Tuple[str, List[str], str]]) -> Iterator[str]:
    told: Dict[str, Set[str]] = {}
    for code, names, _ in rows:
        for name in names:
            told.setdefault(name, set()).add(code)
    for name, reason in sorted(reasons.items()):
        for code in sorted(reason.codes - told.get(name, set())):
            yield f"README.md: the table of errors lacks {code} / {name}, which kv/errors.cc has"
    for name, codes in sorted(told.items()):
        for code in sorted(codes - (reasons[name].codes if name in reasons else set())):
            yield f"README.md: the table of errors has {code} / {name}, which kv/errors.cc lacks"
    for element in elements:
        for comment in element.comments.values():
            for code, name in NAMED_ERROR.findall(" ".join(comment.split())):
                if name not in reasons or code not in reasons[name].codes:
                    yield f"proto/{element.file}: {element.name} names {code} / {name}, which kv/errors.cc lacks"


def http_faults(told: Dict[str, str], sources: Iterable[str], reasons: Dict[str, Reason]) -> Iterator[str]:
    made: Dict[str, Set[str]] = {}
    for source in sources:
        for status, reason in HTTP_REFUSAL.findall(source):
            made.setdefault(reason, set()).add(status)
    for name, statuses in sorted(made.items()):
        if name not in reasons and told.get(name) not in statuses:
            yield f"README.md: \"HTTP's own reasons\" lacks `{name}` {' '.join(statuses)}, which server/http has"
    for name in sorted(set(told) - set(made)):
        yield f"README.md: \"HTTP's own reasons\" has `{name}`, which server/http lacks"


# ---- What is written.

def prose(comment: str) -> str:
    return KEPT_NUMBER.sub("", " ".join(comment.split())).strip()


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


class Page:
    """Confined to one run: what docs/API.md is made of."""

    def __init__(self, elements: List[Element], calls: List[Call]):
        self._elements = {element.name: element for element in elements}
        self._calls = calls
        # Message -> how many RPCs ask or answer with it; what one alone does is shown there.
        self._users = collections.Counter(
            self._plain(type_name) for service in self._services() for rpc in service.proto.method
            for type_name in (rpc.input_type, rpc.output_type))

    def contents(self) -> str:
        lines = []
        for element in self._services():
            rpcs = ", ".join(f"[{rpc.name}](#{anchor(f'{element.name}.{rpc.name}')})" for rpc in element.proto.method)
            lines.append(f"- [{element.name}](#{anchor(element.name)}): {rpcs}")
        lines.append("- [Shared messages](#shared-messages), [Errors](#errors)")
        return "\n".join(lines)

    def _services(self) -> List[Element]:
        return [element for element in self._elements.values() if element.kind == "service"]

    def services(self) -> str:
        parts = []
        for element in self._services():
            parts.append(f"## {element.name}\n\n{prose(element.comments[()])}")
            for index, rpc in enumerate(element.proto.method):
                parts.append(self._rpc(element, rpc, element.comments[(2, index)]))
        return "\n\n".join(parts)

    def _rpc(self, service: Element, rpc: Any, comment: str) -> str:
        name = f"{service.name}.{rpc.name}"
        parts = [f"### {name}", prose(comment)]
        request, response = (self._plain(rpc.input_type), self._plain(rpc.output_type))
        parts.append("`rpc {}({}{}) returns ({}{})`".format(
            rpc.name, "stream " if rpc.client_streaming else "", request,
            "stream " if rpc.server_streaming else "", response))
        for call in self._calls:
            if call.method == f"{service.name}/{rpc.name}":
                parts.append(f"```sh\n{command_line(call)}\n```\n```json\n{call.answer_text}\n```")
        for type_name in (request, response):
            if self._users[type_name] == 1:
                parts.append(self._message(self._elements[type_name], "####"))
            else:
                parts.append(f"[{type_name}](#{anchor(type_name)}) is below.")
        return "\n\n".join(parts)

    def shared(self) -> str:
        """What stands at no RPC: it is of several, or within another message."""
        parts = []
        for element in self._elements.values():
            if element.kind == "service" or self._users[element.name] == 1:
                continue
            parts.append(self._message(element, "###") if element.kind == "message" else self._enum(element))
        return "\n\n".join(parts)

    def _message(self, element: Element, level: str) -> str:
        lines = [f"{level} {element.name}", "", prose(element.comments[()])]
        if element.proto.field:
            lines += ["", "| no. | field | type | meaning |", "|---|---|---|---|"]
        told: Set[int] = set()
        for index, field in enumerate(element.proto.field):
            choice = field.HasField("oneof_index") and not field.proto3_optional
            if choice and field.oneof_index not in told:
                told.add(field.oneof_index)
                oneof = element.proto.oneof_decl[field.oneof_index]
                lines.append(f"| | one of `{oneof.name}` | | {cell(prose(element.comments[(8, field.oneof_index)]))} |")
            lines.append("| {} | {}`{}` | {} | {} |".format(
                field.number, "- " if choice else "", field.name, self._type(field),
                cell(prose(element.comments[(2, index)]))))
        return "\n".join(lines)

    def _enum(self, element: Element) -> str:
        lines = [f"### {element.name}", "", prose(element.comments[()]), "",
                 "| no. | value | meaning |", "|---|---|---|"]
        for index, value in enumerate(element.proto.value):
            lines.append(f"| {value.number} | `{value.name}` | {cell(prose(element.comments[(2, index)]))} |")
        return "\n".join(lines)

    def _plain(self, type_name: str) -> str:
        return type_name.lstrip(".").removeprefix(f"{PACKAGE}.")

    def _type(self, field: Any) -> str:
        if field.type_name:
            name = self._plain(field.type_name)
            text = f"[{name}](#{anchor(name)})" if name in self._elements else name
        else:
            text = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        if field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED:
            return f"repeated {text}"
        return f"optional {text}" if field.proto3_optional else text


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def command_line(call: Call) -> str:
    options = f"{call.options} " if call.options else ""
    return f"grpcurl -plaintext {options}-d '{call.request}' localhost:2379 {PACKAGE}.{call.method}"


def errors_section(rows: Iterable[Tuple[str, List[str], str]], reasons: Dict[str, Reason],
                   http: Dict[str, str]) -> str:
    lines = ["| code | reason | meaning | metadata |", "|---|---|---|---|"]
    for code, names, meaning in rows:
        metadata = []
        for name in names:
            keys = ", ".join(f"`{key}`" for key in sorted(reasons[name].metadata))
            if keys:
                metadata.append(f"{name}: {keys}" if len(names) > 1 else keys)
        shown = ", ".join(f"`{name}`" + ("*" if code in reasons[name].retried else "") for name in names) or "none"
        lines.append(f"| {code} | {shown} | {meaning} | {'; '.join(metadata)} |")
    own = ", ".join(f"`{name}` ({status})" for name, status in http.items())
    return "\n".join(lines) + "\n\n" + f"HTTP alone has besides, with its status: {own}."


def build(root: pathlib.Path) -> str:
    """The page. Fault when something is missing, with all that is."""
    def text(path: str) -> str:
        return (root / path).read_text(encoding="utf-8")

    elements = elements_of(read_descriptors(root))
    calls = read_calls(text(CALLS))
    readme = text("README.md")
    reasons = read_reasons(text("kv/errors.cc"))
    rows = read_error_rows(readme)
    http = read_http_reasons(readme)
    http_sources = [path.read_text(encoding="utf-8") for path in sorted((root / "server/http").glob("*.cc"))]
    faults = [*missing_comments(elements), *call_faults(elements, calls), *error_faults(elements, reasons, rows),
              *http_faults(http, http_sources, reasons)]
    if faults:
        raise Fault("\n".join(faults))
    page = Page(elements, calls)
    parts = ["<!-- Made by scripts/api_doc.py from proto/raftkv/v1, docs/api and README.md: change those. -->",
             text(INTRODUCTION).strip(), page.contents(), page.services(), "## Shared messages", page.shared(),
             "## Errors",
             "The code is gRPC's; reason and metadata are those of the `google.rpc.ErrorInfo` (domain `raftkv`) in the "
             "details. Reasons with a * come with a `google.rpc.RetryInfo`: wait that long, then try again.",
             errors_section(rows, reasons, http)]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    arguments = sys.argv[1:]
    if arguments not in ([], ["--check"]):
        print(f"api_doc: unknown arguments {' '.join(arguments)}; allowed: --check", file=sys.stderr)
        return 1
    try:
        page = build(ROOT)
    except Fault as fault:
        for line in str(fault).splitlines():
            print(f"api_doc: {line}", file=sys.stderr)
        return 1
    path = ROOT / PAGE
    if not arguments:
        path.write_text(page, encoding="utf-8")
        return 0
    if not path.exists() or path.read_text(encoding="utf-8") != page:
        print(f"api_doc: {PAGE} is not what proto/, docs/api and README.md make; run scripts/api_doc.py",
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
