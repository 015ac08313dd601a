"""How good a generator is: the score of a member of a population, lower for better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpcgan.config import Config
from hpcgan.data.held_out import open_held_out
from hpcgan.data.source import Source, open_source
from hpcgan.errors import DataError, Diverged
from hpcgan.evaluation import drawing
from hpcgan.evaluation.features import pca, with_features
from hpcgan.evaluation.figures.frechet import Moments, distance, moments
from hpcgan.evaluation.figures.names import FEWEST
from hpcgan.gan.conditions import as_input
from hpcgan.group import Group
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.gan.state import State

_SEED = 0  # of the choice of real samples


def open_judging(world: World, config: Config, purpose: str) -> Source:
    """Return the data by which the members of a population are judged. All ranks must call it.

    Rank 0 says so if they are those that are trained on; ``purpose`` is what is done by them.

    Raises:
        UserError: they are missing, damaged, too few, or of another kind than those that are
            trained on; the same on all ranks.
    """
    source = judging = open_source(world, config.data)
    if files := config.tournament.data:
        judging = open_held_out(world, config, files, "tournament.data", source)
    elif files := config.evaluate.held_out:
        judging = open_held_out(world, config, files, "evaluate.held_out", source)
    if len(judging) < FEWEST:
        raise DataError(
            f"{judging.files[0]}: has {len(judging)} samples, and {purpose} by at least {FEWEST}",
            on_all_ranks=True,
        )
    if world.is_root and judging is source:
        print(
            f"hpcgan: {purpose} by the data that they are trained on (tournament.data, "
            "evaluate.held_out)",
            flush=True,
        )
    return judging


class FrechetJudge:
    """The Fréchet distance of generated samples to real ones, in their principal components.

    All ranks of the group must make it and call its methods together.

    Attributes:
        reference: the moments of the real samples.
        features: the name of the features.
    """

    def __init__(self, group: Group, source: Source, samples: int) -> None:
        """Read real samples; ``samples`` are compared, or as many as there are.

        Raises:
            DataError: they cannot be read (on all ranks).
        """
        (numbers,) = drawing.choose(_SEED, len(source), min(samples, len(source)))
        self._real = drawing.read(group, source, numbers)
        # A distance needs several times as many samples as there are dimensions.
        most = min(pca.MOST, max(1, len(numbers) // 4))
        self._extractor = pca.fit(self._real, most)
        self.features = self._extractor.name
        self.reference = moments(with_features(self._extractor, self._real))

    @property
    def count(self) -> int:
        """Real samples that are compared."""
        return self._real.count

    def of_real(self, source: Source) -> float:
        """Return the distance of other real samples, as many: a floor. All ranks must call it.

        Raises:
            DataError: they cannot be read (on all ranks).
        """
        (numbers,) = drawing.choose(_SEED, len(source), min(self.count, len(source)))
        return distance(self._moments(source, numbers), self.reference)

    def of_halves(self, source: Source) -> float:
        """Return the same for data of which there are no others: of two halves of them, or less.

        All ranks must call it; it raises as ``of_real`` does.
        """
        count = min(self.count, len(source) // 2)
        first, second = drawing.choose(_SEED, len(source), count, count)
        return distance(self._moments(source, first), self._moments(source, second))

    def _moments(self, source: Source, numbers: np.ndarray) -> Moments:
        """Return those of some real samples. All ranks must call it."""
        real = drawing.read(self._real.group, source, numbers)
        return moments(with_features(self._extractor, real))

    def score(
        self, state: State, config: Config, class_counts: tuple[int, ...], seed: int
    ) -> float | None:
        """Return the distance of the (averaged) generator; None if its samples are not finite.

        ``seed`` is that of the latents.
        """
        found = self.moments_of(state, config, class_counts, self.count, seed)
        return None if found is None else distance(found, self.reference)

    def moments_of(
        self, state: State, config: Config, class_counts: tuple[int, ...], count: int, seed: int
    ) -> Moments | None:
        """Return those of ``count`` generated samples; None if these are not finite."""
        group = self._real.group
        try:
            made = drawing.generate(group, state, config, self._real, class_counts, count, seed)
        except Diverged:
            return None
        return moments(with_features(self._extractor, made))


def generator_loss(
    group: Group,
    state: State,
    config: Config,
    class_counts: tuple[int, ...],
    samples: int,
    seed: int,
) -> float | None:
    """Return the (averaged) generator's loss by the discriminator; None if it is not finite.

    All ranks of the group must call it. ``seed`` is that of the latents.
    """
    from hpcgan.gan.losses import make_loss

    loss, total = make_loss(config.loss.name), np.zeros(1)
    for images, labels in drawing.generated(group, state, config, class_counts, samples, seed):
        logits = discriminator_logits(state, config, images, labels)
        total += len(images) * float(loss.generator(logits[:, np.newaxis]))
    mean = float(group.sum_arrays(total)[0]) / samples
    return mean if np.isfinite(mean) else None


def discriminator_logits(
    state: State, config: Config, images: np.ndarray, labels: np.ndarray | None
) -> np.ndarray:
    """Return D's logits, (n,) float64, of samples (n, *sample_shape); needs no other rank.

    Args:
        state: the networks.
        config: of the run, resolved.
        images: as the data have them, or as the generator makes them.
        labels: as the data have them, or None.
    """
    import tensorflow as tf

    discriminator = state.discriminators[0]
    given = None if labels is None else as_input(config.model, labels)
    takes_labels = len(discriminator.inputs) == 2
    found = [np.zeros(0)]
    for part in drawing.batches(config, state, len(images)):
        few = images[part]
        # The samples as the networks see them (``gan.step``).
        few = few.astype(np.float32) / 127.5 - 1 if few.dtype == np.uint8 else few
        inputs = [few, given[part]] if takes_labels and given is not None else few
        outputs = discriminator(inputs, training=False)
        found.append(np.ravel(np.array(tf.nest.flatten(outputs)[0], np.float64)))
    return np.concatenate(found)
