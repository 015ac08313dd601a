"""The form in which samples are written: dtype, units, the order of axes, names of datasets.

The samples have the data's dtype, or are float32 in the units of the source if the data's had been
mapped. By default, as in a data file that can be trained on, they are named ``images`` and their
labels ``labels``. Other layouts: another order of the axes (``hpcgan.layouts``); ``calochallenge``,
the ``incident_energies`` (N, 1) and ``showers`` (N, cells) of the Fast Calorimeter Simulation
Challenge (https://calochallenge.github.io/homepage/); ``root``, a tree of ROOT's (``root_file``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hpcgan import layouts, packages, pictures
from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.data.values import inverse
from hpcgan.errors import ConfigError, RunError
from hpcgan.gan import conditions

Compression = Literal["none", "gzip", "lzf"]
COMPRESSIONS = ("none", "gzip", "lzf")
LAYOUTS = ("hpcgan", *layouts.LAYOUTS, "calochallenge", "root")
SUFFIXES = (".h5", ".npz", ".png", ".root")


@dataclass(frozen=True)
class Output:
    """Where samples are written, and how.

    Attributes:
        path: a file, of a format that its suffix names, or a directory of parts.
        layout: one of ``LAYOUTS``; None for hpcgan's, or ROOT's by the suffix.
        part_size: samples of a part, a multiple of ``BLOCK``; None for parts of about 256 MiB.
        threshold: values below are written as 0; None to write all as they are.
        compression: of what is written.
        overwrite: whether parts of other samples are replaced.
    """

    path: Path
    layout: str | None = None
    part_size: int | None = None
    threshold: float | None = None
    compression: Compression = "none"
    overwrite: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether parts are written; else one file."""
        return self.part_size is not None or self.path.is_dir() or not self.path.suffix

    @property
    def suffix(self) -> str:
        """The suffix of the file, or of each part."""
        if self.is_directory:
            return ".root" if self.layout == "root" else ".h5"
        return self.path.suffix

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            ConfigError: they do.
            RunError: a package is missing.
        """
        if self.suffix not in SUFFIXES:
            raise ConfigError(
                f"--out {self.path}: the suffix must be one of {', '.join(SUFFIXES)}; for a "
                "directory of parts with a dot in its name give --part-size too"
            )
        if self.part_size is not None and (self.part_size < 1 or self.part_size % BLOCK):
            raise ConfigError(f"--part-size {self.part_size}: must be a multiple of {BLOCK}")
        if self.layout and self.suffix == ".png":
            raise ConfigError(f"--layout {self.layout} is not for .png, and --out is {self.path}")
        if self.suffix == ".root" and self.layout not in (None, "root"):
            raise ConfigError(f"--layout {self.layout} is not for .root: leave it out")
        if self.layout == "root" and self.suffix != ".root":
            raise ConfigError(f"--layout root is for .root or a directory, not {self.path}")
        if self.layout == "calochallenge" and self.suffix != ".h5":
            raise ConfigError(f"--layout calochallenge is for .h5, and --out is {self.path}")
        if self.threshold is not None and not 0 < self.threshold < np.inf:
            raise ConfigError(f"--threshold {self.threshold}: must be a number above 0")
        if self.threshold is not None and self.suffix == ".png":
            raise ConfigError(f"--threshold is not for .png, and --out is {self.path}")
        allowed = {".h5": COMPRESSIONS, ".root": ("none", "gzip")}.get(self.suffix, ("none",))
        if self.compression not in allowed:
            raise ConfigError(
                f"--compression {self.compression}: {self.suffix} is written with "
                f"{' or '.join(allowed)}"
            )
        if self.suffix == ".root" and (wrong := packages.problem("uproot")):
            raise RunError(f"uproot {wrong}, which writes .root: pip install 'hpcgan[root]'")


@dataclass(frozen=True)
class Form:
    """What is made of samples before they are written.

    Attributes:
        found: a checkpoint of such samples, without arrays.
        output: the options.
    """

    found: Checkpoint
    output: Output

    def check(self) -> None:
        """Refuse a layout that is not for a checkpoint's samples.

        Raises:
            ConfigError: it is so.
        """
        layout, found = self.output.layout, self.found
        if layout in layouts.LAYOUTS:
            layouts.check(layout, found.sample_shape)
        is_energy = found.config.model.condition == "regression" and not conditions.label_shape(
            found.config.model
        )
        if layout == "calochallenge" and not is_energy:
            raise ConfigError(
                f"--layout calochallenge: {found.path} is not of showers with one label each, "
                "their energy; use another layout"
            )

    def datasets(self, images: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return what is written of some samples, by the names of the datasets.

        Args:
            images: as the generator makes them, (n, *sample_shape) float32.
            labels: as in the data, (n,) or (n, K); None for networks without.
        """
        output, layout = self.output, self.output.layout
        mapping = () if output.suffix == ".png" else self.found.samples.mapping
        values = inverse(mapping, pictures.to_dtype(images, self.found.dtype))
        if output.threshold is not None:
            values = np.where(values < output.threshold, values.dtype.type(0), values)
        if layout == "calochallenge":
            assert labels is not None
            return {"incident_energies": labels[:, np.newaxis], "showers": _flat(values)}
        if output.suffix == ".root":
            named = {"cells": _flat(values)}
            name = "energy" if self.found.config.model.condition == "regression" else "label"
            return named if labels is None else named | {name: labels}
        if layout in layouts.LAYOUTS:
            values = layouts.arranged(values, layout)
        return {"images": values} if labels is None else {"images": values, "labels": labels}

    def blank(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return samples of zeros, as generators make them, and their labels."""
        model = self.found.config.model
        images = np.zeros((count, *self.found.sample_shape), np.float32)
        if model.condition == "none":
            return images, None
        dtype = np.float32 if model.condition == "regression" else np.int32
        return images, np.zeros((count, *conditions.label_shape(model)), dtype)

    @property
    def one(self) -> dict[str, np.ndarray]:
        """What is written of one sample: shapes and dtypes, with values that mean nothing."""
        return self.datasets(*self.blank(1))

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample and its label, before compression."""
        return sum(each.nbytes for each in self.one.values())


def _flat(values: np.ndarray) -> np.ndarray:
    """Return each sample's values in C order, (n, cells)."""
    return values.reshape(len(values), -1)
