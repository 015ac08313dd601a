"""The log of a run, as tests write and read it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hpcgan.gan.state import State
from hpcgan.training.breakdown import StepBreakdown
from hpcgan.training.callback import Call
from hpcgan.training.logger import Logger
from hpcgan.training.plan import Plan
from tests.unmeasured import NOT_MEASURED

BREAKDOWN = StepBreakdown(0.5, 0.25, 0.125, 0.0625, 0.03125, 0.0, 0.0, 0, 0.0)


def metrics(plan: Plan) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl."""
    text = (plan.run_dir / "metrics.jsonl").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def made(*losses: tuple[float, float], skipped: int = 0) -> Call:
    """Return a call of some updates that were left out and some with losses, D's and G's."""
    table = np.array([*[(np.nan, np.nan)] * skipped, *losses], np.float32)
    return Call(0, len(table), table, np.isnan(table[:, 0]), False, NOT_MEASURED)


def log_steps(logger: Logger, state: State, *steps: int) -> None:
    """Write a line at each of ``steps``, with losses that depend on it."""
    for step in steps:
        state.step = step
        logger.count(made((step, step), (step + 0.5, step + 1)))
        logger.log(BREAKDOWN)
    logger.close()
