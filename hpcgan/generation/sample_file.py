"""One file of samples, written as they come: HDF5, ROOT's, NumPy's or a picture.

An HDF5 file has the same bytes whenever it is written: its chunks are of a fixed size, follow one
another, and nothing in it tells the time. A picture shows the samples in one grid, as the networks
see them; it and NumPy's format are made in memory, and so have a limit.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from hpcgan import pictures
from hpcgan.blocks import BLOCK
from hpcgan.errors import ConfigError
from hpcgan.files import Disk, default_chunk, whole_file, write_whole, writing
from hpcgan.generation import root_file, seal
from hpcgan.generation.form import Form
from hpcgan.generation.producer import Block

_MOST_IN_MEMORY = 2**30  # bytes


def check_size(form: Form, count: int) -> None:
    """Refuse more samples than a format that is made in memory may hold.

    Raises:
        ConfigError: there are more.
    """
    most = _MOST_IN_MEMORY // form.sample_bytes
    if form.output.suffix in (".npz", ".png") and count > most:
        raise ConfigError(
            f"--count {count}: a {form.output.suffix} is made in memory and holds {most} of these "
            "samples at most (1 GiB); write .h5, or a directory"
        )


def write(
    out: Path, form: Form, count: int, blocks: Iterator[Block], fingerprint: str = ""
) -> None:
    """Write ``count`` samples, which appear as ``out`` when they are whole.

    Args:
        out: the file.
        form: of what is written; its suffix is the format.
        count: samples of all blocks.
        blocks: the samples, as generators make them, and their labels.
        fingerprint: kept in the file, which is sealed with it; "" for a file that is not sealed.

    Raises:
        RunError: it cannot be written; an old one is then as it was.
        What ``blocks`` raises.
    """
    pieces = (_pieces(form, block) for block in blocks)
    if form.output.suffix in (".npz", ".png"):
        _write_in_memory(out, [each for piece in pieces for each in piece])
        return
    with whole_file(out) as disk:
        flat = (each for piece in pieces for each in _checked(out, disk, piece))
        if form.output.suffix == ".root":
            with writing(out):
                root_file.write(disk, form, flat, fingerprint)
        else:
            _write_hdf5(disk, form, count, flat, fingerprint)
        with writing(out):
            disk.check()
            if fingerprint:
                seal.add(disk, fingerprint)


def _pieces(form: Form, block: Block) -> Iterator[dict[str, np.ndarray]]:
    """Yield what is written of a chunk, of as many samples as are mapped at once."""
    images, labels = block
    for first in range(0, len(images), BLOCK):
        here = slice(first, first + BLOCK)
        yield form.datasets(images[here], None if labels is None else labels[here])


def _checked(
    out: Path, disk: Disk, pieces: Iterator[dict[str, np.ndarray]]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield a chunk's pieces; the disk may have filled up meanwhile."""
    yield from pieces
    with writing(out):
        disk.check()


def _write_in_memory(out: Path, pieces: list[dict[str, np.ndarray]]) -> None:
    datasets = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    content = io.BytesIO()
    if out.suffix == ".npz":
        np.savez(content, **datasets)
    else:
        pictures.grid(datasets["images"]).save(content, format="PNG")
    write_whole(out, content.getbuffer())


def _write_hdf5(
    disk: Disk, form: Form, count: int, pieces: Iterator[dict[str, np.ndarray]], fingerprint: str
) -> None:
    compression = None if form.output.compression == "none" else form.output.compression
    # The oldest format that HDF5 can write, whatever a later HDF5 would choose.
    with h5py.File(disk, "w", libver=("earliest", "v110")) as file:
        if fingerprint:
            file.attrs["fingerprint"] = fingerprint
        for name, one in form.one.items():
            file.create_dataset(
                name,
                (count, *one.shape[1:]),
                one.dtype,
                chunks=(_chunk(one.nbytes, count), *one.shape[1:]),
                compression=compression,
                shuffle=compression is not None and one.itemsize > 1,
                track_times=False,
            )
        end = 0
        for piece in pieces:
            begin, end = end, end + len(next(iter(piece.values())))
            for name, array in piece.items():
                file[name][begin:end] = array


def _chunk(sample_bytes: int, count: int) -> int:
    """Return the samples of HDF5's chunk: a power of 2, of which whole ones make a block, or the
    blocks whole ones."""
    return min(1 << (default_chunk(sample_bytes, 2**40).bit_length() - 1), count)
