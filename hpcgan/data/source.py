"""HDF5 files as one array of samples: what they hold, by their headers.

Files are opened to look at them, closed, and opened again by whoever reads: no handle is kept, so
none is shared between processes, and thousands of files need no thousands of handles. They are
opened without HDF5's file locks, which read-only network file systems refuse and readers do not
need; and by another process (``hpcgan.hdf5``), which damaged ones may kill.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import errors
from hpcgan.config import DataConfig
from hpcgan.data import headers
from hpcgan.errors import DataError, UserError
from hpcgan.files import check_is_file, default_chunk, expanded
from hpcgan.hdf5 import Hdf5Error, call, call_on_data
from hpcgan.world import World


@dataclass(frozen=True)
class Source:
    """The samples of several files, one after the other.

    Attributes:
        files: the paths.
        lengths: the number of samples in each.
        chunks: the samples that are read at once from each: HDF5's chunk, or as many of them as
            make about 1 MiB.
        images: name of the dataset of samples.
        labels: name of the dataset of labels, or None.
        sample_shape: (H, W, C) or (D, H, W, C).
        dtype: "uint8" or "float32".
        others: the files that those which are views of others take their samples from.
        values: how the samples were mapped from the units of their source, as text.
        classes: names of the classes 0, 1, ... of the labels; None for too many to keep.
    """

    files: tuple[str, ...]
    lengths: tuple[int, ...]
    chunks: tuple[int, ...]
    images: str
    labels: str | None
    sample_shape: tuple[int, ...]
    dtype: str
    others: dict[str, list[str]] = field(default_factory=dict)
    values: str = ""
    classes: tuple[str, ...] | None = ()

    def __len__(self) -> int:
        """Return the number of samples in all files."""
        return sum(self.lengths)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return math.prod(self.sample_shape) * np.dtype(self.dtype).itemsize

    @property
    def kind(self) -> tuple[tuple[int, ...], str, str]:
        """What samples must share to be compared: shape, dtype, and how values were mapped."""
        return self.sample_shape, self.dtype, self.values

    @cached_property
    def file_offsets(self) -> np.ndarray:
        """The number of each file's first sample, int64."""
        return np.cumsum([0, *self.lengths])[:-1]

    @cached_property
    def chunk_offsets(self) -> np.ndarray:
        """The numbers of the first samples of all chunks and N, int64, ascending."""
        offsets = [
            np.arange(first, first + length, chunk)
            for first, length, chunk in zip(
                self.file_offsets, self.lengths, self.chunks, strict=True
            )
        ]
        return np.concatenate([*offsets, [len(self)]]).astype(np.int64)

    def identity(self, has_chunk_order: bool) -> str:
        """Return in short what decides the order in which a shard uses its samples.

        ``has_chunk_order``: whether chunks are divided or shuffled, and not samples alone.
        """
        if not has_chunk_order:
            return f"{len(self)} samples"
        layout = hashlib.sha256(self.chunk_offsets.astype("<i8").tobytes()).hexdigest()[:12]
        return f"{len(self)} samples in {len(self.chunk_offsets) - 1} chunks (layout {layout})"

    def locate(self, sample: int) -> tuple[int, int]:
        """Return the number of the file that holds a sample, and the sample's row there."""
        # The last of the files that begin here: those before it are empty.
        file = int(np.searchsorted(self.file_offsets, sample, side="right")) - 1
        return file, sample - int(self.file_offsets[file])

    def read_labels(self) -> np.ndarray:
        """Return all labels, (N,), or (N, K) for conditions of K values.

        Raises:
            DataError: a file cannot be read.
        """
        assert self.labels is not None
        parts = []
        for file in self.files:
            try:
                parts += call(headers.labels, file, self.labels)[1]
            except Hdf5Error as error:
                raise DataError(f"{file}: '{self.labels}' cannot be read: {error}") from None
        return np.concatenate(parts)


def open_source(world: World, data: DataConfig) -> Source:
    """Look at the headers of ``data.files`` and return them as one array.

    Rank 0 lists the files, each node looks whether it sees them, and the ranks share the headers:
    each file is opened by one of them.
    All ranks must call it.

    Raises:
        DataError: a file or dataset is missing, has a wrong shape or dtype, or differs from the
            first file's; a node sees another file than the others, or none. The message names
            it, and is the same on all ranks.
    """
    files = world.on_root(lambda: list_files(data.files))
    _check_all_nodes_see(world, files)
    own = [_header_or_error(file, data) for file in files[world.rank :: world.size]]
    parts = world.gather_json(own)
    headers = [parts[number % world.size][number // world.size] for number in range(len(files))]
    return world.all_or_raise(lambda: _join(files, headers, data))


def list_files(names: list[str]) -> list[str]:
    """Return the files that paths and patterns (``*``, ``?``, ``[]``, ``**``) name.

    ``~`` and variables in them are expanded first (``hpcgan.files.expanded``).
    They stay in the order given; those of a pattern are sorted by name.

    Raises:
        ConfigError: a path names a variable that is not set.
        DataError: a pattern fits no file, or a file is named twice.
    """
    files: list[str] = []
    for name in map(expanded, names):
        # Not by Path: it raises where one may not look, which is reported later by file.
        if os.path.exists(name) or not glob.has_magic(name):  # noqa: PTH110
            files.append(name)
            continue
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        if not found:
            raise DataError(f"{name}: no file has such a name (seen from {Path.cwd()})")
        files += found
    for file, count in Counter(files).items():
        if count > 1:
            raise DataError(f"{file}: is named twice in data.files; name each file once")
    return files


def _check_all_nodes_see(world: World, files: list[str]) -> None:
    """Refuse files that some nodes do not see as others do. All ranks must call it.

    The ranks of a node share the files. Files that no node sees are refused where they are opened.

    Raises:
        DataError: the same on all ranks.
    """
    if world.node_size == world.size:
        return
    own = [_size(file) for file in files[world.node_rank :: world.node_size]]
    everyone = world.gather_json([world.host, world.node_rank, world.node_size, own])
    sizes: list[dict[str, int | None]] = [{} for _ in files]  # of each file, by host
    for host, first, step, found in everyone:
        for by_host, size in zip(sizes[first::step], found, strict=True):
            by_host[host] = size
    world.all_or_raise(lambda: _check_alike(files, sizes))


def _size(file: str) -> int | None:
    """Return a file's bytes; None if this node does not see it."""
    try:
        return Path(file).stat().st_size
    except OSError:
        return None


def _check_alike(files: list[str], sizes: list[dict[str, int | None]]) -> None:
    """Refuse a file of which the nodes see different sizes, or some none."""
    for file, by_host in zip(files, sizes, strict=True):
        without = [host for host, size in by_host.items() if size is None]
        seeing = [(host, size) for host, size in by_host.items() if size is not None]
        other = next((each for each in seeing if each[1] != seeing[0][1]), None)
        if without and seeing:
            some = (
                without[0] if len(without) == 1 else f"{len(without)} nodes, such as {without[0]},"
            )
            what = f"{some} cannot see it, and {seeing[0][0]} can"
        elif other:
            (host, size), (other_host, other_size) = seeing[0], other
            what = f"has {size} bytes on {host} and {other_size} on {other_host}"
        else:
            continue
        raise DataError(
            f"{file}: {what}; put the data where all nodes see it, or the same copy on each"
        )


def _header_or_error(file: str, data: DataConfig) -> dict[str, Any]:
    """Return a file's header, or what is wrong with the file: both can be sent to other ranks."""
    try:
        return _header(file, data.images, data.labels)
    except UserError as error:
        return {"error": str(error), "kind": type(error).__name__}


def _header(file: str, images: str, labels: str | None) -> dict[str, Any]:
    """Return what ``headers.header`` has of one file; ``chunk`` are the samples read at once."""
    check_is_file(Path(file), "data file", DataError)
    try:
        Path(file).open("rb").close()
    except OSError as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None
    found: dict[str, Any] = call_on_data(headers.header, file, images, labels)[0]
    return found | {"chunk": _samples_a_read(found)}


def _samples_a_read(header: dict[str, Any]) -> int:
    """Return how many samples are read at once: whole chunks of HDF5's, of about 1 MiB."""
    sample_bytes = math.prod(header["shape"]) * np.dtype(header["dtype"]).itemsize
    most = default_chunk(sample_bytes, max(1, header["length"]))
    chunk = header["chunk"]
    if chunk is None:  # in one piece, or a view of other files
        return most
    return int(chunk) * max(1, most // chunk)


def _join(files: list[str], headers: list[dict[str, Any]], data: DataConfig) -> Source:
    """Return files that agree as one array."""
    for header in headers:
        if "error" in header:
            wrong: UserError = getattr(errors, header["kind"])(header["error"])
            raise wrong
    first = headers[0]
    for file, header in zip(files, headers, strict=True):
        if any(header[key] != first[key] for key in ("shape", "dtype")):
            raise DataError(
                f"{file}: '{data.images}' holds {header['dtype']} samples of shape "
                f"{tuple(header['shape'])}, but {files[0]} holds {first['dtype']} of shape "
                f"{tuple(first['shape'])}; all files must agree"
            )
        if header["values"] != first["values"]:
            raise DataError(
                f"{file}: its values were mapped by {header['values'] or 'nothing'}, and those of "
                f"{files[0]} by {first['values'] or 'nothing'} (attribute 'values'); convert them "
                "with the same --values, with its numbers"
            )
        if header["of_label"] != first["of_label"]:
            raise DataError(
                f"{file}: '{data.labels}' has labels of shape {tuple(header['of_label'])}, and "
                f"{files[0]} of shape {tuple(first['of_label'])}; all files must agree"
            )
        if header["classes"] != first["classes"]:
            raise DataError(
                f"{file}: its classes have other names than those of {files[0]} (attribute "
                f"'classes' of '{data.labels}'): a label would mean two things; convert them "
                "together"
            )
    lengths = tuple(header["length"] for header in headers)
    if not sum(lengths):
        raise DataError(f"{', '.join(files)}: there are no samples in '{data.images}'")
    return Source(
        files=tuple(files),
        lengths=lengths,
        chunks=tuple(header["chunk"] for header in headers),
        images=data.images,
        labels=data.labels,
        sample_shape=tuple(first["shape"]),
        dtype=first["dtype"],
        values=first["values"],
        classes=None if first["classes"] is None else tuple(first["classes"]),
        others={file: h["others"] for file, h in zip(files, headers, strict=True) if h["others"]},
    )
