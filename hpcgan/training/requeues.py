"""Jobs that go back into the queue again and again, and never get anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.files import json_lines

_MOST = 3  # starts in vain
_STARTS = ("started", "resumed")


def count(environment: Mapping[str, str]) -> int:
    """Return how often Slurm has started this job again; 0 outside a job."""
    text = environment.get("SLURM_RESTART_COUNT", "")
    return int(text) if text.isdecimal() else 0


def check(run_dir: Path, step: int, environment: Mapping[str, str]) -> None:
    """Raise a ConfigError if each of the job's last starts has made no more than a step.

    So it is with a time limit that is not above the seconds of sbatch's --signal: the run is asked
    to stop as soon as it begins, and makes one step. Status 2 keeps the job out of the queue.

    The run is to go on from ``step``; in the environment Slurm sets how often it has requeued it.
    """
    if count(environment) < _MOST:
        return
    history = json_lines(run_dir / "history.jsonl", "event", "step")
    starts = [line["step"] for _, line in history if line["event"] in _STARTS][-_MOST:]
    if len(starts) == _MOST and 0 <= step - starts[0] <= _MOST:
        raise ConfigError(
            f"{run_dir}: the last {_MOST} starts of this job came from step {starts[0]} to {step}, "
            "no more than a step each; give the job more --time, well above the seconds of its "
            "--signal, or checkpoints more often (checkpoint.every_steps), and submit it again"
        )
