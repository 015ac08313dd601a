"""LMDB databases of encoded pictures, as LSUN has them: a key and a picture each."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import IO, Any

from data_tools import lmdb_file
from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images
from data_tools.formats.collection import Held, images_of
from data_tools.formats.folder import OPTIONS
from hpcgan import hdf5, packages
from hpcgan.errors import DataError
from hpcgan.world import World

_ABOUT = ("length", "keys", "meta", "num-samples", "num_samples", "resolution")
_MAGIC = b"\xde\xc0\xef\xbe"  # after the header of the first page, of 16 bytes


def _open_lmdb(conversion: Conversion, account: Account, world: World) -> Images:
    """Open a database, in the order of its keys."""
    source = str(conversion.source)
    world.all_or_raise(lambda: _check_package(source))
    keys, _ = world.on_root(lambda: _call(lmdb_file.keys, source))
    for key in filter(_is_about, keys):
        account.leave_out("no picture", key)
    names = [key for key in keys if not _is_about(key)]
    held = Held(
        source, names, _Values(source).open, has_classes=False, is_sorted=False, has_others=False
    )
    return images_of(held, conversion, account, world)


def _is_about(key: str) -> bool:
    """Return whether a key is one under which others keep what they know of the database."""
    return key.startswith("__") or key.lower() in _ABOUT


def _check_package(source: str) -> None:
    wrong = packages.problem("lmdb")
    if wrong:
        raise DataError(f"{source}: is LMDB, for which the package lmdb {wrong}; pip install lmdb")


class _Values:
    """The values of a database, of which some from the last one on are kept."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._kept: dict[str, bytes] = {}

    def open(self, key: str) -> IO[bytes]:
        """Return a value."""
        if key not in self._kept:
            found, (content,) = _call(lmdb_file.values, self._source, key)
            self._kept, place = {}, 0
            for name, size in found:
                self._kept[name] = content[place : place + size].tobytes()
                place += size
        if key not in self._kept:
            raise ValueError("its key is not found: the database is damaged")
        return BytesIO(self._kept[key])


def _call(function: hdf5.Function, source: str, *arguments: str) -> tuple[Any, Any]:
    """Call a function in the process that damage may kill."""
    try:
        return hdf5.call(function, source, *arguments)
    except hdf5.Hdf5Error as error:
        why = str(error).replace("HDF5", "LMDB")
        raise DataError(f"{source}: not readable as LMDB: {why}") from None


def _is_lmdb(source: Path) -> bool:
    path = source / "data.mdb" if source.is_dir() else source
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(20)[16:] == _MAGIC


LMDB = Format("lmdb", _is_lmdb, _open_lmdb, OPTIONS)
