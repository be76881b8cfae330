"""Reads tests/mutants/list.txt, whose head says how it is written."""

import pathlib
import re
from typing import List, NamedTuple

LIST = "tests/mutants/list.txt"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

ROW = re.compile(r"(\d+) (k\w+), row (\d+): (\S.*)")
EDIT = re.compile(r" {4}(\S+\.cc):(?: (\S.*))?")
MORE_CODE = re.compile(r" {6,}(\S.*)")
MARKED = re.compile(r"([^@]*)@(?:([^@]*?) )?=>(?: ([^@]*))?@([^@]*)")


class Edit(NamedTuple):
    line: int  # Of the list.
    file: str
    code: str  # As it is listed, on one line.
    before: str  # The code around what is changed shows the place.
    original: str
    mutated: str
    after: str

    @property
    def is_statement(self) -> bool:
        """Whether the original or, where nothing was, the mutated text is statements. Else it is an expression."""
        return (self.original or self.mutated).endswith((";", "}"))


class Mutant(NamedTuple):
    line: int  # Of the list.
    number: int
    name: str
    row: int  # Of the bug list that the mutants are taken from.
    breaks: str
    edits: List[Edit]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class Problem(NamedTuple):
    line: int  # Of the list.
    message: str

    def __str__(self) -> str:
        return f"{LIST}:{self.line}: {self.message}"


class ListError(ValueError):
    def __init__(self, problems: List[Problem]):
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read_edit(line: int, file: str, code: str) -> Edit:
    match = MARKED.fullmatch(code)
    if match is None:
        raise ListError([Problem(line, f"needs one @original => mutated@ in its code: {code}")])
    edit = Edit(line, file, code, *((part or "").strip() for part in match.groups()))
    if not edit.original and not edit.mutated:
        raise ListError([Problem(line, "changes nothing into nothing")])
    if not edit.original and not edit.is_statement:
        raise ListError([Problem(line, f"what is put where nothing was must be statements: {edit.mutated}")])
    if edit.original and edit.is_statement and edit.mutated and not edit.mutated.endswith((";", "}")):
        raise ListError([Problem(line, f"the original is statements, so this must be some, too: {edit.mutated}")])
    if edit.original and not edit.is_statement and (not edit.mutated or edit.mutated.endswith(";")):
        raise ListError([Problem(line, f"the original is an expression, so this must be one: {edit.mutated}")])
    return edit


def read_list(text: str) -> List[Mutant]:
    """All mutants. Raises ListError for the first line that is none of what the list's head allows."""
    mutants: List[Mutant] = []
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1)
             if line.strip() and not line.startswith("#")]
    while lines:
        number, line = lines.pop(0)
        row, edit = ROW.fullmatch(line), EDIT.fullmatch(line)
        if row:
            mutant = Mutant(number, int(row.group(1)), row.group(2), int(row.group(3)), row.group(4), [])
            if mutant.number == 0 or any(mutant.number == other.number or mutant.name == other.name
                                         for other in mutants):
                raise ListError([Problem(number, f"{mutant} comes twice, or is number 0")])
            mutants.append(mutant)
        elif edit and mutants:
            code = [edit.group(2) or ""]
            while lines and (more := MORE_CODE.fullmatch(lines[0][1])):
                code.append(more.group(1))
                lines.pop(0)
            mutants[-1].edits.append(read_edit(number, edit.group(1), " ".join(code).strip()))
        else:
            raise ListError([Problem(number, f"neither a mutant nor code: {line}")])
    for mutant in mutants:
        if not mutant.edits:
            raise ListError([Problem(mutant.line, f"{mutant} changes nothing")])
    return mutants
