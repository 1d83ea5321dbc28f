"""Key files: a private key that only its owner can read, and its public half."""

from __future__ import annotations

from pathlib import Path

from veritune import core
from veritune.certificate import MAX_KEY_BYTES, read_private_key, read_public_key
from veritune.errors import Code, InvalidInput
from veritune.files import read_bytes, write_atomic


def generate_key_files(folder: Path, name: str) -> tuple[Path, Path]:
    """Returns the paths of a fresh private key (mode 0600) and of its public key.

    Raises:
        InvalidInput: FILE_EXISTS if either file exists; KEY for a name with a path in it.
    """
    if Path(name).name != name or name.startswith("."):
        raise InvalidInput(Code.KEY, "the name must be a plain file name", location=name)
    private, public = folder / f"{name}.key.pem", folder / f"{name}.pub.pem"
    for path in (private, public):
        if path.exists():
            raise InvalidInput(
                Code.FILE_EXISTS,
                "a key of this name exists and is never replaced",
                location=str(path),
                remedy="choose another --name",
            )
    private_pem, public_pem = core.generate_key()
    write_atomic(private, private_pem.encode("ascii"), secret=True)
    write_atomic(public, public_pem.encode("ascii"))
    return private, public


def read_key_id(path: Path) -> tuple[str, str]:
    """Returns (``public`` or ``private``, key id) of a PEM file.

    Raises:
        InvalidInput: KEY, FILE_UNREADABLE; the core's code if the PEM holds another kind of key.
    """
    content = read_bytes(path, MAX_KEY_BYTES, what="key").decode("ascii", errors="replace")
    if "PRIVATE KEY-----" in content:
        return "private", core.key_id(core.public_key(read_private_key(path)))
    return "public", core.key_id(read_public_key(path))
