"""The calls of the compiled steps: each ends where something is due."""

from __future__ import annotations

import pytest

from hpcgan.config import Config, DataConfig
from hpcgan.config_beside import CheckpointConfig, LogConfig
from hpcgan.training.calls import calls, is_due, samples_period, steps_per_call


@pytest.mark.parametrize(
    ("periods", "ends"),
    [
        ([], [10, 20, 30, 40]),
        ([16, None], [10, 16, 26, 32, 40]),
        ([16, 7], [7, 14, 16, 21, 28, 32, 35, 40]),
        ([16, None, 36], [10, 16, 26, 32, 36, 40]),
        ([16, 16], [10, 16, 26, 32, 40]),
        ([100], [10, 20, 30, 40]),
    ],
)
def test_calls_end_where_something_is_due(periods: list[int | None], ends: list[int]) -> None:
    made = list(calls(0, 40, 10, periods))
    assert [first + steps for first, steps in made] == ends
    assert [first for first, _ in made] == [0, *ends[:-1]]


def test_a_call_has_no_more_steps_than_it_may() -> None:
    assert list(calls(5, 40, 1, [7]))[:3] == [(5, 1), (6, 1), (7, 1)]
    assert list(calls(5, 40, 3, [7]))[:4] == [(5, 2), (7, 3), (10, 3), (13, 1)]


def test_periods_may_be_given_once() -> None:
    assert list(calls(0, 6, 10, iter([4]))) == [(0, 4), (4, 2)]


def test_there_are_none_after_the_last_step() -> None:
    assert list(calls(40, 40, 10)) == []
    assert list(calls(41, 40, 10)) == []


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0.001, 100), (0.00390625, 100), (0.0625, 8), (0.3, 1), (20.0, 1)]
)
def test_a_call_lasts_half_a_second_or_a_hundred_steps_or_one(seconds: float, steps: int) -> None:
    assert steps_per_call(seconds) == steps


def test_without_a_period_only_the_last_step_is_due() -> None:
    assert [step for step in range(1, 41) if is_due(None, step, 40)] == [40]
    assert [step for step in range(1, 41) if is_due(15, step, 40)] == [15, 30, 40]


@pytest.mark.parametrize(
    ("samples", "checkpoints", "period"), [(36, 7, 36), (None, 7, 7), (None, None, None)]
)
def test_samples_are_written_with_checkpoints_unless_they_have_a_period_of_their_own(
    samples: int | None, checkpoints: int | None, period: int | None
) -> None:
    config = Config(
        data=DataConfig(files=[]),
        checkpoint=CheckpointConfig(every_steps=checkpoints),
        log=LogConfig(samples_every_steps=samples),
    )
    assert samples_period(config) == period
