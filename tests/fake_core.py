"""A stand-in for the Rust core with the contract of `_core.pyi`: no proof, only files and digests.

It lets the tests of the product reach every branch of the callers. The real core has its own tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from veritune import _core

STEPS_BEFORE_FAULT = 3


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FakeCore:
    """The functions; `fault` names one that fails half-way with a CoreError."""

    def __init__(self) -> None:
        self.fault = ""
        self.calls: list[str] = []

    def _begin(self, name: str) -> None:
        self.calls.append(name)

    def _fail(self, name: str, exit_code: int = 2) -> None:
        if self.fault == name:
            raise _core.CoreError(
                "VT-STEP-017",
                "expected at most 32767, got 40000",
                f"{name}: layer 3 gate, step 7",
                exit_code,
            )

    def calibrate(self, model_dir, settings_json, tokens, targets, meta, steps, progress):
        self._begin("calibrate")
        assert tokens.dtype == targets.dtype == "int64" and tokens.flags["C_CONTIGUOUS"]
        settings = json.loads(settings_json)
        assert set(settings) == {"lora", "train", "data", "proof"}
        assert tokens.shape[1] == settings["data"]["bucket"]
        for step in range(steps):
            progress(step + 1, steps, 0.0)
        self._fail("calibrate")
        return _canonical({"hidden_bits": 27})

    def make_spec(self, model_dir, settings_json, calibration_json):
        self._begin("make_spec")
        config = (Path(model_dir) / "config.json").read_bytes()
        spec = {"settings": json.loads(settings_json), "widths": json.loads(calibration_json)}
        return _canonical(
            {
                "spec": spec,
                "program_digest": _sha256(_canonical(spec).encode()),
                "base": {
                    "files": [{"name": "config.json", "sha256": _sha256(config)}],
                    "root": _sha256(b"base" + config),
                },
                "largest_bound_log2": 62.64,
                "range_report": [],
            }
        )

    def commit_model(self, model_dir, spec_json):
        self._begin("commit_model")
        config = (Path(model_dir) / "config.json").read_bytes()
        return _canonical({"files": [], "root": _sha256(b"base" + config)})

    def commit_data(self, spec_json, tokens, targets, meta, secret):
        self._begin("commit_data")
        assert len(secret) == 32
        self._fail("commit_data")
        root = _sha256(secret + tokens.tobytes() + targets.tobytes() + meta)
        return _canonical({"root": root, "rows": len(tokens)})

    def counts(self, spec_json):
        self._begin("counts")
        names = (
            "multiply_adds",
            "values",
            "slots",
            "witness",
            "state",
            "base",
            "leaves",
            "products",
            "bound",
        )
        return json.dumps({"steps": 8, "proof_bytes": 5e6} | dict.fromkeys(names, 1e6))

    def measure(self, kernel, threads):
        return 1e6

    def train(self, plan_json, seed_json, model_dir, tokens, targets, meta, secret, run_dir, threads, progress):
        self._begin("train")
        plan = json.loads(plan_json)
        folder = Path(run_dir) / "steps"
        folder.mkdir(exist_ok=True)
        for step in range(1, plan["numSteps"] + 1):
            path = folder / f"{step:06}.bin"
            if not path.exists():
                if step > STEPS_BEFORE_FAULT:
                    self._fail("train")
                path.write_bytes(hashlib.sha256(f"{seed_json}{step}".encode()).digest())
            progress(step, plan["numSteps"], 1.0 / step)
        root = _sha256(b"".join(item.read_bytes() for item in sorted(folder.iterdir())))
        return _canonical({"steps": plan["numSteps"], "state_root": root})

    def prove(self, plan_json, seed_json, model_dir, tokens, targets, meta, secret, run_dir, threads, progress):
        self._begin("prove")
        assert len(secret) == 32
        run = Path(run_dir)
        proofs = run / "certificate" / "proofs"
        proofs.mkdir(parents=True, exist_ok=True)
        for step in sorted((run / "steps").iterdir()):
            (proofs / step.name).write_bytes(step.read_bytes() * 4)
        self._fail("prove")
        digests = [{"name": f"proofs/{p.name}", "sha256": _sha256(p.read_bytes())} for p in sorted(proofs.iterdir())]
        claims = {"adapter": _sha256(self._adapter(run)), "predicate": {"proofs": digests}}
        (run / "claims.statement.json").write_text(_canonical(claims))
        names = [f"proofs/{step.name}" for step in sorted(proofs.iterdir())]
        return _canonical({"proof_bytes": 128, "certificate": names})

    def _adapter(self, run: Path) -> bytes:
        return b"adapter" + b"".join(p.read_bytes() for p in sorted((run / "steps").iterdir()))

    def export_adapter(self, plan_json, run_dir, adapter_dir):
        self._begin("export_adapter")
        adapter = Path(adapter_dir)
        (adapter / "adapter_model.safetensors").write_bytes(self._adapter(Path(run_dir)))
        self._fail("export_adapter")
        (adapter / "adapter_config.json").write_text("{}")
        return _canonical({"digest": ""})

    def sign(self, payload_type, payload, private_pem):
        self._begin("sign")
        assert payload_type == "application/vnd.in-toto+json"
        key = serialization.load_pem_private_key(private_pem.encode(), None)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._fail("sign")
        envelope = {"payload": base64.b64encode(payload).decode()}
        return _canonical({"dsseEnvelope": envelope, "key": public.decode()})

    def generate_key(self):
        self._begin("generate_key")
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return private.decode(), public.decode()

    def public_key(self, private_pem):
        key = serialization.load_pem_private_key(private_pem.encode(), None)
        return (
            key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def verify(self, path, request_json):
        self._begin("verify")
        adapter = Path(path)
        request = json.loads(request_json)
        key_pem = request["keys"]

        def verdict(exit_code: int, code: str = "", location: str = "") -> str:
            words = ["verified", "refuted", "unusable", "inconclusive"]
            claims = [{"kind": "training", "word": "proof-not-hiding", "detail": "all steps"}]
            return _canonical(
                {
                    "exit": exit_code,
                    "verdict": words[exit_code],
                    "code": code,
                    "location": location,
                    "claims": claims if exit_code == 0 else [],
                    "notClaimed": ["zero knowledge"],
                    "ledger": {"rows": [], "totalBits": 128, "maxProofs": 1000},
                }
            )

        if not adapter.is_dir():
            return verdict(2, "VT-RUN-014", "path")
        if not key_pem and not request["any_signer"]:
            return verdict(3, "VT-ENV-040")
        certificate = adapter / "veritune"
        if not certificate.is_dir():
            return verdict(3, "VT-ENV-065", "veritune/index.json")
        index = json.loads((certificate / "index.json").read_bytes())
        for entry in index["files"]:
            content = (certificate / entry["path"]).read_bytes()
            if (_sha256(content), len(content)) != (entry["sha256"], entry["size"]):
                return verdict(1, "VT-ENV-070", entry["path"])
        bundle = json.loads((certificate / "claims.sigstore.json").read_bytes())
        if key_pem and bundle["key"] not in key_pem:
            return verdict(3, "VT-ENV-041")
        model = (adapter / "adapter_model.safetensors").read_bytes()
        if json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["adapter"] != _sha256(model):
            return verdict(1, "VT-ENV-054", "adapter_model.safetensors")
        for proof in sorted((certificate / "proofs").iterdir()):
            content = proof.read_bytes()
            if content != content[:32] * 4:
                return verdict(1, "VT-RUN-006", f"proofs/{proof.name}")
        return verdict(0)


FUNCTIONS = (
    "calibrate", "make_spec", "commit_model", "commit_data", "counts", "measure", "train", "prove",
    "export_adapter", "sign", "generate_key", "public_key", "verify",
)  # fmt: skip


@pytest.fixture
def fake_core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    """Puts the stand-in under `veritune.core` for one test."""
    core = FakeCore()
    for name in FUNCTIONS:
        monkeypatch.setattr(_core, name, getattr(core, name), raising=False)
    return core
