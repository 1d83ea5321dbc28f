"""The one door to the Rust core: JSON in, JSON out, its errors as Python exceptions.

Every function here has the contract of its namesake in ``_core.pyi``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veritune.errors import Code, InternalError, from_core
from veritune.files import canonical_json, parse_json

if TYPE_CHECKING:
    from veritune.rows import Rows

Progress = Callable[[int, int, float], None]
"""(done, total, value): value is the loss in nats while training, else 0.0."""


CALIBRATION_STEPS = 12
"""Steps of a calibration, where nobody asks for another number."""


def ignore_progress(_done: int, _total: int, _value: float) -> None:
    """Reports to nobody."""


def _call(name: str, *arguments: Any) -> Any:
    try:
        from veritune import _core
    except ImportError as error:
        raise InternalError(
            Code.CORE_MISSING, f"the Rust core does not load: {error}", remedy="run make setup"
        ) from error
    function = getattr(_core, name, None)
    if function is None:
        raise InternalError(Code.CORE_MISSING, f"this build of the core has no {name}()", remedy="run make setup")
    try:
        return function(*arguments)
    except _core.CoreError as error:
        raise from_core(*error.args) from error


def _json(name: str, *arguments: Any) -> dict[str, Any]:
    answer = _call(name, *arguments)
    try:
        value = parse_json(answer)
    except (TypeError, ValueError, AttributeError) as error:
        raise InternalError(Code.CORE_ANSWER, f"{name}() returned no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InternalError(Code.CORE_ANSWER, f"{name}() returned no JSON object")
    return value


def _text(value: dict[str, Any]) -> str:
    return canonical_json(value).decode("utf-8")


def _arrays(rows: Rows) -> tuple[Any, Any, bytes]:
    return rows.tokens, rows.targets, rows.meta.tobytes()


def core_version() -> str:
    """Returns the version of the core."""
    return str(_call("core_version"))


def calibrate(
    model_dir: Path, settings: dict[str, Any], rows: Rows, secret: bytes, steps: int, progress: Progress
) -> dict[str, Any]:
    """Returns the calibration after ``steps`` steps on the rows in the order of their leaves."""
    return _json("calibrate", str(model_dir), _text(settings), *_arrays(rows), secret, steps, progress)


def make_spec(model_dir: Path, settings: dict[str, Any], calibration: dict[str, Any]) -> dict[str, Any]:
    """Returns {spec, program_digest, base, largest_bound_log2, range_report}."""
    return _json("make_spec", str(model_dir), _text(settings), _text(calibration))


def commit_data(spec: dict[str, Any], rows: Rows, secret: bytes) -> dict[str, Any]:
    """Returns {root, rows}."""
    return _json("commit_data", _text(spec), *_arrays(rows), secret)


def commit_model(model_dir: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Returns the base commitment, {root, ...}."""
    return _json("commit_model", str(model_dir), _text(spec))


def counts(spec: dict[str, Any]) -> dict[str, Any]:
    """Returns the counts of a spec's run: slots, tree sizes, leaves, products, expected bytes of proofs."""
    return _json("counts", _text(spec))


def measure(kernel: str, threads: int) -> float:
    """Runs a kernel of the core; returns the units done."""
    return float(_call("measure", kernel, threads))


def check_seed(plan: dict[str, Any], seed_json: str) -> str:
    """Returns the seed (hex) after following seed.json from the plan, as the verifier does."""
    return str(_call("check_seed", _text(plan), seed_json))


def _run(
    command: str,
    plan: dict[str, Any],
    seed: dict[str, Any],
    model_dir: Path,
    rows: Rows,
    secret: bytes,
    run_dir: Path,
    threads: int,
    progress: Progress,
) -> dict[str, Any]:
    return _json(
        command,
        _text(plan),
        _text(seed),
        str(model_dir),
        *_arrays(rows),
        secret,
        str(run_dir),
        threads,
        progress,
    )


train = partial(_run, "train")
"""Trains or continues ``run_dir``."""
prove = partial(_run, "prove")
"""Writes ``run_dir/certificate``, not yet signed."""


def export_adapter(plan: dict[str, Any], run_dir: Path, adapter_dir: Path) -> dict[str, Any]:
    """Writes PEFT's two files into ``adapter_dir``."""
    return _json("export_adapter", _text(plan), str(run_dir), str(adapter_dir))


def sign(payload_type: str, payload: bytes, private_pem: str) -> bytes:
    """Returns the bytes of a Sigstore bundle over the payload."""
    return str(_call("sign", payload_type, payload, private_pem)).encode("utf-8")


def generate_key() -> tuple[str, str]:
    """Returns (private PEM, public PEM) of a fresh P-256 key."""
    private_pem, public_pem = _call("generate_key")
    return str(private_pem), str(public_pem)


def public_key(private_pem: str) -> str:
    """Returns the public half (PEM) of a private key."""
    return str(_call("public_key", private_pem))


def key_id(public_pem: str) -> str:
    """Returns the name of a public key."""
    return str(_call("key_id", public_pem))


def verify(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Returns the verdict."""
    return _json("verify", str(path), _text(request))
