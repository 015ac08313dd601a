"""One generator that makes its samples, in numbered blocks, and what is asked of it.

Sample i depends on the checkpoint, the seed, its label and i alone. A block is computed in one
fixed shape and every operation by one thread (``devices.prepare_for_blocks``), so that the bits
depend neither on the number of ranks nor on that of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import ConfigError
from hpcgan.gan import conditions


@dataclass(frozen=True)
class Wanted:
    """Which samples are made.

    Attributes:
        count: how many, at least 1.
        seed: of their latents, at least 0.
        label: of all of them (``conditions.asked_for``); None for those that are drawn.
        draw: how classes are drawn: in turn, or as often as in the data. Real values are uniform in
            the range of the data.
        trusted: whether the functions that a checkpoint names for its networks may be run.
        labels: a file with the label of each (``labels_file``).
    """

    count: int
    seed: int = 0
    label: str | None = None
    draw: conditions.Draw = "turn"
    trusted: bool = False
    labels: Path | None = None


@dataclass(frozen=True)
class Sampler:
    """Makes a checkpoint's samples; needs no other rank.

    Attributes:
        found: the checkpoint, without its arrays.
        wanted: the seed, and how labels are drawn.
        label: of all samples, as in the data; None for those that are drawn.
        make: the compiled generator (``gan.sampling.block_maker``).
        values: by which labels are drawn (``gan.sampling.value_maker``).
    """

    found: Checkpoint
    wanted: Wanted
    label: np.ndarray | None
    make: Callable[..., Any]
    values: Callable[..., Any]

    def images(self, blocks: range, labels: np.ndarray | None) -> np.ndarray:
        """Return the samples of some blocks, as the generator makes them.

        Args:
            blocks: their numbers.
            labels: of the samples, (len(blocks) * BLOCK,) or (len(blocks) * BLOCK, K), as in the
                data; None for networks without labels.

        Returns:
            (len(blocks) * BLOCK, *sample_shape), float32.
        """
        seed = np.int64(self.wanted.seed)
        inputs = [seed, np.arange(blocks.start, blocks.stop, dtype=np.int64)]
        if labels is not None:
            taken = conditions.as_input(self.found.config.model, labels)
            inputs.append(taken.reshape(len(blocks), BLOCK, *taken.shape[1:]))
        return np.asarray(self.make(*inputs))

    def labels(self, blocks: range) -> np.ndarray | None:
        """Return the labels that samples of some blocks get where no file gives them.

        They are (len(blocks) * BLOCK,) or (len(blocks) * BLOCK, K), as in the data; None for
        networks without labels.
        """
        model, counts = self.found.config.model, self.found.samples.counts
        if model.condition == "none":
            return None
        shape = (len(blocks) * BLOCK, *conditions.label_shape(model))
        if self.label is not None:
            return np.broadcast_to(self.label, shape)
        draw, values = self.wanted.draw, np.zeros(shape, np.float32)
        if model.condition == "regression" or draw == "data":
            numbers = np.arange(blocks.start, blocks.stop, dtype=np.int64)
            values = np.asarray(self.values(np.int64(self.wanted.seed), numbers))
        return conditions.for_sampling(model, blocks.start * BLOCK, values, counts, draw)


def sampler_of(
    network: Any, found: Checkpoint, wanted: Wanted, label: np.ndarray | None, cores: int
) -> Sampler:
    """Return what makes samples of a generator; nothing is compiled before the first ones.

    Args:
        network: the (averaged) generator, a Keras model.
        found: its checkpoint.
        wanted: the seed, and how labels are drawn.
        label: of all samples, as in the data; None for those that are drawn.
        cores: that this process may use: as many blocks are computed side by side.
    """
    from hpcgan.gan.sampling import block_maker, value_maker

    model = found.config.model
    makers = block_maker(network, model, cores), value_maker(model)
    return Sampler(replace(found, groups={}), wanted, label, *makers)


def check_trusted(found: Checkpoint, command: str) -> None:
    """Refuse a checkpoint that names functions for its networks: they would be run."""
    model = found.config.model
    named = [each for each in (model.generator, model.discriminator) if each is not None]
    if named:
        raise ConfigError(
            f"{found.path}: its networks are built by {' and '.join(named)}; if you trust that "
            f"code and the file, use hpcgan {command} with --trust-networks"
        )


def checked_label(found: Checkpoint, wanted: Wanted) -> np.ndarray | None:
    """Return the label of all samples, if any; refuse one that is not there, and a file's code.

    Raises:
        ConfigError: it is so.
    """
    model = found.config.model
    if not wanted.trusted:
        check_trusted(found, "generate")
    if wanted.draw == "data" and not found.samples.counts:
        raise ConfigError(f"--draw data: {found.path} does not know how often each class was there")
    if wanted.labels and model.condition == "none":
        raise ConfigError(f"--labels {wanted.labels}: {found.path} is of networks without labels")
    if wanted.label is None:
        return None
    return conditions.asked_for(model, found.samples, wanted.label, str(found.path))
