"""Training runs side by side in the report of a directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling import report, sweep


def _write_run(place: Path, rates: list[float], losses: tuple[float, float], event: str) -> None:
    """Write the journal of a run of 3 ranks with a line every 10 steps, and half a line more."""
    place.mkdir()
    lines = [
        {
            "step": 10 * (number + 1),
            "images_per_second": rate,
            "discriminator_loss": losses[0],
            "generator_loss": losses[1],
        }
        for number, rate in enumerate(rates)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (place / "metrics.jsonl").write_text(text + '{"step": 99')
    events = [{"event": "started", "ranks": 2}, {"event": "started", "ranks": 3}, {"event": event}]
    (place / "history.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events))


def test_runs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_run(tmp_path / "a", [100.0, 300.0, 200.0], (0.5, 1.0), "finished")
    _write_run(tmp_path / "b<i>", [50.0, 70.0], (0.7, 4.0), "stopped")
    report.write(tmp_path)
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "30", "finished", "3", "200", "0.5", "1"] in said
    assert ["b<i>", "20", "stopped", "3", "60", "0.7", "4"] in said
    # Of 0.5 and 0.7: mean 0.6, deviation 0.2 / sqrt 2; of 1 and 4: 2.5 and 3 / sqrt 2.
    assert "D loss 0.6 with standard deviation 0.14" in sweep.spread(sweep.read(tmp_path))
    assert "G loss 2.5 with standard deviation 2.1" in (tmp_path / "report.html").read_text()
    assert "b&lt;i&gt;" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "sweep.csv").read_text().splitlines() == [
        "name,step,state,ranks,images_per_second,discriminator_loss,generator_loss",
        "a,30,finished,3,200.0,0.5,1.0",
        "b<i>,20,stopped,3,60.0,0.7,4.0",
    ]


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    _write_run(tmp_path / "a", [1.0], (0.0, 0.0), "finished")
    (tmp_path / "a" / "metrics.jsonl").write_text("what\n")
    with pytest.raises(ConfigError, match=r"/a: no training run"):
        report.write(tmp_path)
