"""TFRecord files of tf.train.Example: one, or the shards in a folder.

All records are read once by the ranks together, which share the files, to find where they begin
and to gather their labels; then each rank reads its own run. A compressed file has to be read from
its beginning by each rank that needs something of it.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, readable
from data_tools.formats.arrays import read_npy_labels
from data_tools.formats.collection import Held, images_of
from data_tools.formats.examples import Features, Fields, Label, parse
from data_tools.formats.records import files, is_source, opened, read_record, records
from data_tools.formats.rows import BROKEN
from hpcgan.errors import DataError
from hpcgan.world import World


def _open_tfrecord(conversion: Conversion, account: Account, world: World) -> Images:
    """Open the files of a source. All ranks must call it."""
    source = str(conversion.source)
    paths = world.all_or_raise(
        lambda: readable(conversion.source, lambda: files(conversion, account))
    )
    fields = world.all_or_raise(lambda: _of_first(paths, conversion, account))
    own = paths[world.rank :: world.size]
    found = world.gather_json(world.all_or_raise(lambda: [_index(path, fields) for path in own]))
    index = [found[number % world.size][number // world.size] for number in range(len(paths))]
    reader = _Reader(source, paths, [places for places, _ in index])
    if len(paths) > 1:
        account.note("files", count=len(paths))

    def labels() -> np.ndarray | None:
        if conversion.labels is None and fields.label is None:
            return _labels_beside(paths[0], len(reader), account)
        if fields.label is None:
            return None
        every = [label for _, own in index for label in own]
        return _as_array(every, fields.kinds[fields.label], f"{source}: '{fields.label}'")

    of_all = world.all_or_raise(labels)
    if not fields.is_encoded:
        return world.all_or_raise(lambda: _raw(reader, fields, of_all, conversion))
    held = Held(
        source,
        [f"record {number}" for number in range(len(reader))],
        lambda name: BytesIO(fields.content_of(*reader.features(_number(name)))),
        has_classes=False,
        is_sorted=False,
        has_others=False,
    )
    images = images_of(held, conversion, account, world)
    if of_all is None:
        return images
    return replace(images, labels=of_all[[_number(name) for name in images.names]])


def _number(name: str) -> int:
    """Return the number in a record's name."""
    return int(name.removeprefix("record "))


def _raw(
    reader: _Reader, fields: Fields, labels: np.ndarray | None, conversion: Conversion
) -> Images:
    """Return records that hold values, and no pictures, as samples."""
    if conversion.size or conversion.grey:
        raise DataError(f"{reader.source}: raw values are not resized or made grey")
    first = fields.sample_of(*reader.features(0))

    def read(run: range) -> np.ndarray:
        samples = np.empty((len(run), *first.shape), first.dtype)
        for place, number in enumerate(run):
            features, origin = reader.features(number)
            sample = fields.sample_of(features, origin)
            if sample.shape != first.shape:
                raise DataError(
                    f"{origin}: has shape {sample.shape}, but record 0 has {first.shape}; all must "
                    "agree"
                )
            samples[place] = sample
        return samples

    return Images(
        reader.source,
        (len(reader), *first.shape),
        first.dtype,
        read,
        labels=labels,
        layout=fields.layout,
    )


def _of_first(paths: list[Path], conversion: Conversion, account: Account) -> Fields:
    """Return what to take of every record."""
    for path in paths:
        for _, record in records(path):
            origin = f"{path}: record 0"
            return Fields.of(parse(record, origin), conversion, origin, account)
    raise DataError(f"{conversion.source}: there are no records")


def _index(path: Path, fields: Fields) -> tuple[list[int], list[Label]]:
    """Return where a file's records begin, and their labels."""
    places, labels = [], []
    for number, (place, record) in enumerate(records(path)):
        origin = f"{path}: record {number}"
        features = parse(record, origin)
        fields.check(features, origin)
        places.append(place)
        if fields.label is not None:
            labels.append(fields.label_of(features, origin))
    return places, labels


def _as_array(labels: list[Any], kind: str, origin: str) -> np.ndarray:
    """Return labels of one kind of feature as an array."""
    counts = {len(label) if isinstance(label, list) else 1 for label in labels}
    if len(counts) > 1:
        raise DataError(f"{origin}: labels have from {min(counts)} to {max(counts)} values each")
    return np.array(labels, {"float": "f4", "int64": "i8"}.get(kind, "U"))


def _labels_beside(path: Path, samples: int, account: Account) -> np.ndarray | None:
    """Return the labels in StyleGAN's .labels file, of NumPy's format, if there is one."""
    found = sorted(path.parent.glob("*.labels"))
    if len(found) != 1:
        return None
    account.note(f"labels from {found[0].name}")
    return read_npy_labels(found[0], samples)


class _Reader:
    """The records of a source's files, by their number."""

    def __init__(self, source: str, paths: list[Path], places: Sequence[list[int]]) -> None:
        self.source = source
        self._paths = paths
        self._places = [np.array(each, np.int64) for each in places]
        self._ends = np.cumsum([len(each) for each in places]).tolist()
        self._opened: tuple[int, BinaryIO] | None = None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def features(self, number: int) -> tuple[Features, str]:
        """Return a record's features, and what begins messages about it."""
        origin = f"{self.source}: record {number}"
        return parse(self._read(number), origin), origin

    def _read(self, number: int) -> bytes:
        """Return a record."""
        which = bisect(self._ends, number)
        path = self._paths[which]
        first = self._ends[which] - len(self._places[which])
        place = int(self._places[which][number - first])
        try:
            file = self._file(which)
            file.seek(place)
            record = read_record(file, place, path)
        except BROKEN as error:
            raise DataError(f"{path}: not readable as TFRecord: {error}") from None
        if record is None:
            raise DataError(f"{path}: ends at byte {place}; it has changed")
        return record

    def _file(self, which: int) -> BinaryIO:
        """Return a file; that of the last record stays open."""
        if self._opened is None or self._opened[0] != which:
            if self._opened:
                self._opened[1].close()
            self._opened = which, opened(self._paths[which])
        return self._opened[1]


TFRECORD = Format(
    "tfrecord",
    is_source,
    _open_tfrecord,
    frozenset({"images", "split", "size", "crop", "grey", "background", "skip_broken"}),
)
