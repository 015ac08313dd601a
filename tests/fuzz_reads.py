"""All that hpcgan and hpcgan-data read of a file, so that what comes of it can be compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py

from data_tools import convert, describe, reshard, verify
from hpcgan import checkpoint
from hpcgan.config import DataConfig
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.source import open_source
from hpcgan.errors import DataError, UserError
from hpcgan.world import World


def by_a_run(path: str) -> object:
    """Return all that a run takes from a file, so that two can be compared."""
    if Path(path).read_bytes().startswith(checkpoint.FORMAT.encode()[:6]):
        return _read_checkpoint(path)
    try:
        return _read_data(path)
    except UserError:
        _read_checkpoint(path)  # a checkpoint may have lost its first bytes
        raise


def _read_checkpoint(path: str) -> object:
    found = checkpoint.read(Path(path))
    arrays = {
        f"{group}/{name}": (array.dtype.str, array.shape, array.tobytes())
        for group, named in found.groups.items()
        for name, array in named.items()
    }
    return found.step, found.images, found.config, found.sample_shape, found.dtype, arrays


def _read_data(path: str) -> object:
    source = open_source(_world(), DataConfig(files=[path], labels="labels"))
    reader = ChunkReader(source, [0])
    labels = source.read_labels()
    images = [
        reader.read(range(int(begin), int(end))).tobytes()
        for begin, end in zip(source.chunk_offsets[:-1], source.chunk_offsets[1:], strict=True)
    ]
    kind = (source.sample_shape, source.dtype, len(source), labels.dtype.str)
    return kind, labels.tobytes(), b"".join(images)


def by_inspect(path: str) -> object:
    """Return what ``inspect`` tells and draws."""
    picture = _out(path).with_suffix(".png")
    lines = describe.describe(path, "images", None).splitlines()
    describe.draw(path, "images", picture)
    return lines[1:], picture.read_bytes()


def by_verify(path: str) -> object:
    """Return what ``verify`` finds, which must be something where a run finds something."""
    found, _ = verify.check(path, "images", None)
    problems = found.pop("problems")
    if problems:
        raise DataError(f"{path}: {'; '.join(problems)}")
    if found["labels"]:
        try:
            _read_data(path)
        except UserError as error:
            raise AssertionError(f"verify found nothing, but a run: {error}") from None
    return found


def by_reshard(path: str) -> object:
    """Return what is in the file that ``reshard`` writes."""
    reshard.reshard(_world(), reshard.Resharding([path], _out(path)))
    return _written(path)


def by_convert(path: str) -> object:
    """Return what is in the file that ``convert`` writes."""
    convert.convert(_out(path), convert.Conversion(Path(path)), _world())
    return _written(path)


def _out(path: str) -> Path:
    """Return where to write; an error that names it does not name the damaged file."""
    return Path(path).with_name("out.h5")


def _written(path: str) -> object:
    """Return what was written, a file of our own."""
    with h5py.File(_out(path)) as file:
        return {
            name: (array.dtype.str, array.shape, array[:].tobytes(), dict(array.attrs))
            for name, array in file.items()
        }


_world = cache(World)

TOOLS: dict[str, Callable[[str], object]] = {
    "inspect": by_inspect,
    "verify": by_verify,
    "reshard": by_reshard,
    "convert": by_convert,
}
