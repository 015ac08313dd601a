"""HDF5 files of hpcgan's own that check themselves: a user block with a SHA-256 of all that
follows, which is checked before HDF5 reads a byte, since HDF5 may hang on a damaged file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hpcgan.errors import UserError
from hpcgan.files import USER_BLOCK, check_is_file

_READ_BYTES = 2**20


def seal(form: str, content: memoryview) -> bytes:
    """Return the user block of a file of the format ``form``: that and the SHA-256 of
    ``content``."""
    return _user_block(form, hashlib.sha256(content).hexdigest())


def check(path: Path, form: str, what: str, error: type[UserError]) -> None:
    """Refuse a file that is not of the format ``form`` or is not as it was written.

    Args:
        path: the file.
        form: the format's name, which the file begins with.
        what: such a file in words, such as checkpoint.
        error: what is raised.

    Raises:
        UserError: of the kind ``error``: it is so, or there is no such file.
        OSError: it cannot be read.
    """
    check_is_file(path, what, error)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        block = file.read(USER_BLOCK)
        while content := file.read(_READ_BYTES):
            digest.update(content)
    if not block.startswith(f"{form}\n".encode()):
        raise error(f"{path}: damaged, or not a {what} of hpcgan ({form})")
    if block != _user_block(form, digest.hexdigest()):
        raise error(f"{path}: damaged: its content does not fit its checksum")


def digest_of(path: Path) -> str:
    """Return the SHA-256 of all bytes of a file, as sha256sum does."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while content := file.read(_READ_BYTES):
            digest.update(content)
    return digest.hexdigest()


def _user_block(form: str, digest: str) -> bytes:
    """Return a user block that is readable as text."""
    return f"{form}\nsha256 {digest}\n".encode().ljust(USER_BLOCK, b"\0")
