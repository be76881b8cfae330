#!/usr/bin/env python3
"""Holds the pages for people true where a script can: links, files that they name, warnings that they explain."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED_FOLDERS = {".git", "build"}

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# In backticks: what can only be a path of this tree.
NAMED = re.compile(r"`((?:base|client|config|docker|docs|findings|kv|packaging|proto|raft|scripts|server|storage|tests)"
                   r"/[\w./*-]*)`")
# A header or a source may be named without its suffix.
SUFFIXES = ["", ".h", ".cc", ".sh", ".py", ".proto"]
# A file of code, with or without its folder; and what is said to be in it, right behind it or before it.
CODE_FOLDERS = ["base", "client", "kv", "raft", "server", "storage", "tests"]
CODE_FILE = r"`([\w./-]+\.(?:cc|h))`"
CODE_NAME = r"`[\w:]+`"
FILE_THEN_NAMES = re.compile(rf"{CODE_FILE}(?::| \() ?({CODE_NAME}(?:, {CODE_NAME})*)")
NAME_THEN_FILE = re.compile(rf"({CODE_NAME}) (?:in |\(){CODE_FILE}")

# What may warn, in any of these folders, and where its words come from.
WARNING_FOLDERS = ["kv", "raft", "server", "storage"]
WARNS = re.compile(r"^\S.*\b(\w+::Warnings?)\(", re.MULTILINE)
WORDED_BY = {
    "ClusterService::Warnings": [], "Parts::Warnings": [], "TlsPorts::Warnings": [],
    "PeerWing::Warnings": ["Joining::Describe", "Founding::Describe"], "QuorumWatch::Warning": [],
    "PortTls::Warnings": ["PortTls::AgeText"],
}
LITERALS = re.compile(r'(?:"(?:[^"\\]|\\.)*"\s*)+')


def pages():
    return sorted(path for path in ROOT.rglob("*.md")
                  if not SKIPPED_FOLDERS.intersection(path.relative_to(ROOT).parts))


def anchors(text):
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def body_of(function, sources):
    for text in sources:
        if f"{function}(" not in text:
            continue
        match = re.search(rf"^\S.*\b{function}\([^;{{]*\{{\n(.*?)^\}}", text, re.MULTILINE | re.DOTALL)
        if match:
            return match.group(1)
    raise AssertionError(f"nobody defines {function}")


def phrases(body):
    """The texts of a function's literals, those of three words and more."""
    for literals in LITERALS.findall(body):
        text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)).strip(" :;,(")
        if len(text.split()) >= 3:
            yield text


class PagesTest(unittest.TestCase):
    def test_links_lead_somewhere(self):
        self.assertGreater(len(pages()), 40)
        broken = []
        for page in pages():
            text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
            for link in LINK.findall(text):
                if re.match(r"\w+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                    broken.append(f"{page.relative_to(ROOT)}: {link}")
        self.assertEqual([], broken)

    def test_files_that_are_named_are_there(self):
        missing = []
        for page in pages():
            for name in NAMED.findall(page.read_text(encoding="utf-8")):
                # A decision says what was so when it was taken.
                if page.parent.name == "adr" or "NNNN" in name:
                    continue
                if not any(list(ROOT.glob(name.rstrip("/") + suffix)) for suffix in SUFFIXES):
                    missing.append(f"{page.relative_to(ROOT)}: {name}")
        self.assertEqual([], missing)

    def test_code_is_where_they_say(self):
        code = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
                for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".cc", ".h")}
        found = 0
        wrong = []
        for page in pages():
            if page.parent.name == "adr" or page.is_relative_to(ROOT / "findings"):
                continue
            text = " ".join(page.read_text(encoding="utf-8").split())
            said = [(name, "") for name in re.findall(CODE_FILE, text)]
            said += FILE_THEN_NAMES.findall(text)
            said += [(name, words) for words, name in NAME_THEN_FILE.findall(text)]
            for name, words in said:
                files = [path for path in code if f"/{path}".endswith(f"/{name}")]
                if not files:
                    wrong.append(f"{page.relative_to(ROOT)}: {name}")
                for word in re.findall(r"(\w+)`", words):
                    found += 1
                    if not any(re.search(rf"\b{word}\b", code[path]) for path in files):
                        wrong.append(f"{page.relative_to(ROOT)}: {word} in {name}")
        self.assertEqual([], wrong)
        self.assertGreater(found, 10)

    def test_decisions_have_numbers_of_their_own(self):
        numbers = [path.name[:4] for path in (ROOT / "docs/adr").glob("*.md")]
        self.assertEqual(len(numbers), len(set(numbers)))


class WarningsTest(unittest.TestCase):
    def setUp(self):
        self.sources = [path.read_text(encoding="utf-8")
                        for folder in WARNING_FOLDERS for path in sorted((ROOT / folder).rglob("*.cc"))]

    def test_who_warns_is_known_here(self):
        self.assertEqual(set(WORDED_BY), {name for text in self.sources if "::Warning" in text
                                          for name in WARNS.findall(text)})

    def test_operators_are_told_of_each(self):
        page = " ".join((ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8").split())
        found = [phrase for who, others in WORDED_BY.items() for function in [who, *others]
                 for phrase in phrases(body_of(function, self.sources))]
        self.assertGreater(len(found), 9)
        self.assertEqual([], [phrase for phrase in found if phrase not in page])


if __name__ == "__main__":
    unittest.main()
