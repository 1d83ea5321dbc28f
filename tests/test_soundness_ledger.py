"""The Rust ledger and the independent recomputation agree, and the recomputation can disagree."""

import base64
import copy
import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _recheck():
    path = ROOT / "scripts" / "soundness_recheck.py"
    spec = importlib.util.spec_from_file_location("soundness_recheck", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recheck = _recheck()


def _printed(examples: Path, *arguments: int) -> dict:
    command = [str(examples / "ledger"), *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(output.stdout)


@pytest.fixture(scope="module")
def standard(examples: Path) -> dict:
    return _printed(examples, 18, 4, 6)


@pytest.mark.parametrize("arguments", [(18, 4, 6, 1), (18, 4, 6, 2), (16, 16, 10, 1), (14, 1, 0, 1), (10, 1, 3, 1)])
def test_the_recomputation_agrees(examples, arguments):
    assert recheck.differences(_printed(examples, *arguments)) == []


def test_the_total_reaches_the_target(standard):
    assert standard["ledger"]["total_millibits"] >= 128_000


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(queries=p["queries"] - 1),
        lambda p: p["levels"][0].update(queries=100),
        lambda p: p["levels"][1].update(log_inverse_rate=3),
        lambda p: p["ledger"].update(total_millibits=p["ledger"]["total_millibits"] + 5),
        lambda p: p["ledger"].update(max_proofs=2000),
        lambda p: p["ledger"]["entries"][0].update(millibits=192_000),
        lambda p: p["ledger"]["entries"].pop(),
        lambda p: p.update(num_trees=p["num_trees"] + 4),
    ],
)
def test_a_changed_ledger_is_found(standard, change):
    changed = copy.deepcopy(standard)
    change(changed)
    assert recheck.differences(changed) != []


@pytest.fixture(scope="module")
def run(examples: Path, small) -> dict:
    command = [str(examples / "run_ledger"), str(small.folder / "job" / "plan" / "plan.json")]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_ledger_of_a_certificate_is_recomputed(run, small):
    assert recheck.differences(run) == []
    index = json.loads((small.folder / "run-adapter" / "veritune" / "claims.sigstore.json").read_text("utf-8"))
    statement = json.loads(base64.b64decode(index["dsseEnvelope"]["payload"]))
    certificate = statement["predicate"]["ledger"]
    printed = [(entry["source"], entry["millibits"] // 1000) for entry in run["ledger"]["entries"]]
    rows = [(row["source"], row["bits"]) for row in certificate["rows"]]
    assert rows[: len(printed)] == printed
    assert certificate["totalBits"] == run["ledger"]["total_millibits"] // 1000 >= 128
    assert all(row["assumption"].split(":")[0] in {"proved", "conjectured", "heuristic"} for row in certificate["rows"])


#: Of the counts, these alone decide no term by themselves.
IN_NO_TERM = {"least_log_leaves", "multiplied_scalars"}


def test_every_parameter_of_a_run_changes_its_ledger(run):
    """By as much as its kind can change: a count by half of itself, a list by one more entry."""
    for name, value in run["argument"].items():
        if name in IN_NO_TERM:
            continue
        changed = copy.deepcopy(run)
        changed["argument"][name] = [*value, max(value)] if isinstance(value, list) else 2 * value + 2
        assert recheck.differences(changed) != [], name
    for name in ("log_rows", "log_inverse_rate", "queries", "num_trees", "max_log_columns"):
        changed = copy.deepcopy(run)
        changed[name] += 1
        try:
            assert recheck.differences(changed) != [], name
        except AssertionError as error:
            # Rows that do not fold into the levels are refused before any term is compared.
            assert "levels do not follow" in str(error), name
