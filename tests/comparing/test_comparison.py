"""Comparisons: what is made in which order, what a kill leaves, and what is refused."""

from __future__ import annotations

import json
import signal
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import h5py
import launching
import numpy as np
import pytest

from hpcgan.comparing import comparison
from hpcgan.comparing.kept import Place, read_start
from hpcgan.comparing.parts import Parts, divided
from hpcgan.config_file import load
from hpcgan.errors import ConfigError, RunError
from hpcgan.training.lock import RunLock
from hpcgan.world import World
from tests.comparing.conftest import Ranks

NAMES = ("synchronous", "stale", "split")
TURNS = [*(f"{name}-0" for name in NAMES), *(f"{name}-10000" for name in NAMES[::-1])]


def _given(out: str = "out", **changes: Any) -> Namespace:
    values = {"config": "config.yaml", "ways": Path("ways.yaml"), "overrides": [], "ranks": 2}
    values |= {"rank_seconds": 100.0, "seeds": 2, "out": Path(out)}
    return Namespace(**(values | changes))


def _without_times(out: Path) -> dict[str, Any]:
    """Return what compare.json holds but for the times."""
    found = json.loads((out / "compare.json").read_text())
    for way in found["ways"].values():
        for point in way["points"]:
            assert point.pop("rank_seconds") > 0
    return found


def test_all_ways_come_in_turn_and_every_point_is_kept(
    place: Path, ranks: Ranks, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert comparison.run(world, _given()) == 0
    paces = [("pace", name) for name in NAMES]
    assert ranks.programs == paces + [("points", start) for start in TURNS]
    found = _without_times(place / "out")
    assert (found["ranks"], found["rank_seconds"], found["floor"]) == (2, 100, 0.01)
    assert {name: way["is_added"] for name, way in found["ways"].items()} == {
        "synchronous": True,
        "stale": False,
        "split": False,
    }
    assert found["ways"]["split"]["baselines"] == ["stale"]
    points = found["ways"]["stale"]["points"]
    assert [point["seed"] for point in points] == [0] * 8 + [10_000] * 8
    assert [point["images"] for point in points[:3]] == [40, 80, 120]
    assert not list(place.glob("out/work/*/*"))
    printed = capsys.readouterr().out
    assert "split against stale: " in printed
    page = (place / "out" / "compare.html").read_text()
    assert "data:image/png;base64," in page
    assert "<td>stale</td>" in page


@pytest.mark.parametrize("kill", [1, 3, 4, 6, 9])
def test_a_comparison_that_is_killed_at_any_program_ends_as_one_that_never_was(
    place: Path, ranks: Ranks, world: World, kill: int
) -> None:
    assert comparison.run(world, _given("whole")) == 0
    ranks.programs.clear()
    ranks.killed_at = {kill}
    with pytest.raises(KeyboardInterrupt):
        comparison.run(world, _given())
    there = {path: path.read_bytes() for path in place.glob("out/[ws][at]*/*.json")}
    assert len(there) == kill - 1
    assert comparison.run(world, _given()) == 0
    assert all(path.read_bytes() == content for path, content in there.items())
    assert len(ranks.programs) == 10  # the one that was killed came twice
    assert _without_times(place / "out") == _without_times(place / "whole")


def test_a_start_is_given_all_that_is_decided(place: Path, ranks: Ranks, world: World) -> None:
    parts = Parts(["train.h5"], "judge.h5", "report.h5")
    config = load("config.yaml", ["--parallel.population=2", "--tournament.every=5"])
    found = comparison.complete(config, parts, 7, 80)
    assert (found.seed, found.train.steps, found.data.files) == (7, 81, ["train.h5"])
    assert found.tournament.data == found.evaluate.held_out == ["judge.h5"]
    assert found.evaluate.every_steps is None
    assert found.checkpoint.every_steps is None


def test_a_directory_holds_one_comparison(place: Path, ranks: Ranks, world: World) -> None:
    assert comparison.run(world, _given(seeds=1)) == 0
    begun = len(ranks.programs)
    for changes, said in (
        ({"ranks": 4}, "--ranks: 2 -> 4"),
        ({"rank_seconds": 5.0}, "--rank-seconds: 100 -> 5"),
        ({"overrides": ["--train.batch_size=5"]}, r"train\.batch_size: 4 -> 5"),
    ):
        with pytest.raises(ConfigError, match=rf"json: was measured for another .*{said}"):
            comparison.run(world, _given(seeds=1, **changes))
    assert comparison.run(world, _given(seeds=1)) == 0
    assert len(ranks.programs) == begun  # there was nothing left to do
    assert comparison.run(world, _given(seeds=2)) == 0
    assert ranks.programs[begun:] == [("points", start) for start in TURNS[3:]]


def test_the_data_of_a_comparison_stay_the_same(place: Path, ranks: Ranks, world: World) -> None:
    assert comparison.run(world, _given(seeds=1)) == 0
    with h5py.File("data.h5", "r+") as file:
        file["images"][9] = 0
    with pytest.raises(ConfigError, match=r"^out: was begun with other content of data\.files "):
        comparison.run(world, _given())


def test_a_start_that_another_makes_is_left_to_it(
    place: Path, ranks: Ranks, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Place(Path("out"))
    start = own.start("split", 10_000)
    other = RunLock(own.work(start))
    assert other.try_take()
    assert comparison.run(world, _given()) == 0
    assert not start.exists()
    assert "1 start is being made by others in out" in capsys.readouterr().out
    other.release()
    assert comparison.run(world, _given()) == 0
    assert len(read_start(start).points) == 8


@pytest.mark.parametrize(("status", "kind"), [(2, ConfigError), (1, RunError)])
def test_a_way_that_is_not_possible_is_named_before_any_start(
    place: Path, ranks: Ranks, world: World, status: int, kind: type[Exception]
) -> None:
    ranks.wrong = status, "hpcgan compare: data.shards is 1"
    with pytest.raises(kind, match=r"way 'synchronous': hpcgan compare: data\.shards is 1"):
        comparison.run(world, _given())
    assert [what for what, _ in ranks.programs] == ["pace"]


def test_a_start_that_fails_does_not_keep_others_from_theirs(
    place: Path, ranks: Ranks, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert comparison.run(world, _given(seeds=1)) == 0
    ranks.wrong = 1, "hpcgan compare: Traceback"
    assert comparison.run(world, _given()) == 1
    said = f"failed with status 1: hpcgan compare: Traceback; see {Path('out/split-10000.log')}"
    assert said in capsys.readouterr().out
    assert [start for _, start in ranks.programs[-3:]] == TURNS[3:]
    ranks.wrong = None
    assert comparison.run(world, _given()) == 0


def test_ranks_cannot_start_it(place: Path) -> None:
    class Several:
        size = 2

    with pytest.raises(ConfigError, match="run it without mpirun or srun"):
        comparison.run(Several(), _given())  # type: ignore[arg-type]


@pytest.mark.parametrize("is_held_out", [True, False])
def test_no_sample_is_in_two_parts(place: Path, world: World, is_held_out: bool) -> None:
    words = ["--evaluate.held_out=[held.h5]"] if is_held_out else []
    images = np.random.default_rng(1).integers(0, 256, (60, 4, 4, 1), np.uint8)
    with h5py.File("held.h5", "w") as file:
        file["images"] = images
    found = divided(world, load("config.yaml", words), place / "out" / "data")
    if is_held_out:
        assert found.train == ["data.h5"]
        files = [found.judge, found.report]
    else:
        files = [*found.train, found.judge, found.report]
        with h5py.File("data.h5") as file:
            images = file["images"][:]
    rows = []
    for path in files:
        with h5py.File(path) as file:
            assert len(file["images"]) == 30
            rows += [row.tobytes() for row in file["images"][:]]
    assert sorted(rows) == sorted(row.tobytes() for row in images)
    again = divided(world, load("config.yaml", words), place / "out" / "data")
    assert again == found


def test_two_ranks_by_the_command_that_is_killed(place: Path) -> None:
    (place / "ways.yaml").write_text("a: {}\n")
    words = ["-m", "hpcgan", "compare", "config.yaml", "--ways", "ways.yaml", "--ranks", "2"]
    words += ["--rank-seconds", "0.4", "--seeds", "1", "--out", "out"]
    begun = launching.start(place, *words)
    deadline = time.monotonic() + 300
    while not list(place.glob("out/work/starts/*/config.yaml")):
        assert begun.poll() is None, begun.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    begun.send_signal(signal.SIGKILL)
    begun.communicate()
    assert len(list(place.glob("out/ways/*.json"))) == 1
    assert not list(place.glob("out/starts/*.json"))
    done = launching.run(place, *words, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Fréchet distance" in done.stdout
    found = _without_times(place / "out")
    assert (found["ranks"], len(found["ways"]["a"]["points"])) == (2, 8)
    assert found["ways"]["a"]["bytes_per_step"] > 0
