"""Whole comparisons, on the one rank of this process and from the command line, with kills."""

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
from hpcgan.errors import ConfigError
from hpcgan.training.lock import RunLock
from hpcgan.world import World
from tests.comparing.conftest import Ranks

CONFIG = "data: {files: [data.h5]}\nmodel: {latent_dim: 4}\ntrain: {batch_size: 4}\n"
WAYS = "pop: {parallel.population: 2, tournament.every: 5}\nstale: {train.staleness: 1}\n"
NAMES = ("synchronous", "pop", "stale", "pop without tournament")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with data, a configuration and ways, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (150, 4, 4, 1), np.uint8)
    with h5py.File("data.h5", "w") as file:
        file["images"] = images
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "ways.yaml").write_text(WAYS)
    return tmp_path


def _given(out: str = "out", **changes: Any) -> Namespace:
    values = {"config": "config.yaml", "ways": Path("ways.yaml"), "overrides": [], "ranks": 1}
    values |= {"rank_seconds": 0.1, "seeds": 2, "out": Path(out)}
    return Namespace(**(values | changes))


def _without_times(out: Path) -> dict[str, Any]:
    """Return what compare.json holds but for the times."""
    found = json.loads((out / "compare.json").read_text())
    for way in found["ways"].values():
        for point in way["points"]:
            assert point.pop("rank_seconds") > 0
    return found


def test_a_comparison_that_is_killed_goes_on(place: Path, ranks: Ranks, world: World) -> None:
    ranks.killed_at = {3}
    with pytest.raises(KeyboardInterrupt):
        comparison.run(world, _given())
    assert {path.stem for path in place.glob("out/ways/*")} == {"synchronous", "pop"}
    ranks.killed_at = {7}
    with pytest.raises(KeyboardInterrupt):
        comparison.run(world, _given())
    paces = [path.read_bytes() for path in sorted(place.glob("out/ways/*"))]
    whole = {path: path.read_bytes() for path in place.glob("out/starts/*")}
    assert len(paces) == len(NAMES)
    assert len(whole) == 1
    assert comparison.run(world, _given()) == 0

    assert [path.read_bytes() for path in sorted(place.glob("out/ways/*"))] == paces
    assert all(path.read_bytes() == content for path, content in whole.items())
    assert not list(place.glob("out/work/*/*"))
    # Two paces were begun twice, and the third start was; all ways upwards, and then downwards.
    asked = [words[3] for words in ranks.programs]
    assert asked == ["pace"] * 5 + ["points"] * 9
    found = _without_times(place / "out")
    assert list(found["ways"]) == list(NAMES)
    for name, way in found["ways"].items():
        points = way["points"]
        assert [point["seed"] for point in points] == [0] * 8 + [10_000] * 8
        assert points[7]["step"] == points[15]["step"] == way["steps"]
        assert all(point["frechet"] > 0 for point in points)
        images = 8 if name.startswith("pop") else 4
        assert [point["images"] for point in points] == [images * p["step"] for p in points]
        assert {point["member"] is None for point in points} == {not name.startswith("pop")}
    assert found["ways"]["pop"]["taken_bytes"]["0"] > 0
    assert found["floor"] > 0
    page = (place / "out" / "compare.html").read_text()
    assert "pop without tournament" in page
    assert "data:image/png;base64," in page

    # The same starts, made without a kill.
    again = place / "again" / "ways"
    again.mkdir(parents=True)
    for path in place.glob("out/ways/*"):
        (again / path.name).write_bytes(path.read_bytes())
    ranks.programs.clear()
    assert comparison.run(world, _given("again")) == 0
    assert _without_times(place / "again") == found
    seeds = [Path(words[2]).stem for words in ranks.programs]
    assert seeds == [f"{n}-0" for n in NAMES] + [f"{n}-10000" for n in NAMES[::-1]]


def test_a_directory_holds_one_comparison(place: Path, ranks: Ranks, world: World) -> None:
    (place / "ways.yaml").write_text("a: {}\n")
    assert comparison.run(world, _given(seeds=1)) == 0
    begun = len(ranks.programs)
    for changes, said in (
        ({"ranks": 2}, "--ranks: 1 -> 2"),
        ({"rank_seconds": 5.0}, "--rank-seconds: 0.1 -> 5"),
        ({"overrides": ["--train.batch_size=5"]}, r"train\.batch_size: 4 -> 5"),
    ):
        with pytest.raises(ConfigError, match=rf"a\.json: was measured for another .*{said}"):
            comparison.run(world, _given(seeds=1, **changes))
    assert comparison.run(world, _given(seeds=1)) == 0
    assert len(ranks.programs) == begun  # there was nothing left to do


def test_a_start_that_another_makes_is_left_to_it(
    place: Path, ranks: Ranks, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "ways.yaml").write_text("a: {}\n")
    own = Place(Path("out"))
    other = RunLock(own.work(own.start("a", 10_000)))
    assert other.try_take()
    assert comparison.run(world, _given()) == 0
    assert own.start("a", 0).exists()
    assert not own.start("a", 10_000).exists()
    assert "1 starts are being made by others in out" in capsys.readouterr().out
    other.release()
    assert comparison.run(world, _given()) == 0
    assert len(read_start(own.start("a", 10_000)).points) == 8


def test_a_way_that_is_not_possible_is_named_before_any_start(
    place: Path, ranks: Ranks, world: World
) -> None:
    (place / "ways.yaml").write_text("a: {}\nhuge: {train.batch_size: 1000}\n")
    with pytest.raises(ConfigError, match=r"way 'huge': hpcgan compare: .*batch_size is 1000"):
        comparison.run(world, _given())
    assert not list(place.glob("out/starts/*"))


def test_held_out_data_judge_and_report_and_the_rest_is_trained_on(
    place: Path, ranks: Ranks, world: World
) -> None:
    (place / "ways.yaml").write_text("a: {}\n")
    images = np.random.default_rng(1).integers(0, 256, (60, 4, 4, 1), np.uint8)
    with h5py.File("held.h5", "w") as file:
        file["images"] = images
    words = ["--evaluate.held_out=[held.h5]"]
    assert comparison.run(world, _given(seeds=1, overrides=words)) == 0
    parts = sorted(place.glob("out/data/*.h5"))
    assert [path.name for path in parts] == ["held-out-0000.h5", "held-out-0001.h5"]
    rows = []
    for path in parts:
        with h5py.File(path) as file:
            rows.append(file["images"][:].reshape(30, -1))
    assert sorted(map(bytes, np.concatenate(rows))) == sorted(map(bytes, images.reshape(60, -1)))


def test_two_ranks_by_the_command_that_is_killed(place: Path) -> None:
    (place / "ways.yaml").write_text("a: {}\n")
    words = ["-m", "hpcgan", "compare", "config.yaml", "--ways", "ways.yaml", "--ranks", "2"]
    words += ["--rank-seconds", "0.4", "--seeds", "1", "--out", "out"]
    begun = launching.start(place, *words)
    deadline = time.monotonic() + 100
    while not list(place.glob("out/work/starts/*/config.yaml")):
        assert begun.poll() is None, begun.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    begun.send_signal(signal.SIGKILL)
    begun.communicate()
    assert len(list(place.glob("out/ways/*.json"))) == 1
    assert not list(place.glob("out/starts/*.json"))
    done = launching.run(place, *words)
    assert done.returncode == 0, done.stderr
    assert "Fréchet distance" in done.stdout
    found = _without_times(place / "out")
    assert (found["ranks"], len(found["ways"]["a"]["points"])) == (2, 8)
    assert found["ways"]["a"]["bytes_per_step"] > 0
