"""The table of codes in docs/guide/errors.md, made from the sources; `--write` writes it, else it is compared.

A code stands in the source in one of four ways: a member of `veritune.errors.Code`, a row of a `codes!` table, an arm
`=> "VT-…"` of `ModelError::code` (its meaning stands in docs/spec/base-model.md), or an identifier that begins the text
of an error (`CheckId`, `ArgumentError`, `ProofError`, `RowsRefused`). A code anywhere else is an error of this script.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

from veritune.errors import Code

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guide" / "errors.md"
BEGIN, END = "<!-- codes: scripts/error_page.py -->\n", "<!-- end of codes -->\n"
CODE = re.compile(r"VT-[A-Z]+-[0-9]{3}")
ROW = re.compile(r'([A-Z_0-9]+) = "(VT-[A-Z]+-[0-9]{3})", (\w+), "([^"]+)";')
EXITS = {"Refuted": "1", "Unusable": "2", "Inconclusive": "3", "Internal": "4"}
FAMILIES = {
    "JOB": "planning, training, proving (core)",
    "MODEL": "reading a checkpoint",
    "ENV": "files of a certificate",
    "RUN": "what a certificate claims",
    "PROOF": "form of a proof",
    "ROWS": "the paths of a step's rows",
    "ARG": "the argument of a proof",
}
NESTED = {
    "VT-PROOF-001": "a proof ends inside its fixed part",
    "VT-PROOF-002": "a program weighs a place that its statement does not have",
    "VT-PROOF-003": "a step is none of the run's, or the first does not start from the public first state",
    "VT-PROOF-004": "a settlement is of another base than the run's",
    "VT-ROWS-001": "the paths of a step's rows have another length than the statement fixes",
    "VT-ROWS-002": "a word in the path of a row is not below the field's order",
    "VT-ROWS-003": "the path of a row does not lead to the dataset's root",
    "VT-ARG-001": "the fractions of all lookups and tables do not sum to zero",
    "VT-ARG-002": "a layer of the lookups contradicts the layer below it",
    "VT-ARG-003": "the equations of the program do not hold",
    "VT-ARG-004": "a one-hot vector is not that of its bits",
    "VT-ARG-005": "a product that is sent is not the product of its factors",
    "VT-ARG-006": "the committed products of pads are not their products, or the point of their check is a node",
    "VT-ARG-007": "a public output is not the value of its tensor",
    "VT-ARG-010": "an argument has another length than its program fixes",
    "VT-ARG-011": "bytes of an argument are no field element",
    "VT-ARG-012": "an argument ends inside a message",
    "VT-ARG-020": "a program is outside what the argument supports",
}
"""Codes that stand inside the text of VT-RUN-006 and its neighbours; the exit is that of the outer code."""


def codes() -> dict[str, tuple[str, str]]:
    """Every code with its exit and its meaning."""
    found: dict[str, tuple[str, str]] = {}
    names: dict[str, str] = {}

    def add(code: str, exit_code: str, meaning: str) -> None:
        if found.setdefault(code, (exit_code, meaning)) != (exit_code, meaning):
            raise SystemExit(f"{code} has two meanings or two exits")

    for code, exit_code, meaning in _python_rows():
        add(code, exit_code, meaning)
    for path in sources("crates", ".rs"):
        for name, code, verdict, meaning in ROW.findall(program(path)):
            add(code, EXITS[verdict], meaning)
            names[code] = name
    rust = "\n".join(program(path) for path in sources("crates", ".rs"))
    unused = [code for code, name in names.items() if len(re.findall(rf"\b{name}\b", rust)) < 2]
    if unused:
        raise SystemExit(f"codes that no check uses: {unused}")
    for line in (ROOT / "docs" / "spec" / "base-model.md").read_text("utf-8").splitlines():
        if line.startswith("| VT-MODEL-"):
            _, code, meaning, _ = (cell.strip() for cell in line.split("|"))
            add(code, "2", meaning)
    for code, meaning in NESTED.items():
        add(code, "1", meaning)
    return dict(sorted(found.items(), key=lambda item: (_family(item[0]), item[0])))


def _python_rows() -> list[tuple[str, str, str]]:
    """Codes of Python: the exit is that of the exception classes with which the code is raised."""
    kinds: dict[str, set[str]] = {}
    for path in sources("python", ".py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Attribute):
                first, function = node.args[0], node.func
                name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
                if isinstance(first.value, ast.Name) and first.value.id == "Code":
                    kinds.setdefault(first.attr, set()).add(name)
    exits = {
        "InvalidInput": "2",
        "RowError": "2",
        "VerificationFailed": "1",
        "InternalError": "4",
        "VerituneError": "4",
    }
    exits["error"] = "2"  # the reader of recipes makes InvalidInput
    rows = []
    for code in Code:
        used = sorted({exits[kind] for kind in kinds.get(code.name, set()) if kind in exits})
        if not used:
            raise SystemExit(f"{code.id} is never raised")
        rows.append((code.id, ", ".join(used), code.meaning))
    return rows


def _family(code: str) -> int:
    family = code.split("-")[1]
    return 1 + list(FAMILIES).index(family) if family in FAMILIES else 0


def sources(folder: str, ending: str) -> list[Path]:
    """The program's source files: no tests, examples or attacks."""
    found = (ROOT / folder).rglob(f"*{ending}")
    skipped = {"tests", "examples", "target"}
    return sorted(
        path
        for path in found
        if not skipped & set(path.relative_to(ROOT).parts)
        and "attacks" not in path.relative_to(ROOT).parts[:2]
        and not path.name.endswith("_tests.rs")
        and path.name != "tests.rs"
    )


def program(path: Path) -> str:
    """The text of a source file without comments, docstrings and tests."""
    text = path.read_text("utf-8")
    if path.suffix == ".rs":
        text = re.split(r"#\[cfg\(test\)\]\s*mod ", text)[0]
        return "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))
    docstrings = {
        node.body[0].value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    for docstring in docstrings:
        text = text.replace(str(docstring), "")
    return text


def emitted() -> set[str]:
    """Every code that stands in the program."""
    return {
        code
        for folder, ending in (("crates", ".rs"), ("python", ".py"))
        for path in sources(folder, ending)
        for code in CODE.findall(program(path))
    }


def table(listed: dict[str, tuple[str, str]]) -> str:
    """The page's table, by family."""
    lines = []
    family = None
    for code, (exit_code, meaning) in listed.items():
        name = FAMILIES.get(code.split("-")[1], "files, recipe, rows, keys (Python)")
        if name != family:
            family = name
            lines += ["", f"### {name[0].upper()}{name[1:]}", "", "| code | exit | meaning |", "|---|---|---|"]
        lines.append(f"| {code} | {exit_code} | {meaning} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compares or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table into the page")
    options = parser.parse_args()
    listed = codes()
    unlisted, dead = sorted(emitted() - set(listed)), sorted(set(listed) - emitted())
    if unlisted or dead:
        sys.exit(f"codes without a meaning: {unlisted}; meanings without a code in the program: {dead}")
    page = PAGE.read_text("utf-8")
    head, rest = page.split(BEGIN)
    made = head + BEGIN + table(listed) + "\n" + END + rest.split(END)[1]
    if options.write:
        PAGE.write_text(made, encoding="utf-8")
    elif made != page:
        sys.exit(f"{PAGE} is not the page of the sources: run scripts/error_page.py --write")


if __name__ == "__main__":
    main()
