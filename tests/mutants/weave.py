#!/usr/bin/env python3
"""Weaves the mutants of tests/mutants/list.txt into a copy of a source file. For the CMake preset `mutants`.

Usage: weave.py --files            prints the files that have mutants
       weave.py <file> <output>    weaves those of a file, given from the root; an output that is right is not touched

A line of the copy is the same line of the source, so that what a compiler says of one is easily found in the other.
"""

import itertools
import pathlib
import re
import sys
from typing import Dict, List, NamedTuple, Tuple

from mutant_list import LIST, ROOT, Edit, ListError, Mutant, Problem, read_list


class Change(NamedTuple):
    start: int  # Offsets into the source.
    end: int
    mutant: Mutant
    edit: Edit


def pattern_of(code: str) -> str:
    """What finds the code however its lines are broken."""
    tokens = re.findall(r"\w+|[^\w\s]", code)
    pattern = ""
    for previous, token in zip([""] + tokens, tokens):
        is_word = re.match(r"\w", token)
        if previous:
            pattern += r"\s+" if is_word and re.match(r"\w", previous) else r"\s*"
        pattern += rf"\b{token}\b" if is_word else re.escape(token)
    return pattern


def find(edit: Edit, source: str) -> List[Tuple[int, int]]:
    """Where the source holds what the edit changes, in the code that is around it."""
    before, original, after = map(pattern_of, (edit.before, edit.original, edit.after))
    if original:
        return [match.span(1) for match in re.finditer(rf"{before}\s*({original})\s*{after}", source)]
    # What is put where nothing was comes right before what follows: a comment may end what goes before.
    return [match.span(1) for match in re.finditer(rf"{before}\s*(){after}" if after else f"{before}()", source)]


def place(source: str, file: str, mutants: List[Mutant]) -> List[Change]:
    """All changes of a file in their order. Raises ListError for code that is not there once, and for overlaps."""
    changes: List[Change] = []
    problems: List[Problem] = []
    for mutant in mutants:
        for edit in mutant.edits:
            if edit.file != file:
                continue
            found = find(edit, source)
            if len(found) == 1:
                changes.append(Change(*found[0], mutant, edit))
                continue
            lines = ", ".join(str(source.count("\n", 0, start) + 1) for start, _ in found)
            times = f"{len(found)} times, in lines {lines}" if found else "nowhere: follow what became of it"
            problems.append(Problem(edit.line, f"mutant {mutant}: {file} must hold this once, "
                                               f"and holds it {times}: {edit.code}"))
    changes.sort(key=lambda change: (change.start, change.end))
    for first, second in zip(changes, changes[1:]):
        if first[:2] != second[:2] and second.start < first.end:
            problems.append(Problem(second.edit.line, f"mutant {second.mutant}: changes a part of what "
                                                      f"{first.mutant} changes: {second.edit.code}"))
    if problems:
        raise ListError(problems)
    return changes


def woven_change(original: str, changes: List[Change]) -> str:
    """What chooses at run time between the original and what each mutant makes of it."""
    ask = [(f"::raftkv::IsMutant({change.mutant.number})", change.edit.mutated) for change in changes]
    if changes[0].edit.is_statement:
        chosen = " else ".join(f"if ({asked}) {{ {mutated} }}" for asked, mutated in ask)
        return f"{chosen} else {{ {original} }}" if original else f"{chosen} "
    return "(" + "".join(f"{asked} ? ({mutated}) : " for asked, mutated in ask) + f"({original}))"


def weave(source: str, file: str, mutants: List[Mutant]) -> str:
    woven = ""
    end = 0
    for span, group in itertools.groupby(place(source, file, mutants), key=lambda change: change[:2]):
        woven += source[end:span[0]] + woven_change(source[span[0]:span[1]], list(group))
        end = span[1]
    return woven + source[end:]


def find_problems(list_text: str, sources: Dict[str, str]) -> List[Problem]:
    """All that keeps the list from being woven into the sources, whose texts are given by their paths."""
    problems: List[Problem] = []
    try:
        mutants = read_list(list_text)
    except ListError as error:
        return error.problems
    edits = [edit for mutant in mutants for edit in mutant.edits]
    for file in sorted({edit.file for edit in edits}):
        if file not in sources:
            problems += [Problem(edit.line, f"there is no {file}") for edit in edits if edit.file == file]
            continue
        try:
            place(sources[file], file, mutants)
        except ListError as error:
            problems += error.problems
    return sorted(problems)


def write_if_changed(output: pathlib.Path, text: str) -> None:
    if output.exists() and output.read_text(encoding="utf-8") == text:
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")


def main() -> int:
    try:
        mutants = read_list((ROOT / LIST).read_text(encoding="utf-8"))
        if sys.argv[1:] == ["--files"]:
            print("\n".join(sorted({edit.file for mutant in mutants for edit in mutant.edits})))
            return 0
        file, output = sys.argv[1:]
        write_if_changed(pathlib.Path(output), weave((ROOT / file).read_text(encoding="utf-8"), file, mutants))
    except ListError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
