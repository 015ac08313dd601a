"""What a run leaves behind, and how the record goes on when the run does."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hpcgan import pictures
from hpcgan.checkpoint import Checkpoint
from hpcgan.config_file import from_yaml
from hpcgan.errors import RunError
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.training.breakdown import StepBreakdown
from hpcgan.training.callback import Call
from hpcgan.training.logger import Logger
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World

CONTRACT = [
    "step",
    "images",
    "wall_seconds",
    "images_per_second",
    "discriminator_loss",
    "generator_loss",
]
BREAKDOWN = StepBreakdown(0.5, 0.25, 0.125, 0.0625, 0.03125, 0.0, 0, 0.0)


@pytest.fixture
def plan(world: World, data_file: Path, tmp_path: Path) -> Plan:
    """Return the plan of a run in tmp_path/run that uses 12 images a step."""
    config = tmp_path / "run.yaml"
    config.write_text(
        f"name: small\ndata: {{files: [{data_file}], shards: 3}}\n"
        "model: {name: mlp, latent_dim: 2}\ntrain: {steps: 10, batch_size: 4}\n"
    )
    return prepare(world, str(config), [], tmp_path / "run", "auto")


@pytest.fixture
def state(plan: Plan) -> State:
    return State(plan.config, plan.source.sample_shape)


def metrics(plan: Plan) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl."""
    text = (plan.run_dir / "metrics.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def made(*losses: tuple[float, float], skipped: int = 0) -> Call:
    """Return a call of some updates that were left out and some with losses, D's and G's."""
    table = np.array([*[(np.nan, np.nan)] * skipped, *losses], np.float32)
    return Call(0, len(table), table, np.isnan(table[:, 0]), False)


def log_steps(logger: Logger, state: State, *steps: int) -> None:
    """Write a line at each of ``steps``, with losses that depend on it."""
    for step in steps:
        state.step = step
        logger.count(made((step, step), (step + 0.5, step + 1)))
        logger.log(BREAKDOWN)
    logger.close()


def test_a_line_holds_what_the_contract_promises(plan: Plan, state: State, world: World) -> None:
    log_steps(Logger(plan, state, world), state, 2, 5)
    lines = metrics(plan)
    assert all(list(line)[:6] == CONTRACT for line in lines)
    assert [line["step"] for line in lines] == [2, 5]
    assert [line["images"] for line in lines] == [24, 60]
    assert [line["discriminator_loss"] for line in lines] == [2.25, 5.25]
    assert [line["generator_loss"] for line in lines] == [2.5, 5.5]


def test_speed_and_breakdown_are_those_since_the_line_before(
    plan: Plan, state: State, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock shows 100 at the start, 102 and 102.5 at the lines, 103 at the end.
    clock = iter([100.0, 102.0, 102.5, 103.0])
    monkeypatch.setattr("hpcgan.training.logger.time.monotonic", lambda: next(clock))
    logger = Logger(plan, state, world)
    logger.count(made(*[(0, 0)] * 2))
    state.step = 2
    logger.log(BREAKDOWN._replace(wait_seconds=0.33333))
    logger.count(made(*[(0, 0)] * 3))
    log_steps(logger, state, 5)
    lines = metrics(plan)
    assert [line["wall_seconds"] for line in lines] == [2.0, 2.5]
    assert [line["images_per_second"] for line in lines] == [12.0, 72.0]
    assert [line["wait_seconds"] for line in lines] == [0.3333, 0.125]
    assert list(lines[1].items())[-8:] == [
        ("compute_seconds", 0.5),
        ("exchange_seconds", 0.25),
        ("wait_seconds", 0.125),
        ("input_wait_seconds", 0.0625),
        ("checkpoint_seconds", 0.0312),
        ("journal_seconds", 0.0),
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
    plan: Plan, state: State, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.run_dir.mkdir()
    before = [{"step": step, "wall_seconds": 10.0 * step} for step in (2, 4, 6)]
    text = "".join(json.dumps(line) + "\n" for line in before)
    (plan.run_dir / "metrics.jsonl").write_text(text + '{"step": 8, "wall_sec')
    clock = iter([100.0, 101.5, 102.0])
    monkeypatch.setattr("hpcgan.training.logger.time.monotonic", lambda: next(clock))
    state.step = 4
    log_steps(Logger(plan, state, world), state, 6)
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


def test_the_configuration_is_written_with_its_shards(
    plan: Plan, state: State, world: World
) -> None:
    Logger(plan, state, world).close()
    written = from_yaml((plan.run_dir / "config.yaml").read_text(), "config.yaml")
    assert written == plan.config
    assert written.data.shards == 3


def test_a_grid_of_64_samples_from_the_runs_latents_is_drawn(
    plan: Plan, state: State, world: World
) -> None:
    logger = Logger(plan, state, world)
    state.step = 500
    logger.write_samples()
    logger.close()
    latents = noise.sampling_latents(plan.config.seed, 0, 2)[:64]
    expected = pictures.grid(np.array(state.generator(latents, training=False)))
    with Image.open(plan.run_dir / "samples" / "step_00000500.png") as drawn:
        assert drawn.size == (64, 64)  # 8 x 8 samples of 8 x 8 pixels
        assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_tensorboard_shows_the_losses_the_speed_and_the_grids(
    plan: Plan, state: State, world: World
) -> None:
    logger = Logger(plan, state, world)
    state.step = 2
    logger.write_samples()
    log_steps(logger, state, 2, 5)
    board = EventAccumulator(
        str(plan.run_dir / "tensorboard"), size_guidance={"tensors": 0, "images": 0}
    )
    board.Reload()
    assert set(board.Tags()["tensors"]) == {
        "discriminator_loss",
        "generator_loss",
        "images_per_second",
        "samples",
        "skipped_updates",
        *StepBreakdown._fields,
    }
    losses = [
        (event.step, float(tf.make_ndarray(event.tensor_proto)))
        for event in board.Tensors("discriminator_loss")
    ]
    assert losses == [(2, 2.25), (5, 5.25)]
    (grid,) = board.Tensors("samples")
    assert grid.step == 2
    width, height = tf.make_ndarray(grid.tensor_proto)[:2]
    assert (width, height) == (b"64", b"64")


def test_a_run_directory_that_cannot_be_made_is_an_error(
    plan: Plan, state: State, world: World
) -> None:
    plan.run_dir.write_text("a file")
    with pytest.raises(RunError) as caught:
        Logger(plan, state, world)
    message = str(caught.value)
    assert message.startswith(f"{plan.run_dir}: the run directory cannot be written: ")
    assert "\n" not in message


@pytest.mark.parametrize("what", ["moved", "deleted", "replaced"])
def test_a_run_directory_that_is_no_longer_there_is_an_error_that_names_where_it_is(
    plan: Plan, state: State, world: World, what: str
) -> None:
    logger = Logger(plan, state, world)
    logger.check_place()
    moved = plan.run_dir.rename(plan.run_dir.with_name("moved"))
    where = str(moved / "metrics.jsonl")
    if what == "deleted":
        shutil.rmtree(moved)
        where += " (deleted)"
    if what == "replaced":
        shutil.copytree(moved, plan.run_dir)
    with pytest.raises(RunError) as caught:
        logger.check_place()
    assert str(caught.value) == (
        f"{plan.run_dir / 'metrics.jsonl'}: was moved, deleted or replaced while the run wrote to "
        f"it; it is now {where}: put the run directory back, and the same command goes on from the "
        "newest checkpoint"
    )


def test_the_log_names_where_it_starts_each_line_and_where_all_is(
    plan: Plan, state: State, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    log_steps(Logger(plan, state, world, "3 shards per rank, 3 at a time"), state, 2)
    opening, ranks, data, line, end, result = capsys.readouterr().out.splitlines()
    assert opening == f"hpcgan: small: a new run, in {plan.run_dir}"
    assert ranks.startswith("hpcgan: 1 rank on 1 node, ")
    assert ranks.endswith(
        " per rank; 12 images per step; mlp, simultaneous; 3 shards per rank, 3 at a time"
    )
    assert data.startswith(
        "hpcgan: data: 40 samples (8, 8, 1) uint8 in 3 contiguous shards of 13 to 14 samples; all "
        "are seen in 4 steps; in memory (auto: 2.6 KB a node, "
    )
    assert data.endswith(" free), shuffled one by one")
    assert line.startswith("step 2/10  loss D 2.2500  G 2.5000  ")
    assert end.startswith("hpcgan: finished: 2 steps in ")
    assert end.endswith(f"all is in {plan.run_dir}")
    assert re.fullmatch(
        r"hpcgan-result: images_per_second=[\d.]+ ranks=1 hosts=1 images_per_step=12 steps=2 "
        r"last_step=2 images=24 seconds=[\d.]+ compute=0.5161 .* discriminator_loss=2.25 "
        r"generator_loss=2.5",
        result,
    )


def test_a_run_that_is_stopped_has_a_result_too(
    plan: Plan, state: State, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = Logger(plan, state, world)
    state.step = 3
    logger.count(made(*[(0, 0)] * 3))
    logger.stop("SIGUSR1 (rank 0)")
    result = capsys.readouterr().out.splitlines()[-1]
    assert result.startswith("hpcgan-result: images_per_second=")
    assert " steps=3 last_step=3 images=36 " in result
    last = json.loads((plan.run_dir / "history.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["why"]) == ("stopped", "SIGUSR1 (rank 0)")


def test_the_history_has_what_happened_and_what_had_changed(
    plan: Plan, state: State, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    log_steps(Logger(plan, state, world), state, 2, 5)
    changed = dataclasses.replace(
        plan.config, train=dataclasses.replace(plan.config.train, steps=9)
    )
    found = Checkpoint(Path("c.h5"), 2, 24, changed, (8, 8, 1), "uint8", plan.data, 0, 0, {})
    state.step = 2
    logger = Logger(dataclasses.replace(plan, found=found), state, world)
    logger.count(made((1, 1), skipped=2))
    state.step, state.rollbacks = 1, 1
    logger.rewind("it went wrong")
    assert [line["step"] for line in metrics(plan)] == []
    log_steps(logger, state, 3)
    (line,) = metrics(plan)
    assert (line["step"], line["generator_loss"], line["skipped_updates"]) == (3, 3.5, 0)
    text = (plan.run_dir / "history.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        ("started", 0),
        ("finished", 5),
        ("resumed", 2),
        ("rolled back", 1),
        ("finished", 3),
    ]
    assert lines[0]["ranks"] == 1
    assert lines[2]["changes"] == ["train.steps: 9 -> 10"]
    assert lines[3]["why"] == "it went wrong"
    said = capsys.readouterr().out
    assert "it went wrong: gone back to the checkpoint of step 1, with 0.5 of the learning" in said
