"""A few bytes per data file that identify its content, so that another one in its place is noticed.

A fingerprint is made of a file's size and of three pieces of it: the whole would have to be read
at every start. The time of its last change is not in it: it decides nothing, since a copy of a file
has another one and the same content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from hpcgan.data.source import Source
from hpcgan.errors import DataError
from hpcgan.world import World

_PIECE = 2**16  # bytes at the beginning, in the middle and at the end of a file
_MOST = 100_000  # files whose fingerprints a checkpoint has room for


def fingerprints(world: World, source: Source) -> tuple[str, ...]:
    """Return the fingerprints of the data files, in order; of the first 100,000 if there are more.

    The ranks share the files. That of a view of other files is one of those, too. All ranks must
    call it.

    Raises:
        DataError: a file cannot be read; the same on all ranks.
    """
    files = source.files[:_MOST]
    share = files[world.rank :: world.size]
    own = world.all_or_raise(
        lambda: [_fingerprint([file, *source.others.get(file, [])]) for file in share]
    )
    parts = world.gather_json(own)
    return tuple(parts[n % world.size][n // world.size] for n in range(len(files)))


def _fingerprint(paths: Sequence[str]) -> str:
    """Return the fingerprint of some files together."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                digest.update(b"%d " % size)
                for start in (0, size // 2, max(0, size - _PIECE)):
                    file.seek(start)
                    digest.update(file.read(_PIECE))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise DataError(f"{path}: cannot be read: {reason}") from None
    return digest.hexdigest()[:16]
