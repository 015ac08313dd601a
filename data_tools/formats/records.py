"""The framing of TFRecord files, and which files of a folder belong together.

A record is its length (8 bytes, little-endian), a masked CRC-32C of that, its content, and a masked
CRC-32C of the content (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import is_hidden
from data_tools.formats.rows import BROKEN, read_at_most
from hpcgan.errors import DataError

_HEAD = struct.Struct("<QI")
_MOST_RECORD = 2**31  # bytes; protobuf's limit
_MASK_DELTA = 0xA282EAD8

_SUFFIX = re.compile(r"\.(tfrecords?|tfrec)(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE)
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{3,})-of-(?P<count>\d{3,})(\.gz)?$")
_SPLIT = re.compile(r"(?:^|[-_.])(train|test|validation|valid|val)(?=[-_.]|$)")
_RESOLUTION = re.compile(r"-r(\d\d)\.tfrecords$")  # StyleGAN's: 2 to this power pixels a side


def is_source(source: Path) -> bool:
    """Return whether a file, or any in a folder, is TFRecord by its name and beginning."""
    return any(map(_is_records, source.iterdir() if source.is_dir() else [source]))


def _is_records(path: Path) -> bool:
    if is_hidden(path.name):
        return False
    if _SUFFIX.search(path.name):
        return path.is_file()
    return bool(_SHARD.match(path.name)) and path.is_file() and _begins(path)


def _begins(path: Path) -> bool:
    """Return whether the content of a file begins as a record does."""
    try:
        with opened(path) as file:
            return _is_head(file.read(_HEAD.size))
    except BROKEN:
        return False


def _is_head(head: bytes) -> bool:
    return len(head) == _HEAD.size and _HEAD.unpack(head)[1] == _masked_crc(head[:8])


def _masked_crc(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip if it is compressed.

    The first two bytes of gzip may begin a record, too; a record's checksum then fits.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    if head[:2] == b"\x1f\x8b" and not _is_head(head):
        return cast(BinaryIO, gzip.GzipFile(path))
    return path.open("rb")


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield where each record of a file begins, and its content.

    Raises:
        DataError: the file is cut, or a checksum differs.
    """
    place = 0
    try:
        with opened(path) as file:
            while (content := read_record(file, place, path)) is not None:
                yield place, content
                place += _HEAD.size + len(content) + 4
    except BROKEN as error:
        raise DataError(f"{path}: not readable as TFRecord: {error}") from None


def read_record(file: BinaryIO, place: int, path: Path) -> bytes | None:
    """Return the record that begins where the file is, at ``place``; None at the end."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    if not _is_head(head):
        raise DataError(
            f"{path}: at byte {place} there is no record: it is damaged, or no TFRecord"
        )
    length = _HEAD.unpack(head)[0]
    if length > _MOST_RECORD:
        raise DataError(f"{path}: the record at byte {place} has {length} bytes, too many")
    content = read_at_most(file, length)
    end = file.read(4)
    if len(content) < length or len(end) < 4:
        raise DataError(f"{path}: the record at byte {place} is cut off by the end of the file")
    if struct.unpack("<I", end)[0] != _masked_crc(content):
        raise DataError(
            f"{path}: the checksum of the record at byte {place} differs: it is damaged"
        )
    return content


def files(conversion: Conversion, account: Account) -> list[Path]:
    """Return the files of a source in order: of one split and resolution, and all its shards.

    Raises:
        DataError: there are none, or a shard is missing.
    """
    source = conversion.source
    if source.is_file():
        if conversion.split:
            raise DataError(f"{source}: --split is for a folder of TFRecord files")
        return [source]
    found = sorted(path for path in source.iterdir() if _is_records(path))
    if not found:
        raise DataError(f"{source}: there are no TFRecord files")
    found = _largest(_of_split(found, conversion, account), account)
    _check_shards(found)
    return found


def _of_split(found: list[Path], conversion: Conversion, account: Account) -> list[Path]:
    """Return the files of the split that is asked for, all if their names tell of none."""
    splits: dict[str, list[Path]] = {}
    for path in found:
        match = _SPLIT.search(path.name)
        name = "" if not match else "validation" if match[1].startswith("val") else match[1]
        splits.setdefault(name, []).append(path)
    if conversion.split is None and len(splits) == 1:
        return found
    own = splits.pop(conversion.split or "train", None)
    if own is None:
        there = ", ".join(each or "of no split" for each in splits)
        raise DataError(
            f"{conversion.source}: there are no files of the split {conversion.split or 'train'}; "
            f"its files are: {there} (--split)"
        )
    if conversion.split is None:
        for name, paths in splits.items():
            for path in paths:
                account.leave_out(
                    f"files of {f'--split {name}' if name else 'no split'}", path.name
                )
    return own


def _largest(found: list[Path], account: Account) -> list[Path]:
    """Return StyleGAN's file of the largest resolution, if these are its; else all."""
    sizes = [match and int(match[1]) for match in (_RESOLUTION.search(p.name) for p in found)]
    if len(found) < 2 or None in sizes:
        return found
    largest = found[sizes.index(max(size for size in sizes if size))]
    account.note(f"the largest of {len(found)} resolutions: {largest.name}")
    return [largest]


def _check_shards(found: list[Path]) -> None:
    """Refuse a set of shards of which one is missing."""
    sets: dict[tuple[str, int], list[int]] = {}
    for path in found:
        if match := _SHARD.match(path.name):
            key = match["stem"], int(match["count"])
            sets.setdefault(key, []).append(int(match["number"]))
    for (stem, count), numbers in sets.items():
        missing = count - len(set(numbers) & set(range(min(count, 10**6))))
        if missing > 0:
            raise DataError(
                f"{found[0].parent}: {missing} of the {count} shards of {stem} are missing; get "
                "them, or name one file"
            )
