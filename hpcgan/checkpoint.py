"""Checkpoints: write, verify, choose, restore (which of them stay: ``checkpoint_directory``).

A checkpoint is one HDF5 file that holds all a run needs to continue as if it had never stopped. It
is written beside its name, flushed to the disk and renamed, so that no file under its name is
incomplete. Its user block holds a SHA-256 of all that follows, which is checked before HDF5 reads
a byte: HDF5 may hang on a damaged file. HDF5's own Fletcher32 would add nothing to it: it is
weaker, leaves out scalars and all that is no data, and is checked only while HDF5 reads. A file
with a right checksum may still not be from hpcgan: it is read by another process, which accepts
only what a checkpoint may hold (``checkpoint_content``). Only rank 0 reads and writes; ``restore``
broadcasts the state to the others.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from hpcgan import __version__, checkpoint_content, sealed
from hpcgan.config import Config
from hpcgan.config_file import from_yaml, to_yaml
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import CheckpointError, ConfigError
from hpcgan.files import whole_hdf5, writing
from hpcgan.hdf5 import Hdf5Error, call
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.state import State

FORMAT = "hpcgan-checkpoint-1"
# Those of every checkpoint; a run's averages and loss scale have groups of their own.
GROUPS = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer")
_NAME = re.compile(r"step_(\d{8,})\.h5")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        path: the file.
        step: updates of G made.
        images: real samples that all shards have used.
        config: the run's, resolved.
        sample_shape: (H, W, C) or (D, H, W, C).
        dtype: "uint8" or "float32", of the data's samples.
        data: what of the data decides in which order its samples are used (``Source.identity``).
        rollbacks: how often the run has gone back to a checkpoint; each time its learning rates
            were halved.
        discarded: updates that were lost by that; their samples and noise are not used again.
        groups: for each network and optimizer, its variables by name.
        fingerprints: of the data files (``hpcgan.data.fingerprint``); none in checkpoints from
            before they were kept.
        samples: how the data's were mapped, and their classes; in older ones nothing of it.
        ranks: of the run when it was written; 0 in older ones.
        values: of keys that have changed since the run began (``State.values``).
        round: tournaments that the networks had been through.
    """

    path: Path
    step: int
    images: int
    config: Config
    sample_shape: tuple[int, ...]
    dtype: str
    data: str
    rollbacks: int
    discarded: int
    groups: dict[str, dict[str, np.ndarray]]
    fingerprints: tuple[str, ...] = ()
    samples: SampleInfo = field(default_factory=SampleInfo)
    ranks: int = 0
    values: dict[str, float] = field(default_factory=dict)
    round: int = 0


def path_of(directory: Path, step: int) -> Path:
    """Return the name of the checkpoint after ``step`` updates."""
    return directory / f"step_{step:08d}.h5"


def best_path(directory: Path) -> Path:
    """Return the name of the best checkpoint of a run, by its evaluations."""
    return directory / "best.h5"


def write(checkpoint: Checkpoint) -> None:
    """Write a checkpoint to its path, which is whole or absent at any instant; rank 0 alone.

    Its directory is made if need be, but not the run directory above it, which may have been moved
    or deleted.

    Raises:
        RunError: the file cannot be written; an earlier one of its name is unchanged.
    """
    with writing(checkpoint.path):
        checkpoint.path.parent.mkdir(exist_ok=True)
    with whole_hdf5(checkpoint.path, seal) as file:
        for name, value in _attributes(checkpoint).items():
            file.attrs[name] = value
        for group, named in checkpoint.groups.items():
            opened = file.create_group(group)
            for name, array in named.items():
                opened.create_dataset(name, data=array)


def is_one(path: Path) -> bool:
    """Return whether a file begins as checkpoints do; it may be damaged.

    Raises:
        CheckpointError: it cannot be read.
    """
    beginning = f"{FORMAT}\n".encode()
    try:
        with path.open("rb") as file:
            return file.read(len(beginning)) == beginning
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None


def check_seal(path: Path) -> None:
    """Refuse a file that is no checkpoint or is not as it was written.

    Raises:
        CheckpointError: it is so, or there is no such file.
        OSError: it cannot be read.
    """
    sealed.check(path, FORMAT, "checkpoint", CheckpointError)


def read(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: the file is missing, is no checkpoint, or is damaged.
    """
    try:
        check_seal(path)
        found, arrays = call(checkpoint_content.content, str(path))
        if missing := sorted(set(GROUPS) - set(found["groups"])):
            raise CheckpointError(f"{path}: damaged or no checkpoint: no group '{missing[0]}'")
        groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in found["groups"]}
        for (group, name), array in zip(found["names"], arrays, strict=True):
            groups[group][name] = array
        return _checkpoint(path, groups, found["fields"])
    except ConfigError as error:
        raise CheckpointError(" ".join(str(error).splitlines())) from None
    except (OSError, Hdf5Error) as error:
        raise CheckpointError(f"{path}: damaged or no checkpoint: {error}") from None


def paths(directory: Path) -> list[Path]:
    """Return what has the name of a checkpoint in a directory, oldest first."""
    found = [path for path in directory.glob("step_*.h5") if _NAME.fullmatch(path.name)]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """Return the step in a checkpoint's name."""
    return int(path.stem.removeprefix("step_"))


def newest(directory: Path, rounds: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint of a directory, and why newer ones were skipped.

    Those of networks that have been through more tournaments than ``rounds`` do not count.
    """
    warnings: list[str] = []
    for path in reversed(paths(directory)):
        try:
            found = read(path)
            if rounds is not None and found.round > rounds:
                continue
            if found.step == step_of(path):
                return found, warnings
            raise CheckpointError(f"{path}: is the checkpoint of step {found.step}")
        except CheckpointError as error:
            warnings.append(f"{error}; trying the one before")
    return None, warnings


def read_together(world: World, choose: Callable[[], Checkpoint | None]) -> Checkpoint | None:
    """Let rank 0 ``choose`` a checkpoint and broadcast all but its arrays.

    All ranks must call it. The arrays (``groups``) stay on rank 0, until ``restore``.
    """
    found: Checkpoint | None = None

    def header() -> dict[str, Any] | None:
        nonlocal found
        found = choose()
        if found is None:
            return None
        fields = {each.name: getattr(found, each.name) for each in dataclasses.fields(found)}
        del fields["groups"]
        texts = {"config": to_yaml(found.config), "samples": found.samples.as_text()}
        return {**fields, "path": str(found.path), **texts}

    values = world.on_root(header)
    if world.is_root or values is None:
        return found
    return _checkpoint(Path(values.pop("path")), {}, values)


def _checkpoint(
    path: Path, groups: dict[str, dict[str, np.ndarray]], values: dict[str, Any]
) -> Checkpoint:
    """Return a checkpoint from its other fields as JSON has them, the config as YAML text.

    Raises:
        ConfigError, CheckpointError: the fields contradict each other.
    """
    values["config"] = config = from_yaml(values["config"], str(path))
    values["samples"] = samples = SampleInfo.parse(values["samples"])
    if samples.counts and len(samples.counts) != config.model.classes:
        raise CheckpointError(
            f"{path}: damaged or no checkpoint: it counts the samples of {len(samples.counts)} "
            f"classes, and model.classes is {config.model.classes}"
        )
    for name in ("sample_shape", "fingerprints"):
        values[name] = tuple(values[name])
    return Checkpoint(path=path, groups=groups, **values)


def restore(world: World, state: State, found: Checkpoint | None) -> None:
    """Give all ranks the state of ``found``, or rank 0's own if that is None.

    All ranks must call it, with what ``read_together`` returned and networks of one configuration.

    Raises:
        CheckpointError: the checkpoint's variables are not those of the networks.
    """
    if found:
        world.all_or_raise(
            lambda: state.load(found.groups, str(found.path)) if world.is_root else None
        )
        state.step = found.step
        state.rollbacks, state.discarded = found.rollbacks, found.discarded
        state.values, state.round = dict(found.values), found.round
    for named in state.variables().values():
        for variable in named.values():
            variable.assign(world.broadcast_array(np.array(variable)))


def _attributes(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the root attributes."""
    return {
        "format": FORMAT,
        "step": checkpoint.step,
        "images": checkpoint.images,
        "config": to_yaml(checkpoint.config),
        "sample_shape": np.array(checkpoint.sample_shape, np.int64),
        "sample_dtype": checkpoint.dtype,
        "data": checkpoint.data,
        "rollbacks": checkpoint.rollbacks,
        "discarded": checkpoint.discarded,
        "data_files": " ".join(checkpoint.fingerprints),
        "samples": checkpoint.samples.as_text(),
        "ranks": checkpoint.ranks,
        "values": json.dumps(checkpoint.values),
        "round": checkpoint.round,
        "hpcgan_version": __version__,
        "h5py_version": h5py.__version__,
        "numpy_version": np.__version__,
    }


def seal(content: memoryview) -> bytes:
    """Return the user block of a checkpoint: its format and the SHA-256 of ``content``."""
    return sealed.seal(FORMAT, content)
