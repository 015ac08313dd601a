"""What a run leaves behind beside its lines of metrics."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

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
from hpcgan.training.logger import Logger
from hpcgan.training.plan import Plan
from hpcgan.world import World
from tests.training.logged import log_steps, made, metrics


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
    opening, ranks, data, rates, line, end, result = capsys.readouterr().out.splitlines()
    assert opening == f"hpcgan: small: a new run, in {plan.run_dir}"
    assert rates.startswith("hpcgan: optimizer.scaling none: 3 shards train with the rates of one")
    assert ranks.startswith("hpcgan: 1 rank on 1 node, ")
    assert ranks.endswith(
        " per rank; 12 images per step; mlp, simultaneous; 3 shards per rank, 3 at a time"
    )
    assert data.startswith(
        "hpcgan: data: 40 samples (8, 8, 1) uint8 in 3 contiguous shards of 13 to 14 samples; all "
        "are seen in 4 steps; in memory (auto: 2.56 kB per node, "
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
