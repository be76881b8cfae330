"""Reads tests/mutants/list.inc, and finds where the code uses what it lists."""

import pathlib
import re
from typing import Dict, List, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIST = ROOT / "tests/mutants/list.inc"
PRODUCT_FOLDERS = ("base", "raft", "kv", "storage", "server", "client")

ROW = re.compile(r'^MUTANT\((\d+), (k\w+), (\d+), "(.*)"\)$')
USE = re.compile(r"\bRAFTKV_MUTANT\((k\w+)\)")


class Mutant(NamedTuple):
    number: int
    name: str
    row: int  # Of the bug list that the mutants are taken from.
    breaks: str


def read_list(text: str) -> List[Mutant]:
    """All mutants; raises ValueError for a line that is neither one nor a comment, and for one that comes twice."""
    mutants: List[Mutant] = []
    for line in text.splitlines():
        if not line or line.startswith("//"):
            continue
        match = ROW.match(line)
        if match is None:
            raise ValueError(f"not a mutant: {line}")
        mutant = Mutant(int(match.group(1)), match.group(2), int(match.group(3)), match.group(4))
        if mutant.number == 0 or any(mutant.number == other.number or mutant.name == other.name for other in mutants):
            raise ValueError(f"comes twice, or is number 0: {line}")
        mutants.append(mutant)
    return mutants


def find_uses(root: pathlib.Path) -> Dict[str, List[str]]:
    """Mutant name -> the places `path:line` of the product code that ask for it."""
    uses: Dict[str, List[str]] = {}
    for folder in PRODUCT_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                for name in USE.findall(line.split("//", 1)[0]):
                    uses.setdefault(name, []).append(f"{path.relative_to(root)}:{number}")
    return uses
