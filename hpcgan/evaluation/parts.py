"""Which samples are compared: how many of each kind there are, and reading them."""

from __future__ import annotations

import dataclasses

import numpy as np

from hpcgan.data.source import Source
from hpcgan.errors import DataError
from hpcgan.evaluation import drawing
from hpcgan.evaluation.figures.names import FEWEST
from hpcgan.evaluation.samples import Samples
from hpcgan.evaluation.subject import Subject
from hpcgan.world import World


def count(subject: Subject, asked: int) -> tuple[int, list[str]]:
    """Return the number of samples of each kind, and notes on it.

    Raises:
        DataError: there are not enough.
    """
    real, held_out = subject.real, subject.held_out
    notes, count = [], asked
    # Files of which as many samples are needed as are compared.
    whole = [each for each in (subject.source, held_out, held_out and real) if each]
    for source in whole:
        _check_enough(source, len(source), FEWEST)
        if len(source) < count:
            count = len(source)
            notes.append(
                f"{source.files[0]}: has {count} samples: as many of each are compared, not {asked}"
            )
    if held_out is None:
        _check_enough(real, len(real), 2 * FEWEST)
        if len(real) < 2 * count:
            notes.append(
                f"{real.files[0]}: has {len(real)} samples, fewer than two parts of {count}: both "
                f"parts have {len(real) // 2}"
            )
            count = len(real) // 2
    return count, notes


def _check_enough(source: Source, there: int, least: int) -> None:
    """Refuse a source of fewer samples."""
    if there < least:
        raise DataError(
            f"{source.files[0]}: has {there} samples; a comparison needs {least} of them"
        )


def read_real(world: World, subject: Subject, count: int, seed: int) -> tuple[Samples, Samples]:
    """Return the reference and the second part of the real samples. All ranks must call it."""
    real, held_out = subject.real, subject.held_out
    if held_out is None:
        labels = _labels(world, real)
        first, second = drawing.choose(seed, len(real), count, count)
        return drawing.read(world, real, first, labels), drawing.read(world, real, second, labels)
    (first,), (second,) = (drawing.choose(seed, len(each), count) for each in (held_out, real))
    return (
        drawing.read(world, held_out, first, _labels(world, held_out)),
        drawing.read(world, real, second, _labels(world, real)),
    )


def read_source(world: World, subject: Subject, count: int, seed: int) -> Samples | None:
    """Return samples of the file of samples, if it is one. All ranks must call it."""
    source = subject.source
    if source is None:
        return None
    # Another choice than that of the real ones: the files may be the same.
    (numbers,) = drawing.choose(seed + 1, len(source), count)
    return drawing.read(world, source, numbers, _labels(world, source))


def _labels(world: World, source: Source) -> np.ndarray | None:
    """Return all labels of a source, if it has any. All ranks must call it."""
    return world.all_or_raise(source.read_labels) if source.labels else None


def both(a: Samples, b: Samples) -> Samples:
    """Return two sets as one, to fit something to: its blocks are no longer those of numbers."""
    return dataclasses.replace(
        a,
        count=a.count + b.count,
        images=np.concatenate([a.images, b.images]),
        features=np.zeros((len(a.images) + len(b.images), 0)),
        labels=None,
    )
