"""The command ``convert``: what others keep their images in, as an HDF5 file to train on.

The way of a sample: a format reads it as the source has it; its axes are put in order (``axes``),
its values become uint8 or float32 (``numbers``), and all labels have been made classes or
conditions (``labels``). Each rank reads and writes its own run of chunks; the file is the same,
byte for byte, from any number of ranks. At the end all that was done or left out is said.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from data_tools import axes, datasets, label_files, labels, numbers, writer
from data_tools.account import BROKEN, Account
from data_tools.conversion import Conversion, named_file
from data_tools.formats import Format, Images, readable
from data_tools.formats.archive import TAR, ZIP
from data_tools.formats.arrays import NPY, NPZ
from data_tools.formats.cifar import CIFAR10, CIFAR100, STL10
from data_tools.formats.folder import FOLDER
from data_tools.formats.hdf5 import HDF5
from data_tools.formats.lmdb import LMDB
from data_tools.formats.mnist import IDX
from data_tools.formats.pictures import HEAD, is_picture
from data_tools.formats.tfrecord import TFRECORD
from data_tools.layout import Attributes, Layout
from hpcgan.errors import ConfigError, DataError
from hpcgan.files import write_whole, writing
from hpcgan.terminal import printable
from hpcgan.world import World

# In the order in which a source is tried.
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (HDF5, NPY, NPZ, IDX, CIFAR10, CIFAR100, STL10, TFRECORD, LMDB, ZIP, TAR, FOLDER)
}
_MOST_CLASSES = 4000  # whose names fit into an attribute, which HDF5 limits to 64 KiB


def convert(out: Path, conversion: Conversion, world: World) -> list[str]:
    """Write ``out`` with all ranks and return the lines to print. All ranks must call it.

    Raises:
        ConfigError: an option does not fit the source.
        DataError: the source is not what it should be, or ``out`` cannot be there.
        RunError: ``out`` cannot be written; an old one is then as it was.
    """
    account = Account()
    conversion = datasets.filled(conversion, account)
    steps = world.all_or_raise(lambda: numbers.parse(conversion.values))
    images = _open(conversion, account, world)
    if not conversion.values:
        steps = numbers.parse(images.values)
    images = world.all_or_raise(
        lambda: axes.arrange(
            _labelled(images, conversion, account), conversion.layout, conversion.shape, account
        )
    )
    images = numbers.as_stored(images, steps, account, world)
    world.all_or_raise(lambda: _check_strict(conversion, account))
    layout = world.all_or_raise(lambda: _layout(images, conversion))
    account.keep_on_root(world)

    def content(samples: range) -> dict[str, np.ndarray]:
        pixels = images.read(samples)
        account.see(pixels)
        if images.labels is None:
            return {"images": pixels}
        return {"images": pixels, "labels": images.labels[samples.start : samples.stop]}

    line = writer.write(out, layout, content, world)
    account.gather(world)
    world.on_root(lambda: _list_skipped(out, account.left_out.get(BROKEN, [])))
    lines = [f"values from {account.low:g} to {account.high:g}"]
    if images.labels is None:
        lines.append("no labels")
    else:
        lines.append(labels.describe(images.labels, images.classes))
    return [line, *(f"  {each}" for each in lines + account.lines())]


def _layout(images: Images, conversion: Conversion) -> Layout:
    """Return what is written of images."""
    attributes: Attributes = {"images": dict(images.attributes)}
    if conversion.layout:  # so that a run need not ask whether the channels are last
        attributes["images"]["layout"] = "NHWC" if len(images.shape) == 4 else "NDHWC"
    stored = "u1" if images.dtype == np.uint8 else "<f4"
    datasets = {"images": (images.shape[1:], stored)}
    note = f"{'x'.join(map(str, images.shape[1:]))} {images.dtype}"
    if images.labels is not None:
        kind = images.labels.dtype
        datasets["labels"] = (images.labels.shape[1:], kind.newbyteorder("<").str)
        note += f", labels {kind.name}"
        if images.classes and len(images.classes) <= _MOST_CLASSES:
            attributes["labels"] = {"classes": list(images.classes)}
    return Layout(len(images), datasets, conversion.chunk, conversion.compression, attributes, note)


def _labelled(images: Images, conversion: Conversion, account: Account) -> Images:
    """Return images with the labels that are asked for, as they are stored."""
    if conversion.labels == "none":
        return dataclasses.replace(images, labels=None, classes=())
    named = named_file(conversion.labels) if conversion.labels else None
    if named:
        found = label_files.read(*named, images, account)
        images = dataclasses.replace(images, labels=found, classes=())
    if images.labels is None:
        return images
    origin = str(named[0]) if named else images.origin
    stored, classes = labels.as_stored(images.labels, images.classes, len(images), origin, account)
    return dataclasses.replace(images, labels=stored, classes=classes)


def _list_skipped(out: Path, names: list[str]) -> None:
    """Write the names of what ``--skip-broken`` left out beside ``out``; none leave no file."""
    listed = out.with_name(f"{out.stem}.skipped.txt")
    if names:
        lines = [printable(name).replace("\n", "\\n") for name in names]
        write_whole(listed, "\n".join([*lines, ""]).encode())
    else:
        with writing(listed):
            listed.unlink(missing_ok=True)


def _check_strict(conversion: Conversion, account: Account) -> None:
    """Refuse to leave anything out where that was asked for."""
    if conversion.strict and account.left_out:
        raise DataError(
            f"{conversion.source}: {'; '.join(account.left_out_lines())}; which --strict forbids"
        )


def _open(conversion: Conversion, account: Account, world: World) -> Images:
    """Open the source in its format. All ranks must call it."""
    kind = world.all_or_raise(lambda: readable(conversion.source, lambda: _format(conversion)))
    images = kind.open(conversion, account, world)
    if not len(images):
        raise DataError(f"{conversion.source}: there are no samples in it", on_all_ranks=True)
    return images


def _format(conversion: Conversion) -> Format:
    """Return the format of the source, of which all options must be."""
    source = conversion.source
    if not (source.is_file() or source.is_dir()):  # reading a pipe may never end
        raise DataError(f"{source}: there is no such file or folder")
    if conversion.strict and conversion.skip_broken:
        raise ConfigError("--strict and --skip-broken contradict each other; choose one")
    if conversion.crop and not conversion.size:
        raise ConfigError("--crop needs --size")
    kind = FORMATS[conversion.format] if conversion.format else _found_out(source)
    for option in (
        "dataset",
        "split",
        "images",
        "size",
        "crop",
        "grey",
        "background",
        "skip_broken",
    ):
        default = getattr(Conversion(source), option)
        if getattr(conversion, option) != default and option not in kind.options:
            takers = [each.name for each in FORMATS.values() if option in each.options]
            raise ConfigError(
                f"--{option.replace('_', '-')} is for {', '.join(takers)}, and {source} is "
                f"{kind.name}"
            )
    if conversion.own_labels and "images" not in kind.options:
        raise DataError(f"{conversion.labels}: there is no such file (--labels)")
    return kind


def _found_out(source: Path) -> Format:
    """Find out a source's format by what is in it."""
    found = next((each for each in FORMATS.values() if each.recognises(source)), None)
    if found is None:
        what = "a picture alone; give its folder" if _is_picture(source) else "unknown"
        raise DataError(f"{source}: its format is {what}; set --format: {', '.join(FORMATS)}")
    return found


def _is_picture(source: Path) -> bool:
    with source.open("rb") as file:
        return is_picture(file.read(HEAD))
