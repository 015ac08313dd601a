"""The figures of a GAN, each beside its floor: the same figure of real samples.

By all ranks, none of which holds more than its share of the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hpcgan import checkpoint
from hpcgan.data import values
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import ConfigError
from hpcgan.evaluation import drawing, parts
from hpcgan.evaluation.features import Extractor, extractors, with_features
from hpcgan.evaluation.features.cache import cached
from hpcgan.evaluation.figures.class_figures import class_counts
from hpcgan.evaluation.figures.copies import nearest_pairs
from hpcgan.evaluation.figures.names import DEFAULT, OF_CLASSES, TOGETHER
from hpcgan.evaluation.figures.physics import physics
from hpcgan.evaluation.figures.table import FIGURES
from hpcgan.evaluation.figures.two_sample import memory
from hpcgan.evaluation.samples import Samples
from hpcgan.evaluation.subject import Named, Subject, open_subject
from hpcgan.generation.sampler import check_trusted
from hpcgan.memory import format_bytes
from hpcgan.world import World

_PAIRS = 16  # of a sample and the training sample that is nearest to it


@dataclass(frozen=True)
class Wanted:
    """How samples are compared.

    Attributes:
        samples: of each kind, at least ``FEWEST``; fewer where there are not as many.
        features: as ``extractors`` names them.
        metrics: names of ``FIGURES`` and ``TOGETHER``; None for all that take seconds.
        seed: of the choice of samples and of the latents, at least 0.
        input_range: of a network that makes features (``extractors.make``).
        trusted: whether the functions that a checkpoint names for its networks may be run.
        has_pairs: whether the pairs of copies are wanted.
    """

    samples: int = 10_000
    features: str = "pca"
    metrics: Sequence[str] | None = None
    seed: int = 0
    input_range: tuple[float, float] | None = None
    trusted: bool = False
    has_pairs: bool = False


class Figure(NamedTuple):
    """A figure of what is evaluated, and of real samples in its place; None for a floor that there
    is not."""

    value: float
    floor: float | None


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        subject: what was evaluated, and the data.
        samples: of each kind.
        features: their name.
        metrics: figures by name.
        in_features: the names of those that depend on the features.
        notes: what whoever reads the figures should know, a line each.
        pairs: on rank 0, if they are wanted, the samples nearest to a training sample, each
            followed by that one.
        class_counts: how many of the samples, and of the reference, a classifier takes for each
            class; None for other features.
    """

    subject: Subject
    samples: int
    features: str
    metrics: dict[str, Figure]
    in_features: set[str]
    notes: list[str]
    pairs: np.ndarray | None
    class_counts: tuple[list[int], list[int]] | None


class Compared(NamedTuple):
    """What is compared: as many samples of each.

    Attributes:
        generated: by a generator, or from the file of samples.
        reference: real ones.
        second: other real ones, which take the place of ``generated`` for the floors.
    """

    generated: Samples
    reference: Samples
    second: Samples


def evaluate(world: World, named: Named, wanted: Wanted) -> Evaluation:
    """Compare samples with real ones. All ranks must call it.

    Raises:
        UserError: what is named is missing, damaged or cannot be compared (on all ranks, and
            before anything is generated).
    """
    names = world.all_or_raise(lambda: _names(wanted))
    subject = open_subject(world, named)
    found, real = subject.found, subject.real
    if found and not wanted.trusted:
        world.all_or_raise(lambda: check_trusted(found, "evaluate"))
    world.all_or_raise(lambda: extractors.check(wanted.features, real.sample_shape, real.dtype))
    count, notes = world.all_or_raise(lambda: parts.count(subject, wanted.samples))
    reference, second = parts.read_real(world, subject, count, wanted.seed)
    from_file = parts.read_source(world, subject, count, wanted.seed)
    if found or wanted.features != "pca" or "two_sample" in names:
        world.all_or_raise(lambda: prepare_tensorflow(world))
    known = second if subject.held_out else parts.both(reference, second)
    extractor = extractors.make(world, wanted.features, known, wanted.input_range)
    of_real = with_features if wanted.features == "pca" else cached
    reference, second = (of_real(extractor, each) for each in (reference, second))
    made = from_file or _generate(world, subject, reference, wanted.seed)
    compared = Compared(with_features(extractor, made), reference, second)
    notes += _warnings(count, extractor, names)
    metrics, in_features = _figures(compared, subject, names, notes)
    pairs = None
    if wanted.has_pairs and "copies" in names:
        pairs = nearest_pairs(compared.generated, _trained_on(compared, subject), _PAIRS)
    counts = None
    if wanted.features.startswith("classifier:"):
        counts = class_counts(compared.generated).tolist(), class_counts(reference).tolist()
    return Evaluation(subject, count, extractor.name, metrics, in_features, notes, pairs, counts)


def _names(wanted: Wanted) -> Sequence[str]:
    """Return the names of the figures that are wanted; refuse those that need other features."""
    has_classes = wanted.features.startswith("classifier:")
    if wanted.metrics is None:
        return DEFAULT + (OF_CLASSES if has_classes else ())
    for name in wanted.metrics:
        if name in OF_CLASSES and not has_classes:
            raise ConfigError(f"--metrics {name} is for --features classifier:FILE alone")
    return wanted.metrics


def _generate(world: World, subject: Subject, like: Samples, seed: int) -> Samples:
    """Return samples of the checkpoint's generator. All ranks must call it."""
    from hpcgan.gan.state import State

    found = subject.found
    assert found
    state = State(found.config, found.sample_shape)
    checkpoint.restore(world, state, found)
    return drawing.generate(
        world, state, found.config, like, found.samples.counts, like.count, seed
    )


def _warnings(count: int, extractor: Extractor, metrics: Sequence[str]) -> list[str]:
    """Return what is to be said of the figures before they are computed."""
    notes = []
    if count <= extractor.dimension and {"frechet", "frechet_limit"} & set(metrics):
        notes.append(
            f"{count} samples are not more than the {extractor.dimension} dimensions of "
            f"{extractor.name}: the Fréchet distance is too large by far; take more samples"
        )
    if "two_sample" in metrics:
        need = format_bytes(memory(count, count, extractor.dimension))
        notes.append(f"two_sample: every rank holds all features, and needs {need}")
    return notes


def _figures(
    compared: Compared, subject: Subject, names: Sequence[str], notes: list[str]
) -> tuple[dict[str, Figure], set[str]]:
    """Return the figures of some names, and which of them depend on the features.

    All ranks must call it. ``notes`` are added to.
    """
    metrics: dict[str, Figure] = {}
    in_features: set[str] = set()
    for name in dict.fromkeys(TOGETHER.get(each, each) for each in names):
        found = _beside_floors(name, compared, subject)
        if name not in names:
            found = {key: figure for key, figure in found.items() if key in names}
        if not found:
            notes.append(f"{name}: left out: it is not for such samples or features")
        metrics |= found
        in_features |= set() if name == "physics" else set(found)
    return metrics, in_features


def _beside_floors(name: str, compared: Compared, subject: Subject) -> dict[str, Figure]:
    """Return the figures of one name, none if it is not for such samples.

    All ranks must call it.
    """
    figure = FIGURES[name]
    generated, reference, second = compared
    if name == "copies" and subject.held_out:
        # Copies are of training samples, which a held-out reference has none of.
        found, floors = figure(generated, second), figure(reference, second)
    elif name == "physics":
        mapping = values.parse(subject.real.values)
        found, floors = (physics(each, reference, mapping) for each in (generated, second))
    else:
        found, floors = figure(generated, reference), figure(second, reference)
    return {key: Figure(value, floors.get(key)) for key, value in found.items()}


def _trained_on(compared: Compared, subject: Subject) -> Samples:
    """Return real samples that the networks were trained on."""
    return compared.second if subject.held_out else compared.reference
