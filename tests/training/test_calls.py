"""The calls of the update: each ends where something is due."""

from __future__ import annotations

import pytest

from hpcgan.config import CheckpointConfig, Config, DataConfig, LogConfig, TrainConfig
from hpcgan.training.calls import is_due, samples_period, spans, steps_a_call


def config(every_steps: int | None, samples_every_steps: int | None = None) -> Config:
    return Config(
        data=DataConfig(files=[]),
        train=TrainConfig(steps=40),
        checkpoint=CheckpointConfig(every_steps=every_steps),
        log=LogConfig(every_steps=16, samples_every_steps=samples_every_steps),
    )


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        (config(None), [10, 16, 26, 32, 40]),
        (config(7), [7, 14, 16, 21, 28, 32, 35, 40]),
        (config(None, samples_every_steps=36), [10, 16, 26, 32, 36, 40]),
    ],
)
def test_spans_end_where_something_is_due(given: Config, ends: list[int]) -> None:
    made = list(spans(given, 0, 10))
    assert [first + steps for first, steps in made] == ends
    assert [first for first, _ in made] == [0, *ends[:-1]]


def test_a_span_has_no_more_steps_than_it_may() -> None:
    assert list(spans(config(7), 5, 1))[:3] == [(5, 1), (6, 1), (7, 1)]
    assert list(spans(config(7), 5, 3))[:4] == [(5, 2), (7, 3), (10, 3), (13, 1)]


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0.001, 100), (0.00390625, 100), (0.0625, 8), (0.3, 1), (20.0, 1)]
)
def test_a_call_lasts_half_a_second_or_a_hundred_steps_or_one(seconds: float, steps: int) -> None:
    assert steps_a_call(seconds) == steps


def test_without_a_period_only_the_last_step_is_due() -> None:
    given = config(None)
    assert samples_period(given) is None
    assert [step for step in range(1, 41) if is_due(None, step, given)] == [40]
    assert [step for step in range(1, 41) if is_due(15, step, given)] == [15, 30, 40]
