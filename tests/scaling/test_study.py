"""Studies: the order of starts, what is refused, and a small one through the command line."""

from __future__ import annotations

import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling import study
from hpcgan.scaling.runs import read_runs
from hpcgan.scaling.study import order
from tests.conftest import Run
from tests.scaling.made import made, write

_CONFIG = """
data: {files: [data.h5]}
model: {latent_dim: 6}
train: {batch_size: 5}
"""


@pytest.fixture
def place(data_file: Path) -> Path:
    """Return a directory with data and a config."""
    (data_file.parent / "config.yaml").write_text(_CONFIG)
    return data_file.parent


def test_every_second_repeat_goes_backwards() -> None:
    assert list(order([4, 1, 2], 3)) == [
        *((0, 1), (0, 2), (0, 4)),
        *((1, 4), (1, 2), (1, 1)),
        *((2, 1), (2, 2), (2, 4)),
    ]


class _World:
    size = 1


def _given(place: Path, **changes: object) -> Namespace:
    values: dict = {
        "kind": "strong",
        "config": str(place / "config.yaml"),
        "overrides": [],
        "ranks": [1, 4],
        "out": place / "study",
        "repeats": 1,
        "seconds": 0.1,
        "quality": 0,
    }
    return Namespace(**(values | changes))


def test_strong_scaling_needs_a_shard_per_rank(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"divides data\.shards, 2, .* so 4 ranks are too many"):
        study.run(_World(), _given(place, overrides=["--data.shards", "2"]))


@pytest.mark.parametrize(
    ("kind", "option", "reason"),
    [
        ("weak", "data.shards=4", "weak scaling has one shard per rank; "),
        ("weak", "train.steps=50", "--seconds, and --quality, say how long a study trains; "),
        ("strong", "train.steps=50", "--seconds, and --quality, say how long a study trains; "),
        ("weak", "checkpoint.every_steps=null", "a study writes no checkpoints, "),
        ("strong", "log.every_steps=1", "a study writes no checkpoints, no journal "),
        ("strong", "run.restarts=2", "a study writes no checkpoints, no journal "),
        ("strong", "watch.drift_steps=1", "a study writes no checkpoints, no journal "),
    ],
)
def test_an_option_that_a_study_does_not_use_is_refused(
    place: Path, kind: str, option: str, reason: str
) -> None:
    key, value = option.split("=")
    for words in ([f"--{option}"], [f"--{key}", value]):
        with pytest.raises(ConfigError) as caught:
            study.run(_World(), _given(place, kind=kind, overrides=words))
        assert str(caught.value).startswith(f"command line: --{key} has no effect here: {reason}")


def test_steps_that_the_learning_rates_fall_by_are_used(place: Path) -> None:
    words = ["--optimizer.decay=linear", "--train.steps=50", "--data.shards=2"]
    with pytest.raises(ConfigError, match="so 4 ranks are too many"):  # as for any other key
        study.run(_World(), _given(place, overrides=words))


def test_ranks_cannot_start_a_given(place: Path) -> None:
    several = _World()
    several.size = 2
    with pytest.raises(ConfigError, match="run it without mpirun or srun"):
        study.run(several, _given(place))


def test_a_study_of_another_configuration_is_not_added_to(place: Path) -> None:
    write(place / "study", made("strong"))
    with pytest.raises(ConfigError, match=r"strong-1-0\.json .*different configurations .*name"):
        study.run(_World(), _given(place))


def test_a_small_given(place: Path, python: Run) -> None:
    def weak(ranks: str) -> subprocess.CompletedProcess[str]:
        words = ["-m", "hpcgan", "scale", "weak", "config.yaml", "--train.batch_size", "14"]
        return python(*words, "--ranks", ranks, "--out=study", "--repeats=1", "--seconds=0.3")

    config = (place / "config.yaml").read_text()
    (place / "config.yaml").write_text(config.replace("{files", "{shards: 4, files"))
    done = weak("1")
    assert done.returncode == 0, done.stderr
    assert (
        "config.yaml: data.shards has no effect: weak scaling has one shard per rank\n"
        in done.stdout
    )
    assert "weak, 1 rank, 1 of 1: " in done.stdout
    done = weak("2")
    assert done.returncode == 0, done.stderr
    assert "weak, 2 ranks, 1 of 1: " in done.stdout
    # A shard of 13 samples is too small for a batch of 14.
    done = weak("3")
    assert done.returncode == 1
    assert "weak, 3 ranks, 1 of 1: failed with status 2: hpcgan scale: train.batch_size is 14" in (
        done.stdout
    )
    assert len(read_runs(place / "study")) == 2
    for run in read_runs(place / "study").values():
        assert run.images == 14 * run.ranks
        assert run.samples == 14
        assert run.traffic["exchanges"] == 1
        # Weights and biases of both networks; two losses and the wish to stop; in rows of 16.
        g = 6 * 128 + 128 + 128 * 128 + 128 + 128 * 64 + 64
        d = 64 * 128 + 128 + 128 * 128 + 128 + 128 + 16
        assert run.traffic["gradient_bytes"] == 4 * (g + d + 16)
        assert len(run.exchange) == len(run.baseline) == 5
        assert run.skipped == 0
    assert not list((place / "study").glob("runs/*.none"))
    reported = python("-m", "hpcgan", "scale", "report", "study")
    assert reported.returncode == 0, reported.stderr
    assert "weak scaling; medians" in reported.stdout
    for name in ("report.csv", "report.html", "report.png", "points.json"):
        assert (place / "study" / name).stat().st_size > 0
