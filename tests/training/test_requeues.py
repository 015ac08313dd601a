"""Jobs that are requeued in vain: made-up histories of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.training import requeues

_THIRD = {"SLURM_RESTART_COUNT": "3"}


def _history(place: Path, *events: tuple[str, int]) -> Path:
    lines = [json.dumps({"event": event, "step": step}) for event, step in events]
    (place / "history.jsonl").write_text("\n".join([*lines, '{"event": "resu']))
    return place


# A step a start, as when the signal comes at once.
_IN_VAIN = (("started", 0), ("stopped", 1), ("resumed", 1), ("stopped", 2), ("resumed", 2))


def test_three_starts_of_a_step_each_are_the_last(tmp_path: Path) -> None:
    run = _history(tmp_path, *_IN_VAIN)
    with pytest.raises(ConfigError, match="the last 3 starts of this job came from step 0 to 3, "):
        requeues.check(run, 3, _THIRD)


def test_so_are_three_that_were_killed_before_a_checkpoint(tmp_path: Path) -> None:
    run = _history(tmp_path, ("resumed", 500), ("resumed", 500), ("resumed", 500))
    with pytest.raises(ConfigError, match="from step 500 to 500"):
        requeues.check(run, 500, _THIRD)


@pytest.mark.parametrize(
    ("events", "step", "environment"),
    [
        (_IN_VAIN, 4, _THIRD),  # some of them got further
        (_IN_VAIN[2:], 3, _THIRD),  # these are two only
        (_IN_VAIN, 3, {"SLURM_RESTART_COUNT": "2"}),  # of which one was another job's
        (_IN_VAIN, 3, {}),  # submitted anew
        ((("started", 0), ("resumed", 900), ("resumed", 901)), 902, _THIRD),
        ((("resumed", 900), ("resumed", 900), ("resumed", 900)), 100, _THIRD),  # gone back
        ((), 0, _THIRD),
    ],
)
def test_all_others_may_go_on(tmp_path: Path, events, step: int, environment) -> None:
    requeues.check(_history(tmp_path, *events), step, environment)


def test_a_run_that_has_not_begun_may_begin(tmp_path: Path) -> None:
    requeues.check(tmp_path / "run", 0, _THIRD)
