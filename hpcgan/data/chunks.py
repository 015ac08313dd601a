"""Samples from files, a chunk at a time, by several threads at once.

HDF5 lets one thread in at a time, and damaged files crash it. So another process finds out once
where a file's chunks are; then their bytes are read from there with the system's own calls, and
gzip is undone by zlib-ng, which both let other threads run. Chunks that need more than that (other
filters, views of other files, foreign byte order) are read by that process, one at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from zlib_ng import zlib_ng

from hpcgan.data import headers
from hpcgan.data.shards import ChunkSlice
from hpcgan.data.source import Source
from hpcgan.errors import DataError
from hpcgan.files import read_at
from hpcgan.hdf5 import Hdf5Error, call


@dataclass(frozen=True)
class Places:
    """Where the samples of a file are, for reading them without HDF5.

    Attributes:
        rows: samples of one of HDF5's chunks; of a dataset in one piece, all samples.
        offsets: where each chunk begins in the file, bytes.
        sizes: bytes of each chunk in the file.
        filters: HDF5's numbers of what was done to the bytes: nothing, gzip, shuffle and gzip.
    """

    rows: int
    offsets: np.ndarray
    sizes: np.ndarray
    filters: list[int]

    def find(self, first: int, last: int, sample_bytes: int) -> list[tuple[int, int]]:
        """Return the runs of bytes (begin, end) that hold samples ``first`` to ``last``."""
        if not self.filters and len(self.offsets) == 1:
            begin = int(self.offsets[0])
            return [(begin + first * sample_bytes, begin + (last + 1) * sample_bytes)]
        chunks = slice(first // self.rows, last // self.rows + 1)
        begins, sizes = self.offsets[chunks], self.sizes[chunks]
        return list(zip(begins.tolist(), (begins + sizes).tolist(), strict=True))


class ChunkReader:
    """Reads slices of chunks; from any number of threads."""

    def __init__(self, source: Source, files: Iterable[int]) -> None:
        """Find out where the samples of some of a source's files, by number, are.

        Raises:
            DataError: a file cannot be read, or is no longer as ``source`` describes it.
        """
        self.source = source
        # Where each file is read from: a copy when the data are staged.
        self.paths = {file: source.files[file] for file in files}
        self.places: dict[int, Places | None] = {}
        # Of files whose samples are in other files: first and last row + 1 in each, and its path.
        self.views: dict[int, list[tuple[int, int, str]]] = {}
        self._kept = threading.local()
        for file in self.paths:
            self._look_up(file)

    def read(self, chunk_slice: ChunkSlice) -> np.ndarray:
        """Return the samples of a chunk slice, (len(chunk_slice), *sample_shape).

        They may be overwritten when the same thread reads again.

        Raises:
            DataError: they cannot be read, or hold what is not finite.
        """
        file, first = self.source.locate(int(chunk_slice[0]))
        last = first + int(chunk_slice[-1]) - int(chunk_slice[0])
        try:
            rows = self._read_rows(file, first, last + 1)
        except (OSError, Hdf5Error, EOFError, zlib_ng.error) as error:  # type: ignore[misc]
            reason = os.strerror(error.errno) if getattr(error, "errno", None) else error
            raise DataError(
                f"{self.paths[file]}: samples {first} to {last} of '{self.source.images}' cannot "
                f"be read: {reason}"
            ) from None
        rows = (
            rows[:: chunk_slice.step]
            if isinstance(chunk_slice, range)
            else rows[chunk_slice - chunk_slice[0]]
        )
        if rows.dtype.kind == "f":
            self._check_finite(rows, file, chunk_slice)
        return rows

    def _look_up(self, file: int) -> None:
        """Find out how the samples of one file are reached."""
        path, source = self.paths[file], self.source
        try:
            found, arrays = call(headers.places, path, source.images)
        except Hdf5Error as error:
            raise DataError(f"{path}: '{source.images}' cannot be read: {error}") from None
        expected = [source.lengths[file], *source.sample_shape]
        if (found["shape"], found["dtype"]) != (expected, source.dtype):
            raise DataError(f"{path}: '{source.images}' has changed since it was opened")
        self.places[file] = None
        if arrays:
            offsets, sizes = arrays
            self.places[file] = Places(found["rows"], offsets, sizes, found["filters"])
        if found["view"]:
            self.views[file] = found["view"]

    def _read_rows(self, file: int, start: int, stop: int) -> np.ndarray:
        """Return rows of a file."""
        places = self.places[file]
        out = self._memory(stop - start)
        if places is None:
            self._read_by_hdf5(file, start, stop, out)
            return out
        descriptor = os.open(self.paths[file], os.O_RDONLY)
        try:
            for chunk in range(start // places.rows, (stop - 1) // places.rows + 1):
                begin = chunk * places.rows
                low, high = max(start, begin), min(stop, begin + places.rows)
                part = out[low - start : high - start]
                if not places.filters:
                    skipped = (low - begin) * self.source.sample_bytes
                    read_at(descriptor, part, int(places.offsets[chunk]) + skipped)
                else:
                    part[:] = self._decoded(descriptor, places, chunk)[low - begin : high - begin]
        finally:
            os.close(descriptor)
        return out

    def _memory(self, count: int) -> np.ndarray:
        """Return this thread's memory for ``count`` samples, used again by each read."""
        kept = getattr(self._kept, "memory", None)
        if kept is None or len(kept) < count:
            kept = np.empty((count, *self.source.sample_shape), self.source.dtype)
            self._kept.memory = kept
        return kept[:count]

    def _decoded(self, descriptor: int, places: Places, chunk: int) -> np.ndarray:
        """Return the samples of a chunk that was compressed."""
        stored = np.empty(int(places.sizes[chunk]), np.uint8)
        read_at(descriptor, stored, int(places.offsets[chunk]))
        length = places.rows * self.source.sample_bytes
        stream = zlib_ng.decompressobj()
        # Never much more than a chunk, whatever the bytes expand to. The one byte more
        # has zlib read on to its checksum at the end.
        content = stream.decompress(stored, length + 1)
        if len(content) != length or not stream.eof:
            raise EOFError(f"a chunk is damaged: it holds {len(content)} bytes, not {length}")
        values = np.frombuffer(content, np.uint8)
        if places.filters == headers.SHUFFLED_GZIP:
            # Stored are the first bytes of all values, then the second ones, and so on.
            values = values.reshape(np.dtype(self.source.dtype).itemsize, -1).T.reshape(-1)
        return values.view(self.source.dtype).reshape(places.rows, *self.source.sample_shape)

    def _read_by_hdf5(self, file: int, start: int, stop: int, out: np.ndarray) -> None:
        """Read rows of a file through HDF5."""
        for begin, end, path in self.views.get(file, []):
            # HDF5 reads zeros where the file of a view is missing.
            if begin < stop and start < end and not os.path.isfile(path):  # noqa: PTH113
                raise OSError(f"it is a view of {path}, which is gone")
        arguments = (self.paths[file], self.source.images, start, stop)
        out[:] = call(headers.rows, *arguments)[1][0]

    def _check_finite(self, rows: np.ndarray, file: int, chunk_slice: ChunkSlice) -> None:
        """Refuse samples that hold NaN or infinity: the networks would not recover."""
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(rows.sum()):  # a false alarm, when it overflows, costs a second look
                return
        for sample, values in zip(chunk_slice, rows, strict=True):
            if not np.isfinite(values).all():
                _, row = self.source.locate(int(sample))
                raise DataError(
                    f"{self.paths[file]}: sample {row} of '{self.source.images}' holds values "
                    "that are not finite; hpcgan-data verify lists all of them"
                )
