"""Has the GAN collapsed, has one network won, does it diverge? By its evaluations while training.

A signal needs two evaluations in a row that show the same. What is compared with a threshold is the
ratio of a figure of generated samples to that of real ones. docs/evaluation.md has the runs by
which the thresholds were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# Of the real samples', below which the generator's have collapsed: to a point, or to a few points
# that each come again and again.
_SPREAD, _NEAREST = 0.05, 0.25
# The same for few kinds of samples, both together: each alone is also low where samples are poor.
_DIVERSITY, _COVERAGE = 0.65, 0.4
_BEGUN = 0.25  # of all steps, after which a GAN has begun to learn
_NO_BETTER = 0.9  # of the Fréchet distance before training
_WON, _LOST, _BY_HEART = 0.999, 0.52, 0.75  # of D's AUC
_FAR = 5  # floors of the Fréchet distance
_WORSE = 3  # times the best Fréchet distance


class Evaluation(NamedTuple):
    """The figures after some steps, by name: those of ``while_training``."""

    step: int
    figures: Mapping[str, float]


class Signal(NamedTuple):
    """What is wrong: of which kind, and in words with the figures that show it."""

    kind: str
    words: str


# Returns in words what the newest of some evaluations shows, given the floors and the steps of the
# whole run; "" for nothing.
_Check = Callable[[Sequence[Evaluation], Mapping[str, float], int], str]


def signal(
    evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int
) -> Signal | None:
    """Return what the newest two evaluations both show.

    Args:
        evaluations: all of the run, in their order.
        floors: the same figures of real samples.
        steps: of the whole run.
    """
    for kind, check in _CHECKS.items():
        words = check(evaluations, floors, steps)
        if words and check(evaluations[:-1], floors, steps):
            return Signal(kind, words)
    return None


def _collapse(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    """An untrained generator looks collapsed: one that never looked better has not collapsed."""
    if not _was_armed(evaluations, floors):
        return ""
    return _collapsed(evaluations[-1].figures, floors)


def _was_armed(evaluations: Sequence[Evaluation], floors: Mapping[str, float]) -> bool:
    """Return whether the samples ever looked as if nothing had collapsed."""
    return any(not _collapsed(each.figures, floors) for each in evaluations)


def _collapsed(figures: Mapping[str, float], floors: Mapping[str, float]) -> str:
    """Say how samples have collapsed."""
    ratio = {name: figures[name] / max(floors[name], 1e-12) for name in _RATIOS}
    if ratio["spread"] < _SPREAD:
        return f"the samples have {ratio['spread']:.2g} of the real ones' variance"
    if ratio["nearest"] < _NEAREST:
        return (
            f"the samples repeat: their nearest neighbours are at {ratio['nearest']:.2g} of the "
            "real ones' distance"
        )
    if ratio["diversity"] < _DIVERSITY and ratio["coverage"] < _COVERAGE:
        return (
            f"the samples are of few kinds: {ratio['diversity']:.2g} of the real ones' diversity, "
            f"{ratio['coverage']:.2g} of their coverage"
        )
    return ""


_RATIOS = ("spread", "nearest", "diversity", "coverage")


def _not_begun(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    if not evaluations or evaluations[-1].step < _BEGUN * steps or evaluations[0].step > 0:
        return ""
    first, now = (each.figures["frechet"] for each in (evaluations[0], evaluations[-1]))
    if now > _NO_BETTER * first:
        return f"a Fréchet distance of {now:.4g}, and {first:.4g} before training"
    if not _was_armed(evaluations, floors):
        return _collapsed(evaluations[-1].figures, floors)
    return ""


def _won(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    """D tells all samples apart in three evaluations, in which those became no better."""
    newest, before = evaluations[-3:], evaluations[:-3]
    aucs = [each.figures["auc_real_fake"] for each in newest]
    if not before or min(aucs) <= _WON:
        return ""
    if min(map(_frechet, newest)) < min(map(_frechet, before)):
        return ""
    return f"it tells real from generated samples with an AUC of {aucs[-1]:.4f}"


def _lost(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    if not evaluations or evaluations[-1].step == 0:
        return ""
    auc, distance = evaluations[-1].figures["auc_real_fake"], _frechet(evaluations[-1])
    if auc >= _LOST or distance <= _FAR * floors["frechet"]:
        return ""
    return f"its AUC is {auc:.3f}, at a Fréchet distance of {distance:.4g}"


def _by_heart(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    figures = evaluations[-1].figures if evaluations else {}
    auc = figures.get("auc_training_held_out", 0.0)
    if auc <= _BY_HEART:
        return ""
    return f"it tells the samples it has learned from held-out ones with an AUC of {auc:.3f}"


def _divergence(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    distances = list(map(_frechet, evaluations))
    if not distances:
        return ""
    best, now = min(distances), distances[-1]
    if now <= max(_WORSE * best, best + _FAR * floors["frechet"]):
        return ""
    return f"a Fréchet distance of {now:.4g}, and {best:.4g} at best"


def _frechet(evaluation: Evaluation) -> float:
    return evaluation.figures["frechet"]


_CHECKS: dict[str, _Check] = {
    "the generator has collapsed": _collapse,
    "the run diverges": _divergence,
    "the generator has not begun to learn": _not_begun,
    "the discriminator has won": _won,
    "the discriminator has lost": _lost,
    "the discriminator knows its data by heart": _by_heart,
}
