"""Lines of metrics, and how they go on when the run does."""

from __future__ import annotations

import json

import pytest

from hpcgan.gan.state import State
from hpcgan.training.logger import Logger
from hpcgan.training.plan import Plan
from hpcgan.world import World
from tests.training.logged import BREAKDOWN, log_steps, made, metrics

CONTRACT = [
    "step",
    "images",
    "wall_seconds",
    "images_per_second",
    "discriminator_loss",
    "generator_loss",
]


def test_a_line_holds_what_the_contract_promises(plan: Plan, state: State, world: World) -> None:
    log_steps(Logger(plan, state, world), state, 2, 5)
    lines = metrics(plan)
    assert all(list(line)[:6] == CONTRACT for line in lines)
    assert [line["step"] for line in lines] == [2, 5]
    assert [line["images"] for line in lines] == [24, 60]
    assert [line["discriminator_loss"] for line in lines] == [2.25, 5.25]
    assert [line["generator_loss"] for line in lines] == [2.5, 5.5]


def test_an_evaluation_stands_in_the_line_of_its_step_and_in_no_other(
    plan: Plan, state: State, world: World
) -> None:
    logger = Logger(plan, state, world)
    logger.take_evaluation({"frechet_pca8": 2.5})
    log_steps(logger, state, 2, 5)
    first, second = metrics(plan)
    assert first["evaluation"] == {"frechet_pca8": 2.5}
    assert "evaluation" not in second


def test_a_warning_is_printed_and_noted(
    plan: Plan, state: State, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = Logger(plan, state, world)
    logger.warn("after step 0 it collapsed")
    logger.close()
    assert "warning: after step 0 it collapsed (watch.collapse)\n" in capsys.readouterr().out
    history = (plan.run_dir / "history.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in history]
    (why,) = (line["why"] for line in events if line["event"] == "warning")
    assert why == "after step 0 it collapsed"


def test_speed_and_breakdown_are_those_since_the_line_before(
    plan: Plan, state: State, world: World
) -> None:
    # The clock shows 100 at the start, 102 and 102.5 at the lines, 103 at the end.
    clock = iter([100.0, 102.0, 102.5, 103.0])
    logger = Logger(plan, state, world, clock=lambda: next(clock))
    logger.count(made(*[(0, 0)] * 2))
    state.step = 2
    logger.log(BREAKDOWN._replace(wait_seconds=0.33333))
    logger.count(made(*[(0, 0)] * 3))
    log_steps(logger, state, 5)
    lines = metrics(plan)
    assert [line["wall_seconds"] for line in lines] == [2.0, 2.5]
    assert [line["images_per_second"] for line in lines] == [12.0, 72.0]
    assert [line["wait_seconds"] for line in lines] == [0.3333, 0.125]
    assert list(lines[1].items())[-9:] == [
        ("compute_seconds", 0.5),
        ("exchange_seconds", 0.25),
        ("wait_seconds", 0.125),
        ("input_wait_seconds", 0.0625),
        ("checkpoint_seconds", 0.0312),
        ("journal_seconds", 0.0),
        ("evaluate_seconds", 0.0),
        ("slowest_rank", 0),
        ("slowest_rank_behind", 0.0),
    ]


def test_a_rank_that_lags_in_two_lines_is_named(
    plan: Plan, state: State, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = Logger(plan, state, world)
    for state.step, behind in enumerate([0.3, 0.05, 0.4, 0.5], start=1):
        logger.count(made((0, 0)))
        logger.log(BREAKDOWN._replace(slowest_rank_behind=behind))
    logger.close()
    lines = [text for text in capsys.readouterr().out.splitlines() if text.startswith("step ")]
    lag = f"  rank 0 on {world.host} lags: its work takes 50% longer than the others'"
    assert [lag in text for text in lines] == [False, False, False, True]
    assert ["lags" in text for text in lines] == [False, False, False, True]


def test_updates_that_were_left_out_are_counted_and_have_no_losses(
    plan: Plan, state: State, world: World
) -> None:
    logger = Logger(plan, state, world)
    logger.count(made(skipped=2))
    state.step = 2
    logger.log(BREAKDOWN)  # no update was made: there is nothing to log yet
    logger.count(made((1, 2), skipped=1))
    state.step = 4
    logger.log(BREAKDOWN)
    logger.count(made((3, 4)))
    state.step = 5
    logger.log(BREAKDOWN)
    logger.close()
    line, after = metrics(plan)
    assert (line["step"], line["skipped_updates"]) == (4, 3)
    assert (after["step"], after["skipped_updates"]) == (5, 0)
    assert (line["discriminator_loss"], line["generator_loss"]) == (1, 2)


def test_a_resumed_run_keeps_the_lines_up_to_its_step_and_the_clock_goes_on(
    plan: Plan, state: State, world: World
) -> None:
    plan.run_dir.mkdir()
    before = [{"step": step, "wall_seconds": 10.0 * step} for step in (2, 4, 6)]
    text = "".join(json.dumps(line) + "\n" for line in before)
    (plan.run_dir / "metrics.jsonl").write_text(text + '{"step": 8, "wall_sec')
    clock = iter([100.0, 101.5, 102.0])
    state.step = 4
    log_steps(Logger(plan, state, world, clock=lambda: next(clock)), state, 6)
    lines = metrics(plan)
    assert lines[:2] == before[:2]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert lines[2]["wall_seconds"] == 41.5
    assert lines[2]["images_per_second"] == 16.0  # 2 steps of 12 images in 1.5 seconds
    assert lines[2]["images"] == 72


@pytest.mark.parametrize(
    "end",
    [
        '{"step": 4, "wall_seconds": 40.0',
        '{"step": 4, "wall_seconds": 40.0}',
        '{"step": 4}\n',
        "4",
        "null\n",
        "\0\0\0\0",
        "\udcff",  # a byte that is no UTF-8
    ],
)
def test_what_a_killed_run_left_of_its_last_line_spoils_nothing(
    plan: Plan, state: State, world: World, end: str
) -> None:
    plan.run_dir.mkdir()
    first = {"step": 2, "wall_seconds": 20.0}
    content = f"{json.dumps(first)}\n{end}".encode(errors="surrogateescape")
    (plan.run_dir / "metrics.jsonl").write_bytes(content)
    state.step = 5
    log_steps(Logger(plan, state, world), state, 6)
    lines = metrics(plan)
    assert lines[0] == first
    assert lines[-1]["step"] == 6
    assert lines[-1]["wall_seconds"] >= 20
    assert len(lines) == 2


def test_a_run_that_starts_again_drops_all_lines(plan: Plan, state: State, world: World) -> None:
    plan.run_dir.mkdir()
    (plan.run_dir / "metrics.jsonl").write_text('{"step": 2, "wall_seconds": 1.0}\n')
    Logger(plan, state, world).close()
    assert metrics(plan) == []
