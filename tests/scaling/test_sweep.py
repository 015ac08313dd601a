"""Training runs side by side in the report of a directory; their records are the logger's own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling import report, sweep
from hpcgan.training.callback import Call
from hpcgan.training.logger import Logger
from hpcgan.training.plan import Plan, prepare
from hpcgan.world import World
from tests.unmeasured import NOT_MEASURED

_IMAGES = 12  # of a step


class Record:
    """The record of runs in a directory, as their loggers write it."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.directory = directory
        self._plan, self._now = plan, 0.0

    def start(self, name: str, ranks: int = 1, step: int | None = None) -> None:
        """Start a run, or go on with it after a step, on a number of ranks."""
        world = SimpleNamespace(size=ranks, hosts=["a"] * ranks, cores=1, shares_cores=False)
        self.state = SimpleNamespace(step=step or 0, rollbacks=0)
        found = SimpleNamespace(
            path=Path(f"step_{step}.h5"), config=self._plan.config, fingerprints=()
        )
        plan = dataclasses.replace(
            self._plan,
            run_dir=self.directory / name,
            found=None if step is None else found,
        )
        self.logger = Logger(plan, self.state, world, "", lambda: self._now)  # type: ignore[arg-type]

    def line(self, rate: float, losses: tuple[float, float] = (0.5, 1.0)) -> None:
        """Write a line of ten steps, made at so many images a second."""
        step = self.state.step
        self.logger.count(
            Call(step, 10, np.array([losses] * 10), np.zeros(10, bool), False, NOT_MEASURED)
        )
        self.state.step += 10
        self._now += 10 * _IMAGES / rate
        self.logger.log(None)

    def files(self, name: str) -> tuple[Path, Path]:
        """Return the metrics and the history of a run."""
        place = self.directory / name
        return place / "metrics.jsonl", place / "history.jsonl"


@pytest.fixture(scope="module")
def plan(world: World, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Return the plan of a run of small networks."""
    place = tmp_path_factory.mktemp("plan")
    with h5py.File(place / "data.h5", "w") as file:
        file["images"] = np.zeros((40, 4, 4, 1), np.uint8)
    (place / "config.yaml").write_text(
        f"data: {{files: [{place / 'data.h5'}], shards: 3}}\n"
        "model: {name: mlp, latent_dim: 2}\ntrain: {steps: 90, batch_size: 4}\n"
    )
    return prepare(world, str(place / "config.yaml"), [], place / "run", "auto")


@pytest.fixture
def record(plan: Plan, tmp_path: Path) -> Record:
    return Record(plan, tmp_path)


def test_runs_are_compared(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    record.start("a", ranks=3)
    for rate in (100.0, 300.0, 200.0):
        record.line(rate, (0.5, 1.0))
    record.logger.close()
    record.start("b<i>", ranks=3)
    for rate in (50.0, 70.0):
        record.line(rate, (0.75, 4.0))
    record.logger.stop("SIGTERM (rank 0)")
    record.start("none yet")
    report.write(record.directory)
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "30", "finished", "3", "200", "0.5", "1"] in said
    assert ["b<i>", "20", "stopped", "3", "60", "0.75", "4"] in said
    # Of 0.5 and 0.75: mean 0.625, deviation 0.25 / sqrt 2; of 1 and 4: 2.5 and 3 / sqrt 2.
    spread = "D loss 0.625 with standard deviation 0.18, G loss 2.5 with standard deviation 2.1"
    assert sweep.spread(sweep.read(record.directory)) == spread
    page = (record.directory / "report.html").read_text()
    assert spread in page
    assert "b&lt;i&gt;" in page
    assert (record.directory / "sweep.csv").read_text().splitlines() == [
        "name,step,state,ranks,images_per_second,discriminator_loss,generator_loss",
        "a,30,finished,3,200.0,0.5,1.0",
        "b<i>,20,stopped,3,60.0,0.75,4.0",
    ]


def test_members_of_a_population_have_their_scores(record: Record) -> None:
    for name in ("member_0", "member_10", "member_9"):
        record.start(name)
        record.line(100.0)
        record.logger.close()
    lines = [
        {"round": 1, "scores": [3.0, *[None] * 10], "took": [{"member": 9, "from": 0}] * 2},
        {"round": 2, "scores": [1.25, *[None] * 8, 2.0, [0.5, 1.5]], "took": []},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (record.directory / "tournaments.jsonl").write_text(text)
    found = sweep.read(record.directory)
    assert sweep.headings(found)[-2:] == ["score", "took"]
    told = [[sweep.cells(each)[place] for place in (0, -2, -1)] for each in found]
    assert told == [
        ["member_0", "1.25", "0"],
        ["member_9", "2", "2"],
        ["member_10", "0.5 / 1.5", "0"],
    ]


def _stop(record: Record) -> None:
    record.logger.stop("its time limit of 1 minute (rank 0)")


def _go_on(record: Record) -> None:
    _stop(record)
    record.start("a", ranks=2, step=10)


def _finish_later(record: Record) -> None:
    _go_on(record)
    record.line(100.0)
    record.logger.close()


def _go_on_from_another_run(record: Record) -> None:
    for path in record.files("a"):
        path.unlink()
    record.start("a", ranks=2, step=40)
    record.line(100.0)


def _roll_back(record: Record) -> None:
    record.line(100.0)
    record.state.step = 10
    record.logger.rewind("the losses are not finite")


def _die_in_the_middle_of_lines(record: Record) -> None:
    _stop(record)
    for path in record.files("a"):
        path.write_text(path.read_text() + path.read_text()[:20])


@pytest.mark.parametrize(
    ("fate", "state", "step", "ranks"),
    [
        (lambda record: record.logger.close(), "finished", 10, 3),
        (
            lambda record: None,
            "under way",
            10,
            3,
        ),  # so is what was killed, as far as its files show
        (_stop, "stopped", 10, 3),
        (_go_on, "under way", 10, 2),
        (_finish_later, "finished", 20, 2),
        (_go_on_from_another_run, "under way", 50, 2),
        (_roll_back, "under way", 10, 3),
        (_die_in_the_middle_of_lines, "stopped", 10, 3),
    ],
)
def test_a_run_is_as_far_as_its_files_show(
    record: Record, fate: Callable[[Record], None], state: str, step: int, ranks: int
) -> None:
    record.start("a", ranks=3)
    record.line(100.0)
    fate(record)
    (found,) = sweep.read(record.directory)
    assert (found["state"], found["step"], found["ranks"]) == (state, step, ranks)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "what\n"), (0, "[1]\n"), (0, "{}\n"), (1, ""), (1, '{"ev'), (1, '{"event": "what"}\n')],
)
def test_a_file_that_is_no_record_is_named(record: Record, number: int, text: str) -> None:
    record.start("a")
    record.line(100.0)
    record.files("a")[number].write_text(text)
    with pytest.raises(ConfigError, match=r"/a: no training run"):
        report.write(record.directory)
