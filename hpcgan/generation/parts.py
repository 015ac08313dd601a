"""A directory of samples in parts: which there are, which are missing, and the index of all.

Part p is ``samples-00000p.h5`` and holds samples p * part_size to (p + 1) * part_size - 1. It is
written beside its name, sealed and renamed, so that what has the name of a part is one (``seal``).
``index.h5``, a virtual dataset of the samples of all parts, is written last. The same command again
keeps the parts that are whole, and makes the others.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.errors import ConfigError, RunError
from hpcgan.files import whole_hdf5, writing
from hpcgan.generation import seal
from hpcgan.generation.form import Form
from hpcgan.hdf5 import Hdf5Error, call
from hpcgan.hdf5_limits import served
from hpcgan.memory import format_bytes
from hpcgan.training.lock import LOCK

_MOST_PARTS = 10**6  # so that their names sort
_NAME = re.compile(r"samples-\d{6}\.(h5|root)|index\.h5")
_LISTED = 3  # foreign files, in a message


@dataclass(frozen=True)
class Parts:
    """The parts of some samples.

    Attributes:
        directory: where they are.
        form: of the samples.
        count: of the samples.
        size: samples of a part; the last one may have fewer.
        fingerprint: what the bytes of the parts depend on, as JSON text.
    """

    directory: Path
    form: Form
    count: int
    size: int
    fingerprint: str

    def __len__(self) -> int:
        """Return the number of parts."""
        return -(-self.count // self.size)

    def path(self, part: int) -> Path:
        """Return the name of a part."""
        return self.directory / f"samples-{part:06d}{self.form.output.suffix}"

    def samples(self, part: int) -> range:
        """Return the samples of a part."""
        return range(part * self.size, min((part + 1) * self.size, self.count))

    @property
    def index(self) -> Path:
        """The file that is a view of all parts."""
        return self.directory / "index.h5"

    def refuse_foreign(self) -> None:
        """Refuse a directory that holds other files; rank 0 alone calls it, before all else.

        Raises:
            ConfigError: it does; nothing was changed.
            RunError: it cannot be read.
        """
        with writing(self.directory):
            there = self.directory.iterdir() if self.directory.is_dir() else []
            names = sorted(each.name for each in there if each.name != LOCK)
        foreign = [name for name in names if not _NAME.fullmatch(name.removesuffix(".partial"))]
        if foreign:
            more = f" and {len(foreign) - _LISTED} more" if len(foreign) > _LISTED else ""
            some = ", ".join(foreign[:_LISTED])
            raise ConfigError(
                f"--out {self.directory}: holds other files ({some}{more}); "
                "name a directory for these samples alone"
            )

    def prepare(self) -> list[int]:
        """Make the directory; return the parts that are there; rank 0 alone calls it.

        Parts of other samples are deleted if the options say so, and what a killed run left.

        Raises:
            ConfigError: there are parts of other samples; nothing was changed.
            RunError: there is no room for the parts, or the directory cannot be changed.
        """
        if len(self) > _MOST_PARTS:
            raise ConfigError(
                f"--part-size {self.size}: makes {len(self)} parts; {_MOST_PARTS} are the most: "
                f"use {-(-self.count // _MOST_PARTS // 256) * 256 + 256} or more"
            )
        with writing(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            names = sorted(each.name for each in self.directory.iterdir() if each.name != LOCK)
        partial = [name for name in names if name.endswith(".partial")]
        there = [name for name in names if name not in partial and name != self.index.name]
        own = {self.path(part).name: part for part in range(len(self))}
        others = [name for name in there if self._is_other(name) or name not in own]
        if others and not self.form.output.overwrite:
            raise ConfigError(self._said_of_other(others[0]))
        kept = [own[name] for name in there if name not in others]
        self._check_room(len(self) - len(kept), [*others, *partial])
        with writing(self.directory):
            for name in [*others, *partial]:
                (self.directory / name).unlink()
        return kept

    def told(self, ranks: int) -> str:
        """Return what to say where there are fewer parts than ranks that could write them, else "".

        Parts are not chosen by ranks, whose number may be another when the command goes on.
        """
        share = self.count // ranks // BLOCK * BLOCK
        if len(self) >= ranks or not share:
            return ""
        return (
            f"a part is written by one rank, and of {ranks} ranks only {len(self)} have one, of "
            f"{self.size} samples; --part-size {share} gives one to each"
        )

    def begin(self) -> None:
        """Take back the index, before a part is made; rank 0 alone calls it."""
        with writing(self.index):
            self.index.unlink(missing_ok=True)

    def write_index(self) -> None:
        """Write the index of parts that are all whole; rank 0 alone calls it.

        Of ROOT's files there is none: a TChain of samples-*.root is one.
        """
        if self.form.output.suffix != ".h5":
            return
        with whole_hdf5(self.index) as file:
            file.attrs["fingerprint"] = self.fingerprint
            for name, one in self.form.one.items():
                self._add_view(file, name, one)

    def _add_view(self, file: h5py.File, name: str, one: np.ndarray) -> None:
        """Add the dataset of all parts' ones of a name, of which ``one`` has a single sample.

        h5py's own ``create_virtual_dataset`` would write the time.
        """
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_obj_track_times(False)
        space = h5py.h5s.create_simple((self.count, *one.shape[1:]))
        for part in range(len(self)):
            here = self.samples(part)
            shape = (len(here), *one.shape[1:])
            space.select_hyperslab((here.start, *[0] * (one.ndim - 1)), shape)
            # Named relative to the index: the directory may be moved.
            source = self.path(part).name.encode(), name.encode(), h5py.h5s.create_simple(shape)
            plan.set_virtual(space, *source)
        space.select_all()
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(one.dtype), space, plan)

    def _is_other(self, name: str) -> bool:
        """Return whether a file is no part of these samples; one of them may be damaged."""
        return seal.fingerprint_of(self.directory / name) != seal.digest(self.fingerprint)

    def _said_of_other(self, name: str) -> str:
        """Return in words what a file is that is no part of these samples."""
        path = self.directory / name
        if seal.fingerprint_of(path) is None:
            return (
                f"{path}: is damaged, or no part that hpcgan wrote; move it away, or replace it "
                "with --overwrite"
            )
        differences = ""
        try:
            theirs = json.loads(call(read_fingerprint, str(path))[0])
            ours = json.loads(self.fingerprint)
            different = [key for key in ours if ours[key] != theirs.get(key)]
            differences = ", ".join(
                f"{key} {theirs.get(key)}, not {ours[key]}" for key in different
            )
        except (Hdf5Error, ValueError, AttributeError, TypeError):
            pass  # ROOT's, or of nobody
        return (
            f"{path}: is a part of other samples{f' ({differences})' if differences else ''}; name "
            "another directory, or replace them with --overwrite"
        )

    def _check_room(self, missing: int, deleted: list[str]) -> None:
        """Refuse parts for which the disk has no room."""
        if self.form.output.compression != "none":
            return  # nobody knows how much they need
        need = min(missing * self.size, self.count) * self.form.sample_bytes
        check_room(self.directory, need, [self.directory / name for name in deleted])


def check_room(out: Path, need: int, deleted: list[Path]) -> None:
    """Refuse to write more than a disk has room for.

    Args:
        out: the directory, or a file in it.
        need: bytes.
        deleted: files that are deleted before.

    Raises:
        RunError: there is less room.
    """
    directory = out if out.is_dir() else out.parent
    with writing(out):
        free = shutil.disk_usage(directory).free + sum(each.stat().st_size for each in deleted)
    if need > free:
        raise RunError(
            f"{out}: needs {format_bytes(need)}, and {format_bytes(free)} are free; make room or "
            "choose another place"
        )


@served
def read_fingerprint(file: str) -> Any:
    """Yield the fingerprint of a part; "" if it has none."""
    with h5py.File(file, "r", locking=False) as opened:
        yield str(opened.attrs.get("fingerprint", ""))


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return as text what the bytes of samples depend on."""
    return json.dumps(facts)
