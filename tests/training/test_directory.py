"""The run directory: nothing in it is read, chosen or renamed before it is held."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpcgan.checkpoint import path_of
from hpcgan.config import Config, DataConfig, ParallelConfig
from hpcgan.errors import CheckpointError, ConfigError, DataError, RunError
from hpcgan.training import lock
from hpcgan.training.directory import go_back, held_population
from hpcgan.training.lock import RunLock
from hpcgan.world import World
from tests.training.run_place import Runs


@pytest.fixture
def runs(world: World, data_file: Path) -> Runs:
    return Runs(world, data_file)


@contextmanager
def other_run(directory: Path) -> Iterator[None]:
    """Have another run hold a directory while inside."""
    other = RunLock(directory)
    other.take()
    try:
        yield
    finally:
        other.release()


def tree(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory but locks, with their content."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.parametrize("resume", ["auto", "never", "PATH"])
def test_a_directory_that_a_run_writes_in_is_left_as_it_is(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, resume: str
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    chosen = runs.save(3)
    runs.save(5).write_bytes(b"half of it is written")
    before = tree(runs.directory.parent)
    with other_run(runs.directory):
        message = runs.refusal(RunError, resume=resume.replace("PATH", str(chosen)))
    assert message.startswith(f"{runs.directory}: another run (process ")
    assert tree(runs.directory.parent) == before


def test_what_to_go_on_from_is_chosen_when_the_other_run_has_ended(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.save(3)
    first = RunLock(runs.directory)
    first.take()

    def end_the_first_run(seconds: float) -> None:
        if not path_of(runs.directory / "checkpoints", 7).exists():
            runs.save(7)
        first.release()

    monkeypatch.setattr(lock.time, "sleep", end_the_first_run)
    with runs.held() as plan:
        assert plan.found is not None
        assert plan.found.step == 7
    first.take()
    monkeypatch.setattr(lock.time, "sleep", lambda _: (runs.save(10), first.release()))
    with runs.held() as plan:
        assert plan.is_finished


def test_a_run_is_held_until_it_ends(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    runs.save(3)
    for resume in ("never", "auto"):
        with runs.held(resume=resume):
            assert "another run" in runs.refusal(RunError)


def test_a_start_that_is_refused_leaves_no_directory(runs: Runs) -> None:
    runs.directory = runs.directory / "deep" / "run"
    runs.refusal(DataError, "--data.images=none")
    runs.refusal(ConfigError, "--train.batch_size=41", resume="never")
    runs.refusal(CheckpointError, resume="none.h5")
    assert not runs.directory.parent.parent.exists()
    runs.directory.mkdir(parents=True)
    runs.refusal(DataError, "--data.images=none")
    assert list(runs.directory.iterdir()) == []


def test_never_sets_the_earlier_run_aside_and_loses_nothing(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, step in ((1, 5), (2, 6)):
        content = runs.save(step).read_bytes()
        (runs.directory / "metrics.jsonl").write_text(f"line of run {number}\n")
        with runs.held(resume="never") as plan:
            assert plan.found is None
            assert [path.name for path in runs.directory.iterdir()] == ["lock"]
        aside = runs.directory.with_name(f"run.{number}")
        assert path_of(aside / "checkpoints", step).read_bytes() == content
        assert (aside / "metrics.jsonl").read_text() == f"line of run {number}\n"
        assert capsys.readouterr().out == (
            f"hpcgan: the earlier run in {runs.directory} is now {aside}\n"
        )
    assert (runs.directory.with_name("run.1") / "metrics.jsonl").read_text() == "line of run 1\n"


def test_never_starts_in_a_directory_that_is_missing_or_empty(runs: Runs) -> None:
    for _ in range(2):
        with runs.held(resume="never") as plan:
            assert plan.found is None
        runs.directory.mkdir(exist_ok=True)
    assert not runs.directory.with_name("run.1").exists()


def test_never_does_not_rename_where_it_runs(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.save(3)
    monkeypatch.chdir(runs.directory)
    runs.directory = Path()
    assert runs.refusal(ConfigError, resume="never").startswith("--run-dir .: --resume never would")
    assert runs.names() == ["step_00000003.h5"]


def test_a_checkpoint_by_its_path_sets_later_ones_aside(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = runs.save(3)
    for step in (2, 4, 5):
        runs.save(step)
    with runs.held(resume=str(chosen)) as plan:
        assert plan.found is not None
        assert plan.found.step == 3
    aside = ["step_00000004.h5.superseded", "step_00000005.h5.superseded"]
    assert runs.names() == ["step_00000002.h5", "step_00000003.h5", *aside]
    place = runs.directory / "checkpoints"
    assert capsys.readouterr().out.splitlines() == [
        f"hpcgan: set aside: {place / name}" for name in aside
    ]


def test_what_was_superseded_before_is_kept(runs: Runs) -> None:
    chosen = runs.save(3)
    for images in range(3):
        path = runs.save(4)
        path.write_bytes(path.read_bytes() + bytes([images]))
        with runs.held(resume=str(chosen)):
            pass
    name = runs.directory / "checkpoints" / "step_00000004.h5.superseded"
    ends = [Path(f"{name}{end}").read_bytes()[-1] for end in ("", ".1", ".2")]
    assert ends == [0, 1, 2]


def test_a_checkpoint_of_another_directory_is_not_mixed_with_that_of_its_step(
    runs: Runs, tmp_path: Path
) -> None:
    runs.save(3)
    runs.save(4)
    with runs.held(resume=str(runs.save(4, directory=tmp_path / "other"))):
        assert runs.names() == ["step_00000003.h5", "step_00000004.h5.superseded"]


def test_a_start_that_is_refused_sets_nothing_aside(runs: Runs, tmp_path: Path) -> None:
    chosen = runs.save(3)
    runs.save(5)
    runs.save(6).write_bytes(b"damaged")
    before = tree(tmp_path)
    missing = tmp_path / "step_00000001.h5"
    message = runs.refusal(CheckpointError, resume=str(missing))
    assert message == f"{missing}: there is no such checkpoint"
    runs.refusal(ConfigError, "--seed=1", resume=str(chosen))
    runs.refusal(ConfigError, "--seed=1")
    runs.refusal(ConfigError, "--train.batch_size=41", resume="never")
    runs.refusal(DataError, "--data.images=none", resume="never")
    assert tree(tmp_path) == before


def test_a_run_that_is_finished_sets_nothing_aside(runs: Runs, tmp_path: Path) -> None:
    chosen = runs.save(10)
    runs.save(12)
    before = tree(tmp_path)
    with runs.held(resume=str(chosen)) as plan:
        assert plan.is_finished
    assert tree(tmp_path) == before


def test_what_is_no_checkpoint_is_set_aside_once(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    place = runs.save(5).parent
    runs.save(4).write_bytes(b"damaged")
    runs.save(7).write_bytes(b"damaged")
    (place / "step_00000900.h5").mkdir()
    shutil.copy(place / "step_00000005.h5", place / "step_00000800.h5")
    with runs.held() as plan:
        assert plan.found is not None
        assert plan.found.step == 5
    aside = ["7", "800", "900", "4"]
    named = [f"{path_of(place, int(step))}.damaged" for step in aside]
    assert runs.names() == sorted(["step_00000005.h5", *(Path(each).name for each in named)])
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "set aside" in line] == [
        f"hpcgan: set aside: {each}" for each in named
    ]
    assert f"hpcgan: warning: {path_of(place, 800)}: is the checkpoint of step 5; " in said[1]
    with runs.held():
        pass
    assert capsys.readouterr().out == ""


def test_going_back_takes_the_newest_whole_checkpoint_and_sets_newer_ones_aside(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    place = runs.save(5).parent
    runs.save(7).write_bytes(b"damaged")
    assert go_back(place, False, 8).step == 5
    assert runs.names() == ["step_00000005.h5", "step_00000007.h5.damaged"]
    assert capsys.readouterr().out.count("step_00000007.h5") == 2
    runs.save(5).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="there is no whole checkpoint"):
        go_back(place, False, 8)


def test_going_back_to_the_best_sets_aside_what_came_after_it(runs: Runs) -> None:
    place = runs.save(5).parent
    runs.save(7)
    best = runs.save(3).rename(place / "best.h5")
    runs.save(3)
    assert go_back(place, True, 7).path == best
    names = [f"step_0000000{step}.h5.superseded" for step in (3, 5, 7)]
    assert runs.names() == ["best.h5", *names]


def test_a_best_checkpoint_that_is_damaged_or_of_a_later_step_is_not_gone_back_to(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    place = runs.save(5).parent
    best = runs.save(6).rename(place / "best.h5")
    assert go_back(place, True, 5).step == 5
    assert capsys.readouterr().out == ""
    best.write_bytes(b"damaged")
    assert go_back(place, True, 7).step == 5
    assert capsys.readouterr().out.count("best.h5: damaged") == 1
    assert runs.names() == ["best.h5", "step_00000005.h5"]


@pytest.mark.parametrize("first", ["never", "PATH"])
def test_a_job_that_slurm_starts_again_goes_on(
    runs: Runs, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    chosen = runs.save(3)
    runs.save(5)
    resume = first.replace("PATH", str(chosen))
    again = {"SLURM_RESTART_COUNT": "2"}
    with runs.held(resume=resume, environment=again) as plan:
        assert plan.found is not None
        assert plan.found.step == 5
    assert runs.names() == ["step_00000003.h5", "step_00000005.h5"]
    assert capsys.readouterr().out == (
        "hpcgan: Slurm has started this job again (restart 2): --resume "
        f"{resume} was for its first start, and now it is --resume auto\n"
    )
    with runs.held(resume=resume, environment={"SLURM_RESTART_COUNT": "0"}) as plan:
        assert (plan.found is None) == (first == "never")


def test_a_job_that_has_made_no_checkpoint_starts_again_as_it_was_asked_to(
    runs: Runs, tmp_path: Path
) -> None:
    elsewhere = runs.save(4, directory=tmp_path / "other")
    again = {"SLURM_RESTART_COUNT": "1"}
    with runs.held(resume=str(elsewhere), environment=again) as plan:
        assert plan.found is not None
        assert plan.found.path == elsewhere


def test_a_job_that_gets_nowhere_is_refused_and_sets_nothing_aside(
    runs: Runs, tmp_path: Path
) -> None:
    runs.save(0)
    runs.save(5).write_bytes(b"damaged")
    (runs.directory / "history.jsonl").write_text('{"event": "started", "step": 0}\n' * 3)
    before = tree(tmp_path)
    third = {"SLURM_RESTART_COUNT": "3"}
    with (
        pytest.raises(ConfigError, match="the last 3 starts of this job came from step 0 to 0, "),
        runs.held(environment=third),
    ):
        pass
    assert tree(tmp_path) == before


@pytest.mark.parametrize(("steps", "is_in_vain"), [((40, 40, 60), False), ((40, 40, 41), True)])
def test_a_population_gets_somewhere_if_one_member_does(
    world: World, tmp_path: Path, steps: tuple[int, ...], is_in_vain: bool
) -> None:
    config = Config(data=DataConfig(files=["a.h5"]), parallel=ParallelConfig(population=3))
    place = tmp_path / "run"
    for member, step in enumerate(steps):
        path = path_of(place / f"member_{member}" / "checkpoints", step)
        path.parent.mkdir(parents=True)
        path.touch()
    (place / "history.jsonl").write_text('{"event": "resumed", "step": 40}\n' * 3)
    third = {"SLURM_RESTART_COUNT": "3"}
    held = held_population(world, config, place, "auto", environment=third)
    if is_in_vain:
        with pytest.raises(ConfigError, match="came from step 40 to 40, no more than a step"), held:
            pass
        return
    with held as commit:
        assert (commit.round, commit.step) == (0, 0)
    last = json.loads((place / "history.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["step"], last["ranks"]) == ("started", 46, 1)
