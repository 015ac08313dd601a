"""HDF5 files as one array of samples: what they hold, told from their headers.

Files are opened to look at them, closed, and opened again by whoever reads: no handle is kept, so
none is shared between processes, and thousands of files need no thousands of handles. They are
opened without HDF5's file locks, which read-only network file systems refuse and readers do not
need.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan.config import DataConfig
from hpcgan.errors import DataError
from hpcgan.files import check_is_file, default_chunk
from hpcgan.world import World

_DTYPES = ("uint8", "float32")


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
    """

    files: tuple[str, ...]
    lengths: tuple[int, ...]
    chunks: tuple[int, ...]
    images: str
    labels: str | None
    sample_shape: tuple[int, ...]
    dtype: str

    def __len__(self) -> int:
        """Return the number of samples in all files."""
        return sum(self.lengths)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return int(np.prod(self.sample_shape)) * np.dtype(self.dtype).itemsize

    @cached_property
    def firsts(self) -> np.ndarray:
        """The number of each file's first sample, int64."""
        return np.cumsum([0, *self.lengths])[:-1]

    @cached_property
    def edges(self) -> np.ndarray:
        """The numbers of the first samples of all chunks and N, int64, ascending."""
        edges = [
            np.arange(first, first + length, chunk)
            for first, length, chunk in zip(self.firsts, self.lengths, self.chunks, strict=True)
        ]
        return np.concatenate([*edges, [len(self)]]).astype(np.int64)

    def locate(self, sample: int) -> tuple[int, int]:
        """Return the number of the file that holds a sample, and the sample's row there."""
        # The last of the files that begin here: those before it are empty.
        file = int(np.searchsorted(self.firsts, sample, side="right")) - 1
        return file, sample - int(self.firsts[file])

    def read_labels(self) -> np.ndarray:
        """Return all labels, (N,).

        Raises:
            DataError: a file cannot be read.
        """
        assert self.labels is not None
        parts = []
        for file in self.files:
            try:
                with h5py.File(file, "r", locking=False) as opened:
                    parts.append(opened[self.labels][:])
            except (OSError, KeyError) as error:
                raise DataError(f"{file}: '{self.labels}' cannot be read: {error}") from None
        return np.concatenate(parts)


def open_source(world: World, data: DataConfig) -> Source:
    """Look at the headers of ``data.files`` and return them as one array.

    Rank 0 lists the files, and the ranks share the headers: each file is opened by one of them.
    All ranks must call it.

    Raises:
        DataError: a file or dataset is missing, has a wrong shape or dtype, or differs from the
            first file's; the message names it. It is the same on all ranks.
    """
    files = world.on_root(lambda: list_files(data.files))
    own = [_header_or_error(file, data) for file in files[world.rank :: world.size]]
    parts = world.gather_json(own)
    headers = [parts[number % world.size][number // world.size] for number in range(len(files))]
    return world.together(lambda: _join(files, headers, data))


def list_files(names: list[str]) -> list[str]:
    """Return the files that paths and patterns (``*``, ``?``, ``[]``, ``**``) name.

    They stay in the order given; those of a pattern are sorted by name.

    Raises:
        DataError: a pattern fits no file, or a file is named twice.
    """
    files: list[str] = []
    for name in names:
        # Not by Path: it raises where one may not look, which is told later, by the file's name.
        if os.path.exists(name) or not glob.has_magic(name):  # noqa: PTH110
            files.append(name)
            continue
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        if not found:
            raise DataError(f"{name}: no file has such a name (seen from {Path.cwd()})")
        files += found
    twice = (
        {file for file in files if files.count(file) > 1} if len(set(files)) < len(files) else ()
    )
    for file in twice:
        raise DataError(f"{file}: is named twice in data.files; name each file once")
    return files


def _header_or_error(file: str, data: DataConfig) -> dict[str, Any]:
    """Return a file's header, or what is wrong with the file: both can be sent to other ranks."""
    try:
        return _header(file, data.images, data.labels)
    except DataError as error:
        return {"error": str(error)}


def _join(files: list[str], headers: list[dict[str, Any]], data: DataConfig) -> Source:
    """Return files that agree as one array."""
    for header in headers:
        if "error" in header:
            raise DataError(header["error"])
    first = headers[0]
    for file, header in zip(files, headers, strict=True):
        if any(header[key] != first[key] for key in ("shape", "dtype")):
            raise DataError(
                f"{file}: '{data.images}' holds {header['dtype']} samples of shape "
                f"{tuple(header['shape'])}, but {files[0]} holds {first['dtype']} of shape "
                f"{tuple(first['shape'])}; all files must agree"
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
    )


def _header(file: str, images: str, labels: str | None) -> dict[str, Any]:
    """Return one file's number of samples, samples a chunk, sample shape and dtype."""
    check_is_file(Path(file), "data file", DataError)
    try:
        opened = h5py.File(file, "r", locking=False)
    except OSError as error:
        raise DataError(f"{file}: not readable as HDF5: {error}") from None
    with opened:
        array = _dataset(opened, file, images)
        if array.ndim not in (4, 5) or 0 in array.shape[1:]:
            raise DataError(
                f"{file}: dataset '{images}' has shape {array.shape}; it must be (N, H, W, C) "
                "or (N, D, H, W, C)"
            )
        if array.dtype.name not in _DTYPES:
            raise DataError(
                f"{file}: dataset '{images}' has dtype {array.dtype.name}; it must be uint8 "
                "or float32"
            )
        if array.is_virtual:
            _check_virtual(array, file)
        check_filters(array, file)
        if labels is not None:
            _check_labels(_dataset(opened, file, labels), array.shape[0], file, labels)
        return {
            "length": array.shape[0],
            "chunk": _samples_a_read(array),
            "shape": list(array.shape[1:]),
            "dtype": array.dtype.name,
        }


def _samples_a_read(array: Any) -> int:
    """Return how many samples are read at once: whole chunks of HDF5's, of about 1 MiB."""
    sample_bytes = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    most = default_chunk(sample_bytes, max(1, array.shape[0]))
    if array.chunks is None:  # in one piece, or a view of other files
        return most
    chunk = int(array.chunks[0])
    return chunk * max(1, most // chunk)


def _dataset(opened: Any, file: str, name: str) -> Any:
    """Return a dataset of an open file; of this file, not of one that a link inside it names."""
    found = None
    if isinstance(opened.get(name, getlink=True), h5py.ExternalLink):
        raise DataError(f"{file}: '{name}' is a link to another file; name that file instead")
    found = opened.get(name)
    if not isinstance(found, h5py.Dataset):
        there = ", ".join(k for k, v in opened.items() if isinstance(v, h5py.Dataset)) or "none"
        raise DataError(f"{file}: there is no dataset '{name}'; its datasets are: {there}")
    if found.external:
        raise DataError(
            f"{file}: '{name}' keeps its content in files that are not HDF5; convert it"
        )
    return found


def _check_virtual(array: Any, file: str) -> None:
    """Refuse a virtual dataset with a part that no file fills: HDF5 would read zeros there."""
    filled = 0
    for part in array.virtual_sources():
        filled += part.vspace.get_select_npoints()
        if part.file_name == ".":
            continue
        path = virtual_path(file, part.file_name)
        try:
            with h5py.File(path, "r", locking=False) as opened:
                found = opened.get(part.dset_name)
                fits = isinstance(found, h5py.Dataset) and _covers(found, part)
        except OSError as error:
            raise DataError(f"{file}: a view of {path}, which is not readable: {error}") from None
        if not fits:
            raise DataError(f"{file}: a view of more of '{part.dset_name}' than {path} holds")
    if filled != array.size:
        raise DataError(
            f"{file}: '{array.name}' is a view of other files that fill {filled} of its "
            f"{array.size} values"
        )


def _covers(found: Any, part: Any) -> bool:
    """Return whether a dataset has all that a part of a virtual one takes from it."""
    if part.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return bool(found.size == part.vspace.get_select_npoints())
    _, last = part.src_space.get_select_bounds()
    return len(last) == found.ndim and all(i < n for i, n in zip(last, found.shape, strict=True))


def virtual_path(file: str, name: str) -> Path:
    """Return where HDF5 looks for a file that a virtual dataset of ``file`` names."""
    beside = Path(file).parent / name
    return beside if os.path.exists(beside) else Path(name)  # noqa: PTH110


def check_filters(array: Any, file: str) -> None:
    """Refuse a compression that this HDF5 cannot undo; plugins are found when installed."""
    plan = array.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            with_plugins = _import_plugins()
            if not (with_plugins and h5py.h5z.filter_avail(code)):
                raise DataError(
                    f"{file}: '{array.name}' is compressed with filter {code} "
                    f"({name.decode(errors='replace') or 'no name'}), which is not installed; "
                    "pip install hdf5plugin, or write the file again with gzip"
                )


def _import_plugins() -> bool:
    """Make the filters of hdf5plugin (Blosc, Zstandard, LZ4, ...) known if it is installed."""
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return True


def _check_labels(array: Any, samples: int, file: str, name: str) -> None:
    """Refuse labels of another length, shape or kind."""
    if array.shape != (samples,):
        raise DataError(
            f"{file}: dataset '{name}' has shape {array.shape}; for {samples} samples it must "
            f"be ({samples},)"
        )
    if array.dtype.kind not in "iu" and array.dtype.name != "float32":
        raise DataError(
            f"{file}: dataset '{name}' has dtype {array.dtype.name}; labels are integers or float32"
        )
