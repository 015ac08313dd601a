"""The last line of a run, for scripts: ``hpcgan-result: KEY=VALUE ...``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from hpcgan.training.breakdown import StepBreakdown, shares

_NAN = float("nan")


def result_line(
    hosts: Sequence[str],
    images_per_step: int,
    steps: tuple[int, int],
    seconds: float,
    lines: Sequence[Mapping[str, Any]],
    breakdowns: Sequence[StepBreakdown],
) -> str:
    """Return the line of one start of a run.

    Speed (a median), breakdown and slowest rank are those of lines of metrics after the first, in
    which the update is compiled; losses are those of the last. What no line has is nan.

    Args:
        hosts: of each rank.
        images_per_step: of all ranks.
        steps: made before this start and now.
        seconds: of this start.
        lines: images_per_second, discriminator_loss and generator_loss of each line of metrics.
        breakdowns: of those lines that have one, which the first one does.
    """
    made = steps[1] - steps[0]
    steady, breakdowns = lines[1:] or lines, breakdowns[1:] or breakdowns
    rates = [line["images_per_second"] for line in steady] or [made * images_per_step / seconds]
    last = lines[-1] if lines else {}
    behind = [each.slowest_rank_behind for each in breakdowns]
    facts = {
        "images_per_second": f"{statistics.median(rates):.1f}",
        "ranks": len(hosts),
        "hosts": len(set(hosts)),
        "images_per_step": images_per_step,
        "steps": made,
        "last_step": steps[1],
        "images": made * images_per_step,
        "seconds": f"{seconds:.1f}",
        **{name: f"{share:.4f}" for name, share in shares(breakdowns).items()},
        "slowest_rank": statistics.mode([each.slowest_rank for each in breakdowns] or [_NAN]),
        "slowest_rank_behind": f"{statistics.median(behind or [_NAN]):.4f}",
        "discriminator_loss": f"{last.get('discriminator_loss', _NAN):.6g}",
        "generator_loss": f"{last.get('generator_loss', _NAN):.6g}",
    }
    return "hpcgan-result: " + " ".join(f"{key}={value}" for key, value in facts.items())
