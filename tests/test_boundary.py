"""What must agree: the stub and the module, the error table and the program, the versions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import veritune
from veritune import _core, core
from veritune.errors import (
    Code,
    InternalError,
    InvalidInput,
    PolicyRejected,
    TrustError,
    VerificationFailed,
    VerituneError,
    from_core,
)

ROOT = Path(__file__).resolve().parent.parent


def _stub() -> dict[str, list[str]]:
    """Functions and classes of the stub: name and argument names."""
    tree = ast.parse((ROOT / "python" / "veritune" / "_core.pyi").read_text("utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = [argument.arg for argument in node.args.args]
        elif isinstance(node, ast.ClassDef):
            found[node.name] = []
    return found


def test_every_name_of_the_module_is_in_the_stub() -> None:
    names = {name for name in dir(_core) if not name.startswith("_")}
    assert names <= set(_stub())
    assert {"CoreError", "core_version"} <= names


def test_every_function_of_the_stub_has_its_caller() -> None:
    for name in set(_stub()) - {"CoreError"}:
        assert callable(getattr(core, name)), name


def test_versions_agree() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))
    version = cargo["workspace"]["package"]["version"]
    assert _core.core_version() == veritune.__version__ == version


def test_the_guide_lists_every_code_and_nothing_else() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "error_page.py")]
    compared = subprocess.run(script, capture_output=True, text=True, check=False)
    assert compared.returncode == 0, compared.stderr
    assert len({code.id for code in Code}) == len(Code)


def listed_codes() -> set[str]:
    page = (ROOT / "docs" / "guide" / "errors.md").read_text("utf-8")
    return set(re.findall(r"^\| (VT-[A-Z]+-[0-9]{3}) \|", page, re.MULTILINE))


def test_the_package_imports_what_it_depends_on_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    modules = {re.split(r"[><=\[]", needed)[0].replace("pyyaml", "yaml") for needed in project["dependencies"]}
    imported = set()
    for path in (ROOT / "python" / "veritune").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names - {"veritune"} == modules


@pytest.mark.parametrize("arguments", [(), (lambda *_: None,)], ids=["caller's thread", "worker's thread"])
def test_a_panic_of_the_core_is_an_error_of_exit_4_that_tells_its_place_only(
    arguments: tuple[object, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(_core.CoreError) as caught:
        _core._stop(*arguments)
    code, message, location, exit_code = caught.value.args
    assert exit_code == 4
    assert type(from_core(code, message, location, exit_code)) is InternalError
    assert re.fullmatch(r"crates/py/src/work\.rs:\d+:\d+", location)
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
    assert "nobody is told" not in message
    # The core goes on working.
    assert _core.core_version() == veritune.__version__


@pytest.mark.parametrize(
    ("code", "exit_code", "kind"),
    [
        ("VT-RUN-006", 1, VerificationFailed),
        ("VT-ENV-060", 2, InvalidInput),
        ("VT-ENV-065", 3, PolicyRejected),
        ("VT-ENV-041", 3, TrustError),
        ("VT-RUN-016", 4, InternalError),
    ],
)
def test_errors_of_the_core_become_python_exceptions(
    code: str, exit_code: int, kind: type[VerituneError], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code in listed_codes(), "a code that nothing raises"

    def failing(*_: object) -> str:
        raise _core.CoreError(code, "message", "location", exit_code)

    monkeypatch.setattr(_core, "generate_key", failing, raising=False)
    with pytest.raises(kind) as caught:
        core.generate_key()
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.location) == (code, "location")
    assert caught.value.exit == exit_code
    assert type(from_core(code, "", "", exit_code)) is kind
