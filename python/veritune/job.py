"""The job folder: where the files of a run lie, and its secret files.

::

    plan/    made by veritune plan; may be published
    data/    manifest (published) and secret/
    run/     made by veritune train and prove
    adapter/ what is published and verified
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veritune.errors import Code, InvalidInput
from veritune.files import canonical_json, read_bytes, read_json, write_atomic

if TYPE_CHECKING:
    from veritune.rows import Dataset, Rows

LOCAL_SCHEMA = "veritune.local/v1"
META_SCHEMA = "veritune.meta-counts/v1"
MAX_ROWS_BYTES = 16 << 30


@dataclass(frozen=True)
class Job:
    """Paths of one job."""

    folder: Path

    @staticmethod
    def of_plan(plan: Path) -> Job:
        """Returns the job whose plan.json is given (a job folder or its plan folder too)."""
        if plan.is_dir():
            return Job(plan if (plan / "plan").is_dir() else plan.absolute().parent)
        return Job(plan.absolute().parent.parent)

    @staticmethod
    def of_run(run: Path) -> Job:
        """Returns the job to which a run folder belongs.

        Raises:
            InvalidInput: FILE codes, also if the job is not where it was when the run was trained.
        """
        job = Job(_path_in(run / "secret" / "local.json", "job"))
        if not job.secret.is_dir():
            raise InvalidInput(
                Code.FILE_UNREADABLE,
                "the job of this run is not there, or its rows are gone",
                location=str(job.folder),
                remedy=f"if the job was moved, run `veritune train JOB --run {run}` once, with JOB where it is now",
            )
        return job

    @property
    def plan(self) -> Path:
        """plan/plan.json."""
        return self.folder / "plan" / "plan.json"

    @property
    def plan_bundle(self) -> Path:
        """plan/plan.sigstore.json."""
        return self.folder / "plan" / "plan.sigstore.json"

    @property
    def seed(self) -> Path:
        """plan/seed.json."""
        return self.folder / "plan" / "seed.json"

    @property
    def calibration(self) -> Path:
        """plan/calibration.json."""
        return self.folder / "plan" / "calibration.json"

    @property
    def manifest(self) -> Path:
        """data/manifest.json."""
        return self.folder / "data" / "manifest.json"

    @property
    def secret(self) -> Path:
        """data/secret, mode 0700."""
        return self.folder / "data" / "secret"

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """What ``write_secret`` writes."""
        return tuple(self.secret / name for name in ("salt.bin", "rows.safetensors", "meta.json", "local.json"))

    @property
    def run(self) -> Path:
        """run, where training and proving keep their state."""
        return self.folder / "run"

    @property
    def adapter(self) -> Path:
        """adapter, the result."""
        return self.folder / "adapter"

    def write_secret(self, model_dir: Path, dataset: Dataset, secret: bytes) -> None:
        """After the call data/secret holds the salt, the token arrays, counts of meta data, and where things lie."""
        from safetensors.numpy import save

        arrays = save({"tokens": dataset.rows.tokens, "targets": dataset.rows.targets, "meta": dataset.rows.meta})
        counts = {name: dataset.meta_counts(name) for name in ("license", "language", "source")}
        local = {
            "schema": LOCAL_SCHEMA,
            "model_dir": local_path(model_dir),
            "rows_sha256": hashlib.sha256(arrays).hexdigest(),
            "files": [
                {"path": local_path(path), "sha256": digest}
                for path, digest in zip(dataset.paths, dataset.file_sha256, strict=True)
            ],
        }
        meta = canonical_json({"schema": META_SCHEMA, **counts})
        contents = (secret, arrays, meta, canonical_json(local))
        for path, content in zip(self.secret_files, contents, strict=True):
            write_atomic(path, content, secret=True)

    def read_salt(self) -> bytes:
        """Returns the 32 bytes from which the core derives the row salts."""
        return read_bytes(self.secret / "salt.bin", 32, what="row salt")

    def model_dir(self, override: Path | None = None) -> Path:
        """Returns the folder of the base model: the one given, or the one that was planned."""
        if override is not None:
            return override
        return _path_in(self.secret / "local.json", "model_dir")

    def read_rows(self) -> Rows:
        """Returns the token arrays that were committed.

        Raises:
            InvalidInput: FILE_CHANGED if they are not the planned ones.
        """
        from safetensors.numpy import load

        from veritune.rows import Rows

        path = self.secret / "rows.safetensors"
        content = read_bytes(path, MAX_ROWS_BYTES, what="token rows")
        local = read_json(self.secret / "local.json", LOCAL_SCHEMA)
        if hashlib.sha256(content).hexdigest() != local.get("rows_sha256"):
            raise InvalidInput(
                Code.FILE_CHANGED,
                "the token rows differ from the planned ones",
                location=str(path),
                remedy="restore the file, or plan again",
            )
        arrays = load(content)
        return Rows(arrays["tokens"], arrays["targets"], arrays["meta"])


def local_path(path: Path) -> str:
    """Returns an absolute path as a local.json holds it.

    Raises:
        InvalidInput: FILE_UNREADABLE for a name that is no text.
    """
    text = str(path.absolute())
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            Code.FILE_UNREADABLE, "the path is not UTF-8", location=text, remedy="rename the file or folder"
        ) from error
    return text


def _path_in(local: Path, field: str) -> Path:
    """Returns a path that a local.json holds."""
    path = read_json(local, LOCAL_SCHEMA).get(field)
    if not isinstance(path, str) or not path:
        raise InvalidInput(
            Code.FILE_JSON, f"no path in {field}", location=str(local), remedy="run veritune train again, or plan again"
        )
    return Path(path)
