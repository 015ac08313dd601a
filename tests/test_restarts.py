"""Runs that are started again when they fail."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from hpcgan.checkpoint import path_of
from hpcgan.training import restarts
from hpcgan.training.restarts import Supervisor, command, environment
from tests.chaos_runs import Place, ranks_of


def test_the_ranks_that_train_get_the_users_settings_and_not_who_the_others_are() -> None:
    outer = {
        "PATH": "/bin",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_MCA_btl": "tcp,self",
        "OMPI_MCA_num_procs": "4",
        "OMPI_COMM_WORLD_RANK": "3",
        "PMIX_RANK": "3",
        "PMIX_MCA_gds": "hash",
        "PRTE_LAUNCHED": "1",
    }
    assert environment(outer) == {
        "PATH": "/bin",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_MCA_btl": "tcp,self",
        "PMIX_MCA_gds": "hash",
        "HPCGAN_SUPERVISED": "1",
    }


def test_each_rank_is_bound_to_the_cores_of_its_number() -> None:
    line = command([[0, 1], [2, 3]], ["train", "c.yaml"])
    program = [sys.executable, "-m", "hpcgan", "train", "c.yaml"]
    first = line.index("-n")
    assert line[:3] == ["setpriv", "--pdeathsig", "TERM"]
    assert Path(line[3]).name == "mpirun"
    assert line[first:] == [
        *("-n", "1", "taskset", "-c", "0,1", *program),
        ":",
        *("-n", "1", "taskset", "-c", "2,3", *program),
    ]
    assert command([[0, 1]], ["train", "c.yaml"])[3:] == program


class Attempts:
    """Take the place of the class of processes: each ends at once with the next status."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.words: list[list[str]] = []

    def __call__(self, line: list[str], **how: Any) -> Attempts:
        self.words.append(line[line.index("hpcgan") + 1 :])
        return self

    def wait(self) -> int:
        return self.statuses.pop(0)


@pytest.mark.parametrize(
    ("statuses", "last"),
    [([0], 0), ([2], 2), ([85], 85), ([1, 0], 0), ([1, 85], 85), ([1, 1, -9], 137)],
)
def test_a_run_that_failed_is_started_again_until_it_is_done_or_all_restarts_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statuses: list[int], last: int
) -> None:
    attempts = Attempts(*statuses)
    monkeypatch.setattr(restarts.subprocess, "Popen", attempts)
    monkeypatch.setattr(sys, "argv", ["hpcgan", "train", "c.yaml", "--resume", "never"])
    first = ["train", "c.yaml", "--resume", "never"]
    assert Supervisor(os.getpid()).run(2, tmp_path, [[0]]) == last
    assert attempts.statuses == []
    assert attempts.words == [first] * len(statuses)  # there is no checkpoint to go on from


def test_a_run_with_a_checkpoint_goes_on_from_it_whatever_its_words_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts(1, 1, 0)
    path_of(tmp_path / "checkpoints", 0).parent.mkdir()
    path_of(tmp_path / "checkpoints", 0).touch()
    monkeypatch.setattr(restarts.subprocess, "Popen", attempts)
    monkeypatch.setattr(sys, "argv", ["hpcgan", "train", "c.yaml", "--resume", "never"])
    assert Supervisor(os.getpid()).run(5, tmp_path, [[0]]) == 0
    first = ["train", "c.yaml", "--resume", "never"]
    assert attempts.words == [first, [*first, "--resume", "auto"], [*first, "--resume", "auto"]]


def test_a_run_of_which_a_rank_is_killed_goes_on_and_stops_when_asked(tmp_path: Path) -> None:
    with Place(tmp_path, steps=10**7) as place:
        process = place.train(2, "run", "--run.restarts=1")
        place.wait_for_step(process, "run", 1, 80)
        outer = ranks_of(process.pid)
        (launcher,) = (child for rank in outer for child in ranks_of(rank) if _is_launcher(child))
        os.kill(ranks_of(launcher)[1], signal.SIGKILL)
        place.wait_for_step(process, "run", 2, 160)
        os.kill(process.pid, signal.SIGUSR1)
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 85, said
        assert said.count("restart 1 of 1 (run.restarts)") == 1
        history = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
        of_gan = ("floors", "evaluated", "warning")
        events = [each for each in map(json.loads, history) if each["event"] not in of_gan]
        assert [each["event"] for each in events] == ["started", "resumed", "stopped"]
        assert events[1]["step"] >= 40


def _is_launcher(process: int) -> bool:
    return "prterun" in Path(f"/proc/{process}/comm").read_text()
