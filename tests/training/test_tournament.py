"""The rules of tournaments: pairs, who takes from whom, and the values that come of it."""

from __future__ import annotations

import pytest

from hpcgan.training.tournament import (
    Take,
    draw_pairs,
    perturbed,
    step_of_next,
    takes_by_own,
    takes_by_score,
    truncation_pairs,
)


@pytest.mark.parametrize(
    ("step", "every", "last", "next_one"),
    [
        (0, 40, 100, 40),
        (40, 40, 100, 80),
        (80, 40, 100, None),
        (90, 40, 120, 120),
        (0, None, 9, None),
    ],
)
def test_the_next_tournament_is_at_a_multiple_up_to_the_last_step(
    step: int, every: int | None, last: int, next_one: int | None
) -> None:
    assert step_of_next(step, every, last) == next_one


@pytest.mark.parametrize("members", [2, 3, 8, 9])
def test_each_member_meets_one_and_of_an_odd_number_one_rests(members: int) -> None:
    met = [member for pair in draw_pairs(5, 1, members) for member in pair]
    assert len(met) == members - members % 2
    assert len(set(met)) == len(met)
    assert set(met) <= set(range(members))


def test_pairs_depend_on_the_seed_and_the_tournament() -> None:
    assert draw_pairs(5, 1, 16) == draw_pairs(5, 1, 16)
    assert draw_pairs(5, 1, 16) != draw_pairs(5, 2, 16)
    assert draw_pairs(5, 1, 16) != draw_pairs(6, 1, 16)


def test_the_worst_quarter_meets_the_best() -> None:
    scores = [3.0, 1.0, None, 8.0, 5.0, 2.0, 9.0, 4.0]
    assert truncation_pairs(scores) == [(2, 1), (6, 5)]
    assert truncation_pairs([2.0, 1.0]) == [(0, 1)]
    assert truncation_pairs([2.0, 1.0, 3.0]) == [(2, 1)]
    assert truncation_pairs([2.0]) == []


def test_of_a_pair_the_worse_takes_and_a_tie_changes_nothing() -> None:
    pairs = [(0, 1), (2, 3), (4, 5)]
    assert takes_by_score(pairs, [2.0, 1.0, 1.0, 2.0, 3.0, 3.0], 0.0) == [Take(0, 1), Take(3, 2)]


def test_a_margin_protects_who_is_hardly_worse() -> None:
    scores = [2.0, 1.0, 1.5, 2.0]
    assert takes_by_score([(0, 1), (2, 3)], scores, 0.5) == [Take(0, 1)]


def test_who_has_diverged_takes_and_gives_nothing() -> None:
    assert takes_by_score([(0, 1), (2, 3)], [None, 7.0, None, None], 0.0) == [Take(0, 1)]


def test_each_decides_by_its_own_discriminator() -> None:
    scores = [(2.0, 1.0), (2.0, 1.0), (1.0, 2.0), (1.0, 1.0), (None, 4.0), (4.0, None)]
    pairs = [(0, 1), (2, 3), (4, 5)]
    assert takes_by_own(pairs, scores, 0.0) == [Take(0, 1), Take(1, 0), Take(4, 5)]
    assert takes_by_own(pairs, scores, 1.0) == [Take(4, 5)]


def test_values_are_multiplied_by_one_of_two_factors() -> None:
    rate, ema = "optimizer.generator.learning_rate", "train.ema"
    drawn = [perturbed({rate: 1.0, ema: 0.9}, 0, 1, member) for member in range(40)]
    assert {each[rate] for each in drawn} == {0.8, 1.25}
    # Of an average's decay it is the distance from 1.
    assert {round(each[ema], 12) for each in drawn} == {0.92, 0.875}
    assert len({(each[rate], each[ema]) for each in drawn}) == 4
    assert drawn[3] == perturbed({ema: 0.9, rate: 1.0}, 0, 1, 3)


def test_a_value_that_would_leave_its_bounds_stays() -> None:
    found = {
        perturbed({"loss.label_smoothing": 0.9}, 0, 1, m)["loss.label_smoothing"] for m in range(9)
    }
    assert found == {0.9, 0.8 * 0.9}
