"""What to do about an error where the place that raises it does not say: by code, else by family of codes."""

from __future__ import annotations

_AGAIN = "plan again with veritune plan into another job folder"
_GUIDE = "docs/guide/recipe.md lists every field and form"

_BY_CODE = {
    "VT-DATA-002": f"write one JSON object a line, in UTF-8; {_GUIDE}",
    "VT-DATA-007": "restore the tokenizer files of the checkpoint",
    "VT-JOB-001": f"correct the file, or {_AGAIN}",
    "VT-JOB-002": f"change the field and {_AGAIN}",
    "VT-JOB-003": "lower data.bucket, the batch or lora.r",
    "VT-JOB-004": "the steps before it are kept; lower learning_rate, remove or shorten the rows named, or raise "
    f"--calibration-steps so that calibration sees such rows, and {_AGAIN}",
    "VT-JOB-005": "lower the number of steps or rows, data.bucket or the batch",
    "VT-JOB-007": f"use the rows and the tokenizer of the plan, or {_AGAIN}",
    "VT-JOB-008": "restore the file; where that is impossible train under another --run",
    "VT-JOB-009": "run the same command again: it continues",
    "VT-JOB-012": "lower --threads",
    "VT-JOB-013": "free some space and run the same command again: it continues, nothing half-written is left",
    "VT-JOB-014": "train under another --run: its commitments have other salts",
    "VT-JOB-016": "run veritune train",
    "VT-JOB-017": "do not rely on certificates under this base root: its integers are not those of a checkpoint",
    "VT-JOB-018": "wait for it, or name another folder",
    "VT-MODEL-001": "check model.path and the rights of its files",
    "VT-MODEL-003": "name the folder of one checkpoint",
    "VT-MODEL-013": "fetch the file again; a checkpoint with NaN or Inf can neither be trained nor proved",
    "VT-MODEL-014": "use another checkpoint: no supported scale holds this outlier",
    "VT-RUN-003": "restore the seed.json that veritune plan wrote",
}
_BY_FAMILY = {
    "CORE": "run make setup",
    "DATA": _GUIDE,
    "FILE": "check the path and restore the file",
    "MODEL": "use the checkpoint as it was published; docs/spec/base-model.md says what is supported",
    "RECIPE": _GUIDE,
}


def remedy_of(code: str) -> str:
    """Returns the usual remedy of a code; empty where there is none, as for what a verifier refutes."""
    family = code.split("-")[1] if code.count("-") == 2 else ""
    return _BY_CODE.get(code, _BY_FAMILY.get(family, ""))
