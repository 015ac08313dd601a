"""Has the GAN collapsed, has one network won, does it diverge? By its evaluations while training.

A signal needs two evaluations in a row that show the same. What is compared with a threshold is the
ratio of a figure of generated samples to that of real ones. docs/evaluation.md has the runs by
which the thresholds were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# Of the real samples' figures, below which the generator's samples are a point, or a few points.
_SPREAD, _NEAREST = 0.05, 0.25
# The same for few kinds of samples, both together: each alone is also low for poor samples.
_DIVERSITY, _COVERAGE = 0.65, 0.4
# Parts of all steps, after which a GAN has begun to learn, and makes more than a few kinds.
_BEGUN, _HALF = 0.25, 0.5
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
    """What has not looked better since training began has not collapsed: it looks so at first."""
    if not evaluations:
        return ""
    *before, now = evaluations
    points, kinds = _as_points(now, floors), _few_kinds(now, floors)
    trained = [each for each in before if each.step]
    spread_out = [each for each in trained if not _as_points(each, floors)]
    if points and spread_out:
        return points
    return kinds if any(not _few_kinds(each, floors) for each in spread_out) else ""


def _not_begun(evaluations: Sequence[Evaluation], floors: Mapping[str, float], steps: int) -> str:
    """After a part of the steps samples are as they were, or have been a few points all the time.

    Few kinds of samples are what many a healthy generator makes for long: of those after half of
    the steps only very few show something.
    """
    if not evaluations or evaluations[-1].step < _BEGUN * steps or evaluations[0].step > 0:
        return ""
    first, now = _frechet(evaluations[0]), _frechet(evaluations[-1])
    if now > _NO_BETTER * first:
        return f"a Fréchet distance of {now:.4g}, and {first:.4g} before training"
    looks = [_as_points(each, floors) for each in evaluations]
    if all(looks):
        return looks[-1]
    kinds = [_few_kinds(each, floors) for each in evaluations]
    is_late = evaluations[-1].step >= _HALF * steps
    return kinds[-1] if is_late and all(kinds) and _few_kinds(evaluations[-1], floors, 0.5) else ""


def _as_points(evaluation: Evaluation, floors: Mapping[str, float]) -> str:
    """Say how samples are a point, or a few points that each come again and again."""
    spread, nearest = (_ratio(name, evaluation, floors) for name in ("spread", "nearest"))
    if spread < _SPREAD:
        return f"the samples have {spread:.2g} of the real ones' variance"
    if nearest < _NEAREST:
        return (
            f"the samples repeat: their nearest neighbours are at {nearest:.2g} of the real ones' "
            "distance"
        )
    return ""


def _few_kinds(evaluation: Evaluation, floors: Mapping[str, float], threshold: float = 1.0) -> str:
    """Say how samples are of few kinds, by a part of the thresholds."""
    diversity, coverage = (_ratio(name, evaluation, floors) for name in ("diversity", "coverage"))
    if diversity >= threshold * _DIVERSITY or coverage >= threshold * _COVERAGE:
        return ""
    return (
        f"the samples are of few kinds: {diversity:.2g} of the real ones' diversity, "
        f"{coverage:.2g} of their coverage"
    )


def _ratio(name: str, evaluation: Evaluation, floors: Mapping[str, float]) -> float:
    """Return a figure as a part of that of real samples."""
    return evaluation.figures[name] / max(floors[name], 1e-12)


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
    """D no longer tells samples apart that are far from real: before training it never did."""
    trained = [each.figures["auc_real_fake"] for each in evaluations if each.step]
    if not trained or max(trained) < _LOST:
        return ""
    auc, distance = trained[-1], _frechet(evaluations[-1])
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
