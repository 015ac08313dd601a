"""What the evaluations of a run show, two in a row, and what must not be taken for it."""

from __future__ import annotations

import pytest

from hpcgan.evaluation.watchdog import Evaluation, Signal, signal

STEPS = 1000
FLOORS = {"frechet": 2.0, "spread": 50.0, "nearest": 0.4, "diversity": 20.0, "coverage": 0.9}
HEALTHY = {
    "frechet": 20.0,
    "spread": 45.0,
    "nearest": 0.38,
    "diversity": 18.0,
    "coverage": 0.7,
    "auc_real_fake": 0.9,
}
UNTRAINED = {
    "frechet": 300.0,
    "spread": 1.0,
    "nearest": 0.4,
    "diversity": 1.5,
    "coverage": 0.0,
    "auc_real_fake": 0.5,
}


def run(*changes: dict[str, float], first: dict[str, float] = UNTRAINED) -> Signal | None:
    """Return the signal of a run that is evaluated every 50 steps: before, once well, then so."""
    figures = [first, HEALTHY, *({**HEALTHY, **each} for each in changes)]
    return signal([Evaluation(50 * n, each) for n, each in enumerate(figures)], FLOORS, STEPS)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"spread": 2.0}, "the generator has collapsed", "0.04 of the real ones' variance"),
        ({"nearest": 0.08}, "the generator has collapsed", "at 0.2 of the real ones' distance"),
        (
            {"diversity": 12.0, "coverage": 0.27},
            "the generator has collapsed",
            "0.6 of the real ones' diversity, 0.3 of their coverage",
        ),
        ({"frechet": 70.0}, "the run diverges", "of 70, and 20 at best"),
        (
            {"auc_training_held_out": 0.8},
            "the discriminator knows its data by heart",
            "with an AUC of 0.800",
        ),
        (
            {"auc_real_fake": 0.4},
            "the discriminator has lost",
            "0.400, at a Fréchet distance of 20",
        ),
    ],
)
def test_what_two_evaluations_in_a_row_show(
    change: dict[str, float], kind: str, words: str
) -> None:
    assert run(change) is None
    assert run(change, {}) is None
    assert run(change, {}, change) is None
    found = run(change, change)
    assert found is not None
    assert found.kind == kind
    assert words in found.words


@pytest.mark.parametrize(
    "change",
    [
        {"spread": 2.6},
        {"nearest": 0.11},
        {"diversity": 12.0},  # what is blurred, or of poor quality
        {"coverage": 0.1},
        {"frechet": 59.0},  # not three times the best
        {"auc_training_held_out": 0.74},
        {"auc_real_fake": 0.4, "frechet": 9.0},  # D has nothing left to tell apart
        {"auc_real_fake": 0.53},
        {"auc_real_fake": 0.9999},  # D is good, and was not long
    ],
)
def test_what_is_no_signal(change: dict[str, float]) -> None:
    assert run(change, change) is None


def test_distances_near_the_floor_do_not_diverge() -> None:
    """Four times the best distance, but only 4.5 floors more."""
    assert run({"frechet": 3.0}, {"frechet": 12.0}, {"frechet": 12.0}) is None
    assert run({"frechet": 3.0}, {"frechet": 14.0}, {"frechet": 14.0}) is not None


def test_an_untrained_generator_has_not_collapsed() -> None:
    evaluations = [Evaluation(50 * n, UNTRAINED) for n in range(4)]
    assert signal(evaluations, FLOORS, STEPS) is None


def test_a_generator_that_never_looks_better_has_not_begun_to_learn() -> None:
    """After a quarter of the steps, and one evaluation more."""
    better = {**UNTRAINED, "frechet": 100.0}
    evaluations = [Evaluation(0, UNTRAINED), *(Evaluation(50 * n, better) for n in range(1, 7))]
    assert signal(evaluations[:6], FLOORS, STEPS) is None  # to step 250
    found = signal(evaluations, FLOORS, STEPS)
    assert found is not None
    assert found.kind == "the generator has not begun to learn"
    # Few kinds of samples are what many make at first, for long.
    few = {**better, "spread": 10.0, "diversity": 5.0, "coverage": 0.3}
    evaluations = [Evaluation(0, UNTRAINED), *(Evaluation(50 * n, few) for n in range(1, 20))]
    assert signal(evaluations, FLOORS, STEPS) is None


def test_very_few_kinds_after_half_of_the_steps_are_none_that_were_learned() -> None:
    few = {**UNTRAINED, "frechet": 100.0, "spread": 10.0, "diversity": 5.0, "coverage": 0.1}
    evaluations = [Evaluation(0, UNTRAINED), *(Evaluation(50 * n, few) for n in range(1, 12))]
    assert signal(evaluations[:11], FLOORS, STEPS) is None  # to step 500
    found = signal(evaluations, FLOORS, STEPS)
    assert found is not None
    assert "0.25 of the real ones' diversity, 0.11 of their coverage" in found.words
    # Once there were more, it has begun, and these are a collapse.
    evaluations[5] = Evaluation(250, HEALTHY)
    found = signal(evaluations, FLOORS, STEPS)
    assert found is not None
    assert found.kind == "the generator has collapsed"


def test_a_distance_as_before_training_is_none_that_was_learned() -> None:
    """Noise has spread and diversity: only the distance shows that nothing is learned."""
    noise = {**HEALTHY, "frechet": 280.0}
    evaluations = [Evaluation(50 * n, noise) for n in range(1, 7)]
    start = Evaluation(0, {**noise, "frechet": 300.0})
    found = signal([start, *evaluations], FLOORS, STEPS)
    assert found is not None
    assert found.kind == "the generator has not begun to learn"
    assert "280, and 300 before training" in found.words
    # Of a run that goes on from elsewhere it is not known.
    assert signal(evaluations, FLOORS, STEPS) is None


def test_a_discriminator_has_won_when_it_tells_all_apart_and_nothing_gets_better() -> None:
    won = {"auc_real_fake": 0.9999}
    assert run({"frechet": 10.0}, won, won, won) is None
    found = run({"frechet": 10.0}, won, won, won, won)
    assert found is not None
    assert found.kind == "the discriminator has won"
    better = [{"auc_real_fake": 0.9999, "frechet": 10.0 - n} for n in range(1, 5)]
    assert run({"frechet": 10.0}, *better) is None


def test_without_evaluations_there_is_nothing_to_see() -> None:
    assert signal([], FLOORS, STEPS) is None
    assert signal([Evaluation(0, UNTRAINED)], FLOORS, STEPS) is None
