"""The command ``convert``: what others keep their images in, as an HDF5 file to train on.

Each rank reads and writes its own run of chunks; the file is the same, byte for byte, from any
number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from data_tools import writer
from data_tools.formats import Images
from data_tools.formats.arrays import open_npy, open_npz
from data_tools.formats.cifar import open_cifar10
from data_tools.formats.hdf5 import is_hdf5, open_hdf5
from data_tools.formats.mnist import is_idx, open_idx
from data_tools.formats.pictures import SUFFIXES, Size, open_folder
from data_tools.formats.tfrecord import open_tfrecord
from data_tools.layout import Attributes, Compression, Layout
from hpcgan.errors import ConfigError, DataError
from hpcgan.files import expanded
from hpcgan.world import World

Format = Literal["folder", "idx", "cifar10", "npy", "npz", "tfrecord", "hdf5"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: dict[Format, tuple[str, ...]] = {
    "npy": (".npy",),
    "npz": (".npz",),
    "cifar10": (".bin",),
    "tfrecord": (".tfrecord", ".tfrecords", ".tfrec"),
    "hdf5": (".h5", ".hdf5"),
}
_MOST_CLASSES = 4000  # whose names fit into an attribute, which HDF5 limits to 64 KiB


@dataclass(frozen=True)
class Conversion:
    """What to convert, and how.

    Attributes:
        source: a file or folder.
        format: None to find it out.
        images: name of the images in .npz and HDF5 sources; None for "images".
        labels: name of the labels there, or the file of the labels of an IDX or .npy source; None
            for "labels" if it is there, and the file that MNIST puts beside its images.
        size: height and width of the samples, to which pictures are scaled.
        crop: whether to cut the middle out of a picture of another ratio.
        grey: whether to keep one channel.
        chunk: samples per chunk; None for about 1 MiB.
        compression: of the chunks.
    """

    source: Path
    format: Format | None = None
    images: str | None = None
    labels: str | None = None
    size: Size = None
    crop: bool = False
    grey: bool = False
    chunk: int | None = None
    compression: Compression = "none"


def convert(out: Path, conversion: Conversion, world: World) -> str:
    """Write ``out`` with all ranks and return a line to print. All ranks must call it.

    Raises:
        ConfigError: an option does not fit the source.
        DataError: the source is not what it should be, or ``out`` cannot be there.
        RunError: ``out`` cannot be written; an old one is then as it was.
    """
    images = world.all_or_raise(lambda: _open(conversion, world))
    datasets = {"images": (images.shape, "u1" if images.dtype == "uint8" else "<f4")}
    if images.labels:
        datasets["labels"] = ((), images.labels)
    attributes: Attributes = {}
    if images.classes and len(images.classes) <= _MOST_CLASSES:
        attributes = {"labels": {"classes": list(images.classes)}}
    note = f"{'x'.join(map(str, images.shape))} {images.dtype}"
    if images.labels:
        note += f", labels {np.dtype(images.labels).name}"
    if images.classes:
        note += " (" + ", ".join(f"{n} {name}" for n, name in enumerate(images.classes)) + ")"
    chunk, compression = conversion.chunk, conversion.compression
    layout = world.all_or_raise(
        lambda: Layout(images.samples, datasets, chunk, compression, attributes, note)
    )

    def content(samples: range) -> dict[str, np.ndarray]:
        pixels, labels = images.read(samples)
        return {"images": pixels} if labels is None else {"images": pixels, "labels": labels}

    return writer.write(out, layout, content, world)


def _open(conversion: Conversion, world: World) -> Images:
    """Open the source in its format."""
    try:
        return _open_source(conversion, world)
    except OSError as error:  # mostly: it may not be read
        path = error.filename or conversion.source
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _open_source(conversion: Conversion, world: World) -> Images:
    given, source = conversion, conversion.source
    if not (source.is_file() or source.is_dir()):  # reading a pipe may never end
        raise DataError(f"{source}: there is no such file or folder")
    kind = given.format or _format_of(source)
    if (given.size or given.crop or given.grey) and kind not in ("folder", "tfrecord"):
        raise ConfigError(f"--size, --crop and --grey are for pictures, and {source} is {kind}")
    if given.crop and not given.size:
        raise ConfigError("--crop needs --size")
    if given.images is not None and kind not in ("npz", "hdf5"):
        raise ConfigError(f"--images is for .npz and HDF5, and {source} is {kind}")
    if given.labels is not None and kind in ("folder", "tfrecord", "cifar10"):
        raise ConfigError(f"--labels is not for {kind}, which {source} is: the labels are in it")
    labels = None if given.labels is None else Path(expanded(given.labels))
    if kind in ("idx", "npy") and labels is not None and not labels.is_file():
        raise DataError(f"{labels}: there is no such file (--labels)")
    if kind == "folder":
        return open_folder(source, given.size, given.crop, given.grey)
    if kind == "tfrecord":
        return open_tfrecord(world, source, given.size, given.crop, given.grey)
    if kind == "idx":
        return open_idx(source, labels)
    if kind == "cifar10":
        return open_cifar10(source)
    if kind == "npy":
        return open_npy(source, labels)
    if kind == "npz":
        return open_npz(source, given.images or "images", given.labels)
    return open_hdf5(source, given.images or "images", given.labels)


def _format_of(source: Path) -> Format:
    """Find out a source's format: by what is in it, then by its name."""
    if source.is_dir():
        names = [path.name.lower() for path in source.iterdir()]
        for kind in ("tfrecord", "cifar10"):
            if any(name.endswith(_SUFFIXES[kind]) for name in names):
                return kind
        return "folder"
    if is_hdf5(source):
        return "hdf5"
    suffix = source.suffix.lower()
    for kind, suffixes in _SUFFIXES.items():
        if suffix in suffixes:
            return kind
    if is_idx(source):
        return "idx"
    hint = "a picture alone; give its folder" if suffix in SUFFIXES else "unknown"
    raise DataError(f"{source}: its format is {hint}; set --format: {', '.join(FORMATS)}")
