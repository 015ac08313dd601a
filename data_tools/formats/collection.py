"""Many pictures as samples: those of a folder, an archive or a database.

All headers are read before anything else, each rank its part of them: what is no picture is left
out, and what all become together (grey or colour) is known before the first is written.
"""

from __future__ import annotations

import lzma
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from data_tools import named_labels
from data_tools.account import BROKEN, Account
from data_tools.conversion import Conversion
from data_tools.formats import Images
from data_tools.formats.picture_kinds import Look, Wanted, background, wanted
from data_tools.formats.pictures import FORMATS, check_shape, decode, look
from data_tools.labels import in_order
from hpcgan.errors import DataError
from hpcgan.terminal import is_watched
from hpcgan.world import World

# What reading a damaged archive raises; zipfile raises the last two.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)

# Folders that are parts of a data set, and no classes.
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}
_STYLEGAN = "dataset.json"


@dataclass(frozen=True)
class Held:
    """The files that a source holds.

    Attributes:
        origin: the source.
        names: of the files, with "/" between folders.
        open: opens one for reading; it may raise what is in ``DAMAGE``.
        folders: of the first level, whose names are classes.
        has_classes: whether the first folder in a name is its class.
        is_sorted: whether samples are in the order of classes and names, instead of the source's.
        has_others: whether files that are no pictures are expected, and left out.
        between: what is between the origin and a name in messages.
    """

    origin: str
    names: list[str]
    open: Callable[[str], IO[bytes]]
    folders: Sequence[str] = field(default=())
    has_classes: bool = True
    is_sorted: bool = True
    has_others: bool = True
    between: str = ": "

    def named(self, name: str) -> str:
        """Return a file's name for messages."""
        return f"{self.origin}{self.between}{name}"


def images_of(held: Held, conversion: Conversion, account: Account, world: World) -> Images:
    """Return the pictures of a source as samples. All ranks must call it, with the same ``held``.

    Raises:
        ConfigError: ``--background`` is no colour.
        DataError: there are no pictures, some are damaged, or they do not agree.
    """
    pairs = world.on_root(lambda: _stylegan(held))
    looks = _looks(held, conversion, world)
    if pairs is not None:
        looks.pop(_STYLEGAN)
        if conversion.labels is None:
            what = "labels from" if pairs else "no labels, as says"
            account.note(f"{what} StyleGAN's {_STYLEGAN}; its folders are no classes")
    has_classes = held.has_classes and pairs is None and conversion.labels is None
    found, classes = _kept(held, looks, has_classes, conversion, account)
    names = list(found)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[_folder(name)] for name in names]) if classes else None
    if pairs and conversion.labels is None:
        origin = held.named(_STYLEGAN)
        labels = world.all_or_raise(lambda: named_labels.matched(pairs, names, origin, account))
    become = _agreed(held, found, conversion, account)
    shape = (*(become.size or found[names[0]][1:]), become.channels)
    is_mapped = become.dtype != np.uint8 and not conversion.values
    if is_mapped:
        account.note("--values minmax, as is the default for pictures of floats or 32 bits")
    return Images(
        held.origin,
        (len(names), *shape),
        become.dtype,
        _Reader(held, names, become, shape, account).read,
        labels=labels,
        classes=tuple(map(_as_text, classes)),
        layout="NHWC",
        names=names,
        values=("minmax",) if is_mapped else (),
    )


def _kept(
    held: Held,
    looks: dict[str, Look | str | None],
    has_classes: bool,
    conversion: Conversion,
    account: Account,
) -> tuple[dict[str, Look], list[str]]:
    """Return the pictures in the order of the samples, and their classes; leave out all others."""
    for name in [name for name, found in looks.items() if found is None]:
        account.leave_out("no picture", name)
        del looks[name]
    has_classes = has_classes and any(map(_folder, looks))
    found = _whole(looks, conversion, account)
    for name in [name for name in found if has_classes and not _folder(name)]:
        account.leave_out("picture beside the folders of classes", name)
        del found[name]
    if not found:
        raise DataError(
            f"{held.origin}: there are no pictures in it or its folders ({FORMATS})",
            on_all_ranks=True,
        )
    with_pictures = in_order(set(map(_folder, found)) - {""})
    for name in sorted(set(held.folders) - set(with_pictures)):
        account.leave_out("folder without pictures", name)
    classes = with_pictures if has_classes else []
    if classes and all(name.lower() in _PARTS for name in classes):
        raise DataError(
            f"{held.origin}: its folders {', '.join(classes)} seem to be parts of the data, not "
            "classes; convert each by itself, or --labels none for all of them without labels",
            on_all_ranks=True,
        )
    if held.is_sorted:
        numbers = {name: number for number, name in enumerate(classes)}
        order = sorted(found, key=lambda n: (numbers.get(_folder(n), 0), n.split("/")))
        found = {name: found[name] for name in order}
    return found, classes


@dataclass(frozen=True)
class _Reader:
    """Reads runs of pictures."""

    held: Held
    names: list[str]
    wanted: Wanted
    shape: tuple[int, ...]
    account: Account

    def read(self, run: range) -> np.ndarray:
        """Return the pixels of a run of samples."""
        images = np.empty((len(run), *self.shape), self.wanted.dtype)
        with warnings.catch_warnings():  # Pillow's, about metadata
            warnings.simplefilter("ignore")
            for place, name in enumerate(self.names[run.start : run.stop]):
                origin = self.held.named(name)
                pixels = decode(_content(self.held, name), origin, self.wanted, self.account)
                check_shape(pixels, self.shape, origin)
                images[place] = pixels
        return images


def _content(held: Held, name: str) -> bytes:
    """Return a file's content."""
    try:
        with held.open(name) as file:
            return file.read()
    except DAMAGE as error:
        raise DataError(_unreadable(held, name, error)) from None


def _unreadable(held: Held, name: str, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"{held.named(name)}: cannot be read: {why}; --skip-broken leaves such files out"


def _looks(held: Held, conversion: Conversion, world: World) -> dict[str, Look | str | None]:
    """Return by name what all headers say: None of no picture, a text of one that is damaged."""
    colour = world.all_or_raise(lambda: background(conversion))

    def own() -> list[Any]:
        total = len(held.names)
        first, stop = (total * rank // world.size for rank in (world.rank, world.rank + 1))
        found: list[Any] = []
        hidden = not (world.is_root and is_watched())
        own_names = held.names[first:stop]
        for name in tqdm(own_names, "looking", unit="file", disable=hidden, leave=False):
            try:
                with held.open(name) as file:
                    seen: Look | str | None = look(
                        file, held.named(name), colour, conversion.skip_broken
                    )
                if seen is None and not held.has_others:
                    seen = f"{held.named(name)}: is no picture; --skip-broken leaves such out"
                found.append(seen)
            except DataError as error:
                found.append(str(error))
            except DAMAGE as error:
                found.append(_unreadable(held, name, error))
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = [each for part in world.gather_json(own()) for each in part]
    return {
        name: Look(*each) if isinstance(each, list) else each
        for name, each in zip(held.names, every, strict=True)
    }


def _folder(name: str) -> str:
    """Return the first folder in a name, "" if there is none."""
    return name.partition("/")[0] if "/" in name else ""


def _as_text(name: str) -> str:
    """Return a file system's name as text: bytes of it that are none as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _whole(
    looks: dict[str, Look | str | None], conversion: Conversion, account: Account
) -> dict[str, Look]:
    """Return the pictures that are whole; others are left out, or refused."""
    broken = {name: each for name, each in looks.items() if isinstance(each, str)}
    if broken and not conversion.skip_broken:
        more = f" ({len(broken)} such files)" if len(broken) > 1 else ""
        raise DataError(f"{next(iter(broken.values()))}{more}", on_all_ranks=True)
    for name in broken:
        account.leave_out(BROKEN, name)
    return {name: each for name, each in looks.items() if isinstance(each, Look)}


def _agreed(held: Held, found: dict[str, Look], conversion: Conversion, account: Account) -> Wanted:
    """Return what all pictures become, and note which of them change for it."""
    of_kind: dict[str, list[str]] = {}
    for name, each in found.items():
        of_kind.setdefault(each.kind, []).append(name)
    try:
        become = wanted({each.kind for each in found.values()}, conversion)
    except DataError as error:
        shown = ", ".join(f"{n[0]} ({kind})" for kind, n in of_kind.items())
        raise DataError(f"{held.origin}: {error}: {shown}", on_all_ranks=True) from None
    greys = [name for name, each in found.items() if each.kind != "colour"]
    if become.channels == 3 and greys:
        account.note_all("grey pictures among colours became colour (--grey: all grey)", greys)
    if become.channels == 1 and "colour" in of_kind:
        account.note_all("colours became grey (--grey)", of_kind["colour"])
    _check_sizes(held, found, conversion, account)
    return become


def _check_sizes(
    held: Held, found: dict[str, Look], conversion: Conversion, account: Account
) -> None:
    """Refuse pictures of several sizes, unless they are scaled to one."""
    sizes = Counter((each.height, each.width) for each in found.values())
    if conversion.size is None and len(sizes) > 1:
        height, width = sizes.most_common(1)[0][0]
        others = [
            (name, each)
            for name, each in found.items()
            if (each.height, each.width) != (height, width)
        ]
        name, other = others[0]
        raise DataError(
            f"{held.named(name)}: is {other.height} x {other.width}, and {len(others)} of "
            f"{len(found)} pictures are not {height} x {width}; all must agree, as --size has them",
            on_all_ranks=True,
        )
    if conversion.size and not conversion.crop:
        height, width = conversion.size
        account.note_all(
            "pictures of another ratio stretched (--crop cuts out their middle)",
            [name for name, each in found.items() if each.height * width != each.width * height],
        )


def _stylegan(held: Held) -> list[list[Any]] | None:
    """Return the names and labels in StyleGAN's dataset.json, if that is there: [] without any."""
    if _STYLEGAN not in held.names:
        return None
    try:
        return named_labels.pairs(_content(held, _STYLEGAN))
    except ValueError:  # another's file of that name
        return None
