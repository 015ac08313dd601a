"""Archives of a folder of pictures, .zip and .tar, read without unpacking them to a disk.

A .tar that is compressed can only be read in order. So its samples, and those of any .tar, are in
the archive's own order, and each rank reads past what is before its own.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, is_hidden, readable
from data_tools.formats.collection import DAMAGE, Held, images_of
from data_tools.formats.folder import OPTIONS
from hpcgan.errors import DataError
from hpcgan.world import World

_COMPRESSIONS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
MOST = 2**30  # bytes of one file; no picture that Pillow reads has more
_BLOCK = 512


def _open_zip(conversion: Conversion, account: Account, world: World) -> Images:
    """Open a .zip, on each rank by itself."""
    source = conversion.source
    archive, entries, folders = world.all_or_raise(lambda: _zip_entries(source, account))
    below = _common_folder(list(entries), account)

    def opened(name: str) -> IO[bytes]:
        entry = entries[below + name]
        _check_size(entry.file_size)
        try:
            return BytesIO(archive.read(entry))
        except (NotImplementedError, RuntimeError) as error:  # a compression it does not know
            raise ValueError(str(error)) from None

    held = _held(source, entries, folders, below, opened)
    return images_of(held, conversion, account, world)


def _zip_entries(
    source: Path, account: Account
) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo], list[str]]:
    """Return an archive, its files by name, and its folders."""
    try:
        archive = zipfile.ZipFile(source)
    except (*DAMAGE, NotImplementedError) as error:
        raise DataError(f"{source}: not readable as .zip: {error}") from None
    entries: dict[str, zipfile.ZipInfo] = {}
    folders = []
    for entry in archive.infolist():
        if entry.flag_bits & 1:
            raise DataError(f"{source}: {entry.filename} is encrypted; unpack the archive first")
        name = entry.filename.replace("\\", "/")  # as some programs of Windows write it
        if name.endswith("/"):
            folders.append(name)
        else:
            _add(entries, name, entry, account)
    return archive, entries, folders


def _open_tar(conversion: Conversion, account: Account, world: World) -> Images:
    """Open a .tar; rank 0 alone looks for its files."""
    source = conversion.source
    found = world.on_root(lambda: _tar_entries(source))
    entries: dict[str, Any] = {}
    folders = [name for name, _ in found if name.endswith("/")]
    for name, place in found:
        if name.endswith("/"):
            continue
        if place is None:
            account.leave_out("neither file nor folder", name)
        else:
            _add(entries, name, place, account)
    below = _common_folder(list(entries), account)
    stream = world.all_or_raise(lambda: readable(source, lambda: _uncompressed(source)))

    def opened(name: str) -> IO[bytes]:
        first, size = entries[below + name]
        _check_size(size)
        stream.seek(first)
        content = stream.read(size)
        if len(content) < size:
            raise EOFError("the archive ends in it")
        return BytesIO(content)

    account.note("samples in the order of the archive", source.name)
    held = _held(source, entries, folders, below, opened, is_sorted=False)
    return images_of(held, conversion, account, world)


def _tar_entries(source: Path) -> list[tuple[str, tuple[int, int] | None]]:
    """Return the names of files and where their content is, and of folders, which end in "/".

    Links and the like, whose content is elsewhere, have None.
    """
    found: list[tuple[str, tuple[int, int] | None]] = []
    try:
        with _uncompressed(source) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps all
                name = member.name.rstrip("/") + ("/" if member.isdir() else "")
                is_file = member.isreg() and not member.issparse()
                found.append((name, (member.offset_data, member.size) if is_file else None))
            stream.seek(archive.offset)
            if any(stream.read(_BLOCK)):  # tarfile takes damage for the end
                raise tarfile.ReadError("it is damaged after " + (found[-1][0] if found else "0"))
    except (*DAMAGE, tarfile.TarError) as error:
        raise DataError(f"{source}: not readable as .tar: {error}") from None
    return found


def _uncompressed(source: Path) -> IO[bytes]:
    """Open a file for reading, through what it is compressed with."""
    with source.open("rb") as file:
        head = file.read(6)
    for beginning, opened in _COMPRESSIONS.items():
        if head.startswith(beginning):
            stream: IO[bytes] = opened(source)
            return stream
    return source.open("rb")


def _add(entries: dict[str, Any], name: str, entry: Any, account: Account) -> None:
    """Add a file, unless it is hidden; of several of one name the last counts, as for unpacking."""
    name = name.removeprefix("./")
    if any(map(is_hidden, name.split("/"))):
        account.leave_out("hidden", name)
        return
    if entries.pop(name, None) is not None:
        account.leave_out("replaced by a later file of its name in the archive", name)
    entries[name] = entry


def _common_folder(names: list[str], account: Account) -> str:
    """Return the folder, with its "/", in which all files are, "" if there is none."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    if not top:
        return ""
    account.note(f"all files are in {top}/, which is taken for the folder, not for a class")
    return f"{top}/"


def _held(
    source: Path,
    entries: dict[str, Any],
    folders: list[str],
    below: str,
    opened: Callable[[str], IO[bytes]],
    is_sorted: bool = True,
) -> Held:
    """Return what an archive holds, by names without the common folder ``below``."""
    names = [name.removeprefix(below) for name in entries]
    inside = [name.removeprefix("./").removeprefix(below) for name in folders]
    first = {name.partition("/")[0] for name in names + inside if "/" in name}
    first = {name for name in first if not is_hidden(name)}
    return Held(str(source), names, opened, sorted(first), is_sorted=is_sorted)


def _check_size(size: int) -> None:
    if size > MOST:
        raise ValueError(f"it has {size} bytes, too many for a picture")


def _is_zip(source: Path) -> bool:
    return source.is_file() and source.suffix.lower() != ".npz" and zipfile.is_zipfile(source)


def _is_tar(source: Path) -> bool:
    """Return whether the first block of a file, perhaps compressed, begins a .tar."""
    if not source.is_file():
        return False
    try:
        with _uncompressed(source) as stream:
            tarfile.TarInfo.frombuf(stream.read(_BLOCK), "utf-8", "surrogateescape")
    except (*DAMAGE, tarfile.TarError):
        return False
    return True


ZIP = Format("zip", _is_zip, _open_zip, OPTIONS)
TAR = Format("tar", _is_tar, _open_tar, OPTIONS)
