"""``hpcgan inspect``: what a checkpoint holds, as text for people; TensorFlow is not needed.

A checkpoint is read whole and its checksum compared, as every command does that uses one: what is
printed is of a file that is as it was written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan import checkpoint_content
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import Config
from hpcgan.files import json_lines
from hpcgan.gan import conditions
from hpcgan.hdf5 import call
from hpcgan.run_or_checkpoint import find
from hpcgan.terminal import printable

_NAMED = 20  # classes that are listed
_OPTIMIZER = "_optimizer"


def add(commands: Any) -> None:
    """Add ``inspect`` to the commands of an ``argparse`` parser."""
    parser = commands.add_parser(
        "inspect",
        help="what a checkpoint holds, and whether it is whole",
        description="Prints what a checkpoint holds: step, data, labels, the variables of each "
        "layer, optimizers, its evaluation, and what wrote it. Status 2 if it is damaged.",
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT|RUN_DIR",
        help="a checkpoint, or a run directory, of which the newest one is taken",
    )
    parser.set_defaults(run=_run, needs_ranks=False)


def _run(given: argparse.Namespace) -> None:
    print(describe(given.checkpoint))


def describe(path: Path) -> str:
    """Return what a checkpoint holds, or the newest whole one of a run directory, in lines.

    Raises:
        CheckpointError: it is missing, damaged, or no checkpoint.
        ConfigError: the path is a population's.
    """
    found = find(path)
    versions, _ = call(checkpoint_content.versions, str(found.path))
    lines = [
        f"step {found.step}, {found.images} images",
        _written_by(found, versions),
        *_data(found),
        *_evaluation(found),
    ]
    for group, named in found.groups.items():
        lines += _group(group, named, found.config)
    head = f"{found.path}: {found.path.stat().st_size} bytes, whole (its content fits its checksum)"
    return printable("\n  ".join([head, *lines]))


def _written_by(found: Checkpoint, versions: Mapping[str, str]) -> str:
    """Return the line about what wrote it."""
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    on = f" on {found.ranks} rank{'s' * (found.ranks > 1)}" if found.ranks else ""
    return f"written by {packages or 'unknown versions'}{on}"


def _data(found: Checkpoint) -> Iterator[str]:
    """Yield the lines about the data and their labels, and what has happened to the run."""
    config, samples = found.config, found.samples
    files = ", ".join(config.data.files)
    yield f"data: {found.data} {found.sample_shape} {found.dtype} in {files}"
    if samples.values:
        yield f"  mapped from the units of their source by {samples.values}"
    if config.model.condition == "regression":
        ranges = conditions.label_ranges(config.model)
        spans = ", ".join(f"{low:g} to {high:g}" for low, high in ranges)
        yield f"labels: {len(ranges)} real value{'s' * (len(ranges) > 1)}, {spans}"
    elif config.model.condition != "none":
        yield f"labels: {config.model.classes} classes{_classes(found)}"
    else:
        yield "labels: none"
    for key, value in found.values.items():
        yield f"{key}: {value:g} by now"
    if found.rollbacks:
        yield f"rolled back {found.rollbacks} times, {found.discarded} updates lost"
    if found.round:
        yield f"after {found.round} tournaments"


def _classes(found: Checkpoint) -> str:
    """Return the first classes with their names and numbers of samples."""
    samples, classes = found.samples, found.config.model.classes or 0
    if not samples.names and not samples.counts:
        return ""
    listed = [
        samples.name_of(label) + (f": {samples.counts[label]}" if samples.counts else "")
        for label in range(min(classes, _NAMED))
    ]
    more = f" and {classes - _NAMED} more" if classes > _NAMED else ""
    return f" ({', '.join(listed)}{more})"


def _evaluation(found: Checkpoint) -> Iterator[str]:
    """Yield the line about the run's evaluation at this step, if the run directory has one."""
    metrics = found.path.parent.parent / "metrics.jsonl"
    lines = [line for _, line in json_lines(metrics, "step", "evaluation")]
    figures = [line["evaluation"] for line in lines if line["step"] == found.step]
    if figures and isinstance(figures[-1], dict):
        shown = ", ".join(f"{name} {_short(value)}" for name, value in figures[-1].items())
        yield f"evaluation ({metrics}): {shown}"
    else:
        yield f"evaluation: none at this step in {metrics}"


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _group(name: str, named: Mapping[str, np.ndarray], config: Config) -> Iterator[str]:
    """Yield the lines about a network, an optimizer or what else a group is."""
    total = sum(array.size for array in named.values())
    if name.endswith(_OPTIMIZER):
        yield f"{name}: {_optimizer(name, config)}, {len(named)} variables, {total} numbers"
        return
    if not _is_network(name):
        yield f"{name}: {len(named)} variables, {total} numbers"
        return
    averaged = ", the moving average of generator" if name == "generator_ema" else ""
    yield f"{name}: {_network(name, config)}{averaged}, {total} parameters"
    for layer, variables in _by_layer(named).items():
        count = sum(array.size for array in variables.values())
        shapes = ", ".join(f"{own} {array.shape}" for own, array in variables.items())
        yield f"  {layer}: {count} ({shapes})"


def _is_network(group: str) -> bool:
    return group.startswith(("generator", "discriminator")) and not group.endswith("_versions")


def _network(group: str, config: Config) -> str:
    """Return the family of a network, or the function that builds it."""
    model = config.model
    own = model.generator if group.startswith("gen") else model.discriminator
    return own or model.name


def _optimizer(group: str, config: Config) -> str:
    both = config.optimizer
    own = both.generator if group.startswith("gen") else both.discriminator
    return f"{own.name}, learning rate {own.learning_rate:g}"


def _by_layer(named: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return the variables of each layer; a variable's name begins with its layer's."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in named.items():
        layer, _, own = name.rpartition("/")
        layers.setdefault(layer or "(of no layer)", {})[own] = array
    return layers
