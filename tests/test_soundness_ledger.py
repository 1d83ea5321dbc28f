"""The Rust ledger and the independent recomputation agree, and the recomputation can disagree."""

import base64
import copy
import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def _run_ledger(examples: Path, plan: Path) -> dict:
    command = [str(examples / "run_ledger"), str(plan)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def run(examples: Path, small) -> dict:
    return _run_ledger(examples, small.plan / "plan" / "plan.json")


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


ALL_SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

#: Other specs than the small job's: what is changed in it, and terms of the ledger that must move with it.
SPECS: dict[str, tuple[Callable[[dict[str, Any]], object], set[str]]] = {
    "SGD": (
        lambda spec: spec["training"].update(optimizer="sgd"),
        {"lookup alpha", "lookup beta", "equation delta", "joint gamma"},
    ),
    "all seven targets": (
        lambda spec: spec["lora"].update(targets=ALL_SEVEN),
        {"lookup alpha", "equation delta", "products of pads", "joint gamma", "settlement challenge"},
    ),
    "rows of a step": (
        lambda spec: spec["training"].update(rows=4),
        {"equation rho", "equation sumcheck", "one-hot sumcheck"},
    ),
    "tokens": (lambda spec: spec["training"].update(tokens=64), {"lookup alpha", "equation sumcheck"}),
    "steps": (lambda spec: spec["training"].update(steps=50), {"settlement challenge"}),
    "range bits": (lambda spec: spec.update(range_bits=18), {"lookup alpha", "lookup beta", "joint gamma"}),
    "rows of a matrix": (
        lambda spec: spec.update(log_rows=spec["log_rows"] + 1),
        {"level 0 proximity", "cover proximity", "level 1 proximity"},
    ),
    "public loss": (lambda spec: spec["disclose"].update(loss="public"), {"joint gamma"}),
}


@pytest.fixture(scope="module")
def others(examples: Path, small, tmp_path_factory) -> dict[str, dict]:
    """The Rust ledgers of the other specs."""
    plan, folder = json.loads((small.plan / "plan" / "plan.json").read_bytes()), tmp_path_factory.mktemp("specs")
    printed = {}
    for name, (change, _) in SPECS.items():
        changed = copy.deepcopy(plan)
        change(changed["spec"])
        path = folder / f"{name}.json"
        path.write_text(json.dumps(changed))
        printed[name] = _run_ledger(examples, path)
    return printed


def _terms(printed: dict) -> dict[str, int]:
    return {entry["source"]: entry["millibits"] for entry in printed["ledger"]["entries"]}


@pytest.mark.parametrize("name", SPECS)
def test_both_programs_agree_on_another_spec_and_both_see_it(name, run, others):
    """Term by term; the Rust ledger is another, not only what it is printed with."""
    assert recheck.differences(others[name]) == []
    before, after = _terms(run), _terms(others[name])
    moved = {source for source in before | after if before.get(source) != after.get(source)}
    assert SPECS[name][1] <= moved


#: Counts that no spec here moves: they follow from the form of a step and from the protocol.
FIXED = {"widest_table", "least_log_leaves", "most_factors", "one_hot_claims", "one_hot_degree"}


def test_the_specs_move_every_other_count(run, others):
    counts = run["argument"]
    moved = {name for name in counts if any(other["argument"][name] != counts[name] for other in others.values())}
    assert moved == set(counts) - FIXED


#: Of the counts, this alone decides no term by itself.
IN_NO_TERM = {"least_log_leaves"}


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
